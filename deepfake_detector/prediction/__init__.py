"""Prediction: from videos to verdicts, for predict.py.

In: paths of videos and a trained model. Out: one verdict per video; what is made of it, tables,
pictures, a page, is in results/. Open `predict.py` first, its `judge_videos` is the way of a video
through this room; then `windows.py` (how a video becomes clips) and `verdicts.py` (how scores
become a verdict).
"""
