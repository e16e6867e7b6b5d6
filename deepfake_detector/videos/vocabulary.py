"""The words that names of folders and files are read by. Everything here is a table.

    >>> read_name("training_fake")
    Reading(classes=frozenset({'FAKE'}), splits=frozenset({'train'}), says_nothing_else=True)
    >>> read_name("Face2Face").is_method
    True

A name is cut into whole words at everything that is no letter and before a capital letter, so
`0_real` and `RealVideos` say real, and `surreal` does not.
"""

import functools
import re
from dataclasses import dataclass

FAKE, REAL = "FAKE", "REAL"


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


CLASSES = {
    REAL: _words("""real reals original originals genuine authentic pristine unaltered unmanipulated
        bonafide"""),
    FAKE: _words("""fake fakes deepfake deepfakes manipulated manipulation manipulations synthesis
        synthetic synthesized synthesised forged forgery forgeries tampered altered swapped
        generated"""),
}
SPLITS = {
    "train": _words("train training trn trainset"),
    "validation": _words("val valid validation dev valset devset"),
    "test": _words("test testing tst testset eval evaluation evalset"),
}
# With one of these a name may mean either class: is_fake_0, not_fake.
UNCLEAR = _words("is false true no non not")
# Words that may stand next to those above without a meaning of their own.
NEUTRAL = _words(
    """video videos clip clips movie movies sequence sequences frame frames image images img imgs
    picture pictures photo photos face faces crop crops file files data dataset set part release
    african american asian caucasian east european south men women"""
)
# Folders of nothing but these words are left out: what is in them is made from the videos.
SKIPPED = _words(
    """mask masks landmark landmarks keypoint keypoints depth feature features audio audios sound
    bbox bboxes annotation annotations"""
)
# Folders with one of these names are methods: fakes, where the path has no word for a class.
# Compared without what is no letter or digit, in lower case.
METHODS = _words(
    """deepfakes face2face faceswap neuraltextures faceshifter deepfakedetection faceswapgan fsgan
    wav2lip wavtolip faceswapwav2lip fsganwav2lip simswap inswapper blendface ghost hififace uniface
    mobilefaceswap facereenact talkingface dagan fsrt hyperreenact lia liveportrait mcnet tpsmm
    anitalker echomimic edtalk float iplap real3dportrait sadtalker methoda methodb"""
)
QUALITIES = _words("""raw c0 c23 c40 hq lq highquality higherquality lowquality lowerquality""")
# Names whose words contradict each other, or say nothing on their own, and what they mean.
SPECIAL_NAMES = (
    (re.compile(r"(?i)real[ _-]?video[ _-]*(real|fake)[ _-]?audio"), REAL),  # FakeAVCeleb
    (re.compile(r"(?i)fake[ _-]?video[ _-]*(real|fake)[ _-]?audio"), FAKE),
)

VIDEO_SUFFIXES = _words(
    """.3g2 .3gp .amv .asf .avi .divx .dv .f4v .flv .gif .h264 .h265 .hevc .ivf .m1v .m2t .m2ts .m2v
    .m4v .mjpeg .mjpg .mkv .mov .mp4 .mpe .mpeg .mpg .mts .mxf .nut .ogm .ogv .qt .rm .rmvb .ts .vob
    .webm .wmv .wtv .y4m"""
)


@dataclass(frozen=True)
class Reading:
    """What the name of one folder says."""

    classes: frozenset[str] = frozenset()  # REAL, FAKE; both: nothing that can be relied on
    splits: frozenset[str] = frozenset()
    quality: str = ""
    is_method: bool = False
    is_skipped: bool = False
    says_nothing_else: bool = False  # no word, or only words of these tables


@functools.cache
def read_name(name: str) -> Reading:
    """Return what the name of a folder says."""
    joined = re.sub(r"[^a-z0-9]", "", name.lower())
    words = {w.lower() for w in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}
    special = [label for pattern, label in SPECIAL_NAMES if pattern.fullmatch(name)]
    if special:
        return Reading(frozenset(special), says_nothing_else=True)
    if joined in QUALITIES:
        return Reading(quality=joined, says_nothing_else=True)
    classes, splits = _said(CLASSES, words), _said(SPLITS, words)
    if classes and (words & UNCLEAR or (classes == {REAL} and words & METHODS)):
        classes = frozenset(CLASSES)
    if joined in METHODS:
        return Reading(classes - {REAL}, is_method=True)  # Real3DPortrait makes fakes
    known = NEUTRAL.union(*CLASSES.values(), *SPLITS.values())
    if words & SKIPPED and words <= SKIPPED | known and not words <= known:
        return Reading(is_skipped=True)
    return Reading(classes, splits, says_nothing_else=words <= known)


def _said(table: dict[str, frozenset[str]], words: set[str]) -> frozenset[str]:
    return frozenset(meaning for meaning, of_it in table.items() if not words.isdisjoint(of_it))
