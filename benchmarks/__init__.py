"""Measurements behind the figures in docs/: each module runs with `python -m benchmarks.NAME`."""
