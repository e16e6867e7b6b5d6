"""Scoring: what a trained model says about clips, and what its scores mean.

In: a model and clips. Out: scores, P(fake), and metrics of them. Open `clip_scorer.py` first;
`calibration.py` turns scores into probabilities and thresholds.
"""
