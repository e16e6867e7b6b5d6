"""Evaluation: what evaluate.py tells about a model beyond its scores.

In: scored videos. Out: intervals, groups, robustness, charts and a report. Open `videos.py` first;
`outputs.py` writes the files.
"""
