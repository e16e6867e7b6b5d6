"""Evaluation: what evaluate.py says about a model.

Input: a trained model and face tracks. Output: scored videos, their metrics with intervals, and a
report folder. Open `videos.py` first, then `outputs.py`, which writes and prints everything.
"""
