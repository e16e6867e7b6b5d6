"""Synthetic people: talking heads and face swaps between them, drawn from random numbers.

In: a seed. Out: frames, `(num_frames, height, width, 3) uint8` RGB. Open `people.py` first;
`sample_data.py` makes a labelled data set of them.
"""
