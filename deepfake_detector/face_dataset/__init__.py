"""The face dataset: the contract on disk between extraction and training.

In and out: a folder with one folder of crops per face track, `manifest.csv`, `metadata.json` and
`settings.json`. Open `folder.py` first for how it is written, `face_tracks.py` for how it is read,
`splits.py` for which videos a model is trained, validated and tested on. No pixels, no TensorFlow.
"""
