"""How well the detector finds fakes of people it has never seen: a cross-validation."""
