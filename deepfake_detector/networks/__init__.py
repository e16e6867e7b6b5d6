"""Networks: the frame encoders, CNNs that see one frame at a time, and how all frames run at once.

Input: a frame, `(batch, height, width, 3)` RGB 0..255. Output: its features, `(batch, features)`.
`model.py` puts an encoder into TimeDistributed(CNN) -> LSTM -> Dense. Open `efficientnet_lite.py`
first, the CNN of the default network; `catalogue.py` has the names of all networks.
"""
