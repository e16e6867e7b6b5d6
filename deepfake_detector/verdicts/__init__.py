"""Verdicts: from videos to FAKE, REAL or UNCERTAIN, and everything that is made of a verdict.

Input: paths of videos and a trained model. Output: one `Verdict` per video, see `verdict.py`.
Open `predict.py` first: its `judge_videos` is the way of a video through this room. A video becomes
windows with faces (`reading.py`), faces get scores (`scores.py`), and scores become a verdict
(`rule.py`). It becomes a line of the log (`log.py`), text (`text.py`), a page (`page.py`) and an
annotated copy (`annotated_copy.py`). `web_page.py` is the page of app.py.
"""
