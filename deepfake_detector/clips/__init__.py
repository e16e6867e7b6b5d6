"""Clips: from face tracks to what the network sees.

Input: face tracks. Output: `(num_frames, height, width, 3) uint8` RGB. Open `sampling.py` first,
for which frames make a clip, then `pairs.py`, for which clips make an epoch of training. The pixels
are read in `loading.py` and altered in `filming.py`, `self_blending.py` or `face_swaps.py` (where:
`face_masks.py`, `landmarks.py`) and `augmentation.py`, in this order.
"""
