"""Networks: the CNNs that see one frame at a time, and how they run fast.

`model.py` puts one of them into TimeDistributed -> LSTM -> Dense. Open `catalogue.py` first, for
their names; `folding.py` runs all frames of a batch at once.
"""
