"""Face swaps for training: the face of one real person put onto another who looks alike.

    look_alikes = LookAlikes(tracks)
    donor = look_alikes.donor_of(3, rng)        # an index of `tracks`, or NO_DONOR
    fake = swap(frames, donor_frames, rng)

A self-blend has the right face in the wrong quality. In a swap another face meets the rest of the
head: eyes, light and skin do not quite fit. The idea is that of Face X-ray (Li et al., CVPR 2020,
arXiv:1912.13458). Donors are chosen by how alike the crops look as a whole. They are laid onto the
target by landmarks, or without these by their grey values (Evangelidis and Psarakis 2008,
doi:10.1109/TPAMI.2008.113): crops of processing.py have the face in one place.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from deepfake_detector import images
from deepfake_detector.clips import landmarks
from deepfake_detector.clips.face_masks import random_masks
from deepfake_detector.clips.self_blending import random_detail, random_generator
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.images import Change

NO_DONOR = -1
NUM_CANDIDATES = 100  # of whom the most alike gives the face
GREY_SIDE = 20  # pixels of a face that are compared
SKIN_SPREAD = (80, 12, 12)  # of Y, Cr and Cb, in grey levels: differences count in these units
SKIN_WEIGHT = 0.3  # of the differences of skin next to those of light and pose
GENERATED_SHARE, DETAIL_SHARE = 0.3, 0.35  # of the donors: as from a generator, otherwise altered
WARPED_SHARE = 0.7  # of the donors with landmarks
ALIGN_SIDE = 64  # pixels of the pictures that are aligned
ALIGN_STEPS = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 40, 1e-3)
MAX_TURN, MAX_SHIFT = 0.3, 0.25  # of a face laid onto another; the shift in sides of a crop
GAIN_RANGE = (0.6, 1.6)  # of the contrast of a donor

Appearance = tuple[np.ndarray, np.ndarray]


class LookAlikes:
    """Finds for the face of a track a real person who looks like it, of the same `tracks`.

    The crop in the middle of a track is read when it is first compared.
    """

    def __init__(self, tracks: Sequence[FaceTrack]) -> None:
        self.tracks = tracks
        self._reals = [index for index, track in enumerate(tracks) if track.label == 0]
        self._looks: dict[int, Appearance | None] = {}

    def donor_of(self, target: int, rng: np.random.Generator) -> int:
        """Return the index of the most alike of some random real faces of other people and other
        sources than those of track `target`; NO_DONOR if none can be read."""
        count = min(NUM_CANDIDATES, len(self._reals))
        candidates = [self._reals[i] for i in rng.permutation(len(self._reals))[:count]]
        own, own_look = self.tracks[target].group_keys, self._look(target)
        distances = {
            index: _distance(own_look, look)
            for index in candidates
            if own_look and own.isdisjoint(self.tracks[index].group_keys)
            if (look := self._look(index))
        }
        return min(distances, key=distances.__getitem__, default=NO_DONOR)

    def _look(self, index: int) -> Appearance | None:
        if index not in self._looks:
            track = self.tracks[index]
            self._looks[index] = _read_look(track.crop_path(track.num_frames // 2))
        return self._looks[index]


def swap(
    frames: np.ndarray, donor: np.ndarray, rng: np.random.Generator, with_landmarks: bool = False
) -> np.ndarray:
    """Return `frames`, `(n, height, width, 3) uint8` RGB, with the face of `donor` in them.

    The donor has as many frames, of any size. Its face is moved to where that of the target is, and
    gets about its colours. With landmarks it also gets the shape and the expression of the target,
    mostly. All frames of a clip are altered alike.
    """
    height, width = frames.shape[1:3]
    above = np.stack([cv2.resize(frame, (width, height)) for frame in donor])
    uses_landmarks = with_landmarks and rng.random() < landmarks.SHARE
    marks = landmarks.find(frames) if uses_landmarks else None
    donor_marks = landmarks.find(above) if marks is not None else None
    masks = random_masks(frames, rng, marks)
    if marks is not None and donor_marks is not None:
        faces = _laid_on(above, donor_marks, marks, rng.random() < WARPED_SHARE)
    else:
        place = _alignment(frames[0], above[0])
        faces = [_moved(face, place) for face in above]
    recolour = _recolouring(frames[0], faces[0], masks[0], rng.uniform(0.8, 1))
    alterations = []
    kind = rng.random()
    if kind < GENERATED_SHARE:
        alterations.append(random_generator(rng))
    elif kind < GENERATED_SHARE + DETAIL_SHARE:
        alterations.append(random_detail(rng))
    swapped = np.empty_like(frames)
    for number, (frame, face, mask) in enumerate(zip(frames, faces, masks, strict=True)):
        face = recolour(face)
        for alteration in alterations:
            face = alteration(face)
        swapped[number] = cv2.blendLinear(face, frame, mask, 1 - mask)
    return swapped


# Who looks alike


def _read_look(path: str) -> Appearance | None:
    """Return what a crop looks like: light and shade of the face, `(GREY_SIDE**2,) float32` of mean
    0 and length 1, and the colour of the skin, `(3,)`. None if it cannot be read."""
    try:
        content = np.frombuffer(Path(path).read_bytes(), np.uint8)
        crop_bgr = cv2.imdecode(content, cv2.IMREAD_COLOR)
    except (OSError, cv2.error):
        return None
    if crop_bgr is None:
        return None
    height, width = crop_bgr.shape[:2]
    face = cv2.cvtColor(crop_bgr, cv2.COLOR_BGR2YCrCb)[
        int(0.3 * height) : int(0.85 * height), int(0.25 * width) : int(0.75 * width)
    ]
    grey = cv2.resize(face[..., 0], (GREY_SIDE, GREY_SIDE), interpolation=cv2.INTER_AREA)
    shade = cv2.GaussianBlur(grey.astype(np.float32), (0, 0), 0.8).ravel()
    shade = shade - shade.mean()
    cheeks = face[int(0.3 * len(face)) : int(0.6 * len(face))].reshape(-1, 3).mean(axis=0)
    return shade / (np.linalg.norm(shade) + 1e-3), cheeks / SKIN_SPREAD


def _distance(look: Appearance, other: Appearance) -> float:
    (shade, skin), (other_shade, other_skin) = look, other
    return (
        2 - 2 * float(shade @ other_shade) + SKIN_WEIGHT * float(((skin - other_skin) ** 2).sum())
    )


# Where the face goes


def _laid_on(
    faces: np.ndarray, own: np.ndarray, target: np.ndarray, warps: bool
) -> list[np.ndarray]:
    """Return faces moved so that their landmarks `own` get to those of `target`, `(n, 468, 2)`
    each: warped there, or as near as an affine map brings them."""
    size = (faces.shape[1], faces.shape[2])
    laid_on = []
    for face, from_marks, to_marks in zip(faces, own, target, strict=True):
        if not warps:
            matrix = landmarks.affine(to_marks, from_marks)
            from_marks = to_marks @ matrix[:, :2].T + matrix[:, 2]
        source_xy = landmarks.source_positions(to_marks, from_marks, size)
        laid_on.append(images.remapped(face, source_xy))
    return laid_on


def _alignment(target: np.ndarray, donor: np.ndarray) -> np.ndarray:
    """Return the affine matrix, `(2, 3)`, that says where in `donor` each pixel of `target` comes
    from. It leaves everything in place if the two faces cannot be aligned."""
    nothing = np.eye(2, 3, dtype=np.float32)
    try:
        _, found = cv2.findTransformECC(
            _standardized(target), _standardized(donor), nothing.copy(),
            cv2.MOTION_AFFINE, ALIGN_STEPS, _face_region(), 1,
        )  # fmt: skip
    except cv2.error:  # it did not converge
        return nothing
    turned, shift = np.abs(found - nothing)[:, :2].max(), found[:, 2] / ALIGN_SIDE
    if turned > MAX_TURN or np.abs(shift).max() > MAX_SHIFT:
        return nothing
    height, width = target.shape[:2]
    return np.column_stack([found[:, :2], shift * (width, height)])


def _standardized(frame: np.ndarray) -> np.ndarray:
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (ALIGN_SIDE, ALIGN_SIDE), interpolation=cv2.INTER_AREA)
    soft = cv2.GaussianBlur(small.astype(np.float32), (0, 0), 1.5)
    return (soft - soft.mean()) / (soft.std() + 1e-3)


def _face_region() -> np.ndarray:
    """Return 255 where the face lies in a crop, else 0: an ellipse."""
    region = np.zeros((ALIGN_SIDE, ALIGN_SIDE), np.uint8)
    centre = (ALIGN_SIDE // 2, round(0.56 * ALIGN_SIDE))
    axes = (round(0.27 * ALIGN_SIDE), round(0.36 * ALIGN_SIDE))
    return cv2.ellipse(region, centre, axes, 0, 0, 360, 255, -1)


def _moved(frame: np.ndarray, place: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(frame, place, (width, height), flags=flags, borderMode=cv2.BORDER_REFLECT)


# In which colours


def _recolouring(
    target: np.ndarray, donor: np.ndarray, mask: np.ndarray, strength: float
) -> Change:
    """Return what gives a donor the mean and the spread of the colours of the target within the
    mask, in CIELAB (Reinhard et al. 2001, doi:10.1109/38.946629), but for 1 - `strength`."""
    (mean, spread), (donor_mean, donor_spread) = (_colours(f, mask) for f in (target, donor))
    gain = 1 + strength * (np.clip(spread / (donor_spread + 1e-3), *GAIN_RANGE) - 1)
    shift = donor_mean + strength * (mean - donor_mean) - gain * donor_mean
    matrix = np.column_stack([np.diag(gain), shift])

    def recolour(frame: np.ndarray) -> np.ndarray:
        lab = cv2.transform(cv2.cvtColor(frame, cv2.COLOR_RGB2LAB), matrix)
        return cv2.cvtColor(lab, cv2.COLOR_LAB2RGB)

    return recolour


def _colours(frame: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return mean and standard deviation of L, a and b within the mask, `(3,)` each."""
    mean, spread = cv2.meanStdDev(
        cv2.cvtColor(frame, cv2.COLOR_RGB2LAB), mask=(mask > 0.3).astype(np.uint8)
    )
    return mean[:, 0], spread[:, 0]
