"""Faces: from the frames of one video to square crops of each face in it.

In: frames, in order. Out: one folder of crops per face, with `boxes.csv`. Open `extraction.py`
first; it calls the tracker (`tracker.py`), which calls the Haar cascades (`detector.py`).
"""
