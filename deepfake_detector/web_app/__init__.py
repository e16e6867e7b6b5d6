"""The page of app.py, without its layout: who does the work, and what is kept for whom.

In: files that people drop on the page. Out: judged videos and what is shown of them. Open
`worker.py` first: the work is done in one process of its own, which a bad file may crash. What it
does is in `worker_process.py`; `sessions.py` keeps what each visitor has been told, until they go.
No Gradio in here.
"""
