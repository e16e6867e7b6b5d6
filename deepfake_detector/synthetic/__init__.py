"""Synthetic people: talking heads and face swaps between them, drawn from random numbers.

Input: a seed. Output: frames, `(num_frames, height, width, 3) uint8` RGB. Open `scene.py` first;
`sample_data.py` makes a labelled data set of them.
"""
