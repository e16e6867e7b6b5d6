"""Prediction: verdicts on videos, for predict.py.

In: videos and a trained model. Out: one verdict per video, tables, pictures, annotated copies. Open
`session.py` first; `windows.py` reads a video, `verdicts.py` judges it.
"""
