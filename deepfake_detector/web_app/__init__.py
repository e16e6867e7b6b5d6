"""The page of app.py: what is where, who does the work, and what is kept for whom.

In: files that people drop on the page. Out: judged videos and what is shown of them.
Open `desk.py` first, what happens for a visitor. The work is done by one process of its own, which
a bad file may crash (`worker.py`, `worker_process.py`); `sessions.py` keeps what each visitor was
told, until they go. Gradio is in `layout.py` only.
"""
