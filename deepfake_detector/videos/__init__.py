"""Videos: which there are, what they are labelled, and how their frames are read.

In: folders of videos as people have them. Out: `metadata.Video` entries, and frames with times.
Open `listing.py` first, for how a folder becomes a list of videos; `reader.py` reads frames.
"""
