"""Faces: from the frames of one video to square crops of each face in it.

In: frames, in order. Out: one folder of crops per face, with `boxes.csv`. Open `extraction.py`
first. What happens to a frame, in order:

    following.py    takes the video window by window until one shows a face; the way through what
                    stands below, for extraction and for prediction
    detector.py     Haar cascades find faces in it: boxes
    tracker.py      follows each face from frame to frame: tracklets (tracklets.py)
    main_face.py    joins tracklets into faces and chooses the main one
    smoothing.py    gives every frame a box: averaged where none was detected, then smoothed
    crops.py        cuts squares out along the boxes
"""
