"""What the benchmark calculates for all of DFDC from costs that it has measured."""

import pytest

from benchmarks import dfdc_scale

MEASURED = {
    "extraction, ms a frame": 6.0,
    "crop, KB": 13.4,
    "clips a second read": 100.0,
    "clips a second trained": 2.0,
    "weights": 3.5e6,
    "activations of a clip, MB": 170.0,
}


@pytest.mark.parametrize("words", [[], ["--epochs", "40"]])
def test_the_defaults_are_those_of_a_training(words):
    """The default number of epochs was none at all, and a traceback after all was measured."""
    args = dfdc_scale.main_arguments().parse_args(words)
    rows = dict(dfdc_scale.projection(MEASURED, machines=1, args=args))
    assert rows["extraction"] == "30 core-hours, 1.9 hours"
    assert f"training, {40 if words else 2} epochs, 20 of single frames" in rows
