"""Scoring: what a trained model says about clips, and what its scores mean.

Input: a model and clips. Output: scores, P(fake), and metrics of them. Open `clip_scorer.py` first;
`calibration.py` turns scores into probabilities and thresholds.
"""
