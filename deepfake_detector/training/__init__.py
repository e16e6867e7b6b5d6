"""Training: the loop behind train.py and the folder it fills.

In: settings and clips. Out: a run folder. Open `settings.py` first, then `loop.py`;
`run_folder.py` and `run_state.py` are what lets a stopped run go on.
"""
