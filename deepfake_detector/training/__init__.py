"""Training: what train.py needs besides clips and a network.

Input: settings and clips. Output: a run folder. Open `settings.py` first, then `loop.py`;
`run_folder.py` is what lets a stopped run go on.
"""
