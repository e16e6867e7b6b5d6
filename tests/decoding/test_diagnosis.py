"""Why a file is not a usable video: the clause fits, and comes whatever the bytes."""

import os
from pathlib import Path

import damaged_videos as damaged
import numpy as np
import pytest

import sample_data
from deepfake_detector.decoding import diagnosis
from deepfake_detector.decoding.reader import UnreadableError, open_video

FPS = 25
GENERIC = "not a video FFmpeg can decode a frame of"
MOOV = "its index (the moov atom) is missing"


@pytest.fixture(scope="module")
def mp4(head_frames, tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("good") / "good.mp4"
    sample_data.write_video(path, head_frames[:5], FPS)
    return path.read_bytes()


def explain(path: Path) -> str:
    with pytest.raises(UnreadableError) as raised, open_video(path) as reader:
        list(reader.frames(1, None))
    return str(raised.value)


@pytest.fixture
def explain_bytes(tmp_path):
    def explain_content(content: bytes, name: str = "a.mp4") -> str:
        (tmp_path / name).write_bytes(content)
        return explain(tmp_path / name)

    return explain_content


@pytest.mark.parametrize(
    ("content", "clause"),
    [
        (b"", "the file is empty"),
        (bytes(70_000), "its first 65,536 bytes are zero"),
        ("eine Zeile\nвидео 😀\n".encode(), "text, not a video"),
        ("é".encode() * 40_000, "text, not a video"),  # the looked-at part ends within a letter
        ("text".encode("utf-16"), "text, not a video"),
        (b"\xef\xbb\xbf  <HTML>", "an HTML page, not a video"),
        (b"#EXTM3U\n#EXTINF:1,\na.mp4\n", "a list of other files to play, not a video"),
        (b"version https://git-lfs.github.com/spec/v1\n", "a Git LFS pointer"),
        (b"PK\x03\x04\x14\0", GENERIC),
        # Only the first picture of these was looked at.
        (b"RIFF\0\0\0\0WEBPVP8X\n\0\0\0\x02", "an animated WebP or PNG"),
        (b"\x89PNG\r\n" + b"\0" * 99 + b"acTL" + b"\0" * 99 + b"IDAT", "an animated WebP or PNG"),
        (b"\0\0\0\x18ftypheic", "a HEIC or AVIF photograph"),
        (b"OggS\0\x02" + bytes(20) + b"\x80theora", GENERIC),
        (b"\x1a\x45\xdf\xa3\x01\0\0", GENERIC),  # Matroska
        (b"\0\0\0\x18ftypisom", "cut off in its header"),
        (b"\0\0\0\x01moov", MOOV),
        (b"\x07\x08\x09" * 50, GENERIC),
    ],
)
def test_the_clause_fits_the_bytes(explain_bytes, content, clause):
    assert explain_bytes(content).startswith(clause)


def test_a_text_is_not_a_video_whatever_it_is_called(explain_bytes):
    """FFmpeg draws the letters of such files, and they were scored."""
    for name in ("release.nfo", "a.diz", "a"):
        assert explain_bytes(b"\n  Some Release\n  [info]\n", name) == "text, not a video"


def test_an_mp4_says_what_of_it_is_missing(explain_bytes, mp4):
    in_front = damaged.moov_first(mp4)
    unknown = mp4.replace(b"mp4v", b"xyzw").replace(b"\x04\x80\x80\x80", b"\x05\x80\x80\x80")
    for content, clause in (
        (mp4[:200], MOOV),
        (damaged.cut_before_moov(mp4), MOOV),
        (mp4[:-400], "cut off in its header or its index"),
        (in_front[:500], "cut off in its header or its index"),
        (in_front[: in_front.index(b"mdat") + 4], "cut off before its first whole frame"),
        (damaged.mp4_with_sound_only(), "sound only, no picture"),
        (unknown, f"{GENERIC} (its codec is unknown)"),
    ):
        assert explain_bytes(content).startswith(clause)


def test_what_is_no_file_is_told_apart(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    (tmp_path / "circle").symlink_to("circle")
    os.mkfifo(tmp_path / "pipe")
    assert explain(tmp_path / "gone") == explain(Path("nul\0")) == "no such file"
    assert explain(tmp_path / "half\ud83d") == "no such file"
    assert explain(tmp_path / "link") == "only a link to a file that is not there"
    assert explain(tmp_path / "circle") == "only a link to a file that is not there"
    assert explain(tmp_path) == "a folder without numbered pictures"
    assert explain(tmp_path / "pipe") == "not a file"
    assert explain(tmp_path / ("x" * 300)) in {
        "it cannot be read (File name too long)",
        "no such file",
    }


@pytest.mark.parametrize(
    ("error", "clause"),
    [
        (PermissionError(13, "Permission denied"), "no permission to read it"),
        (OSError(5, "Input/output error"), "it cannot be read (Input/output error)"),
        (UnicodeEncodeError("utf-8", "", 0, 1, ""), "no file can have this name"),
    ],
)
def test_a_file_that_cannot_be_opened_says_why(tmp_path, monkeypatch, error, clause):
    """In place of a locked file, which root could read, and of a broken disk."""

    def refuse(*_):
        raise error

    (tmp_path / "a.mp4").write_bytes(b"x")
    monkeypatch.setattr(Path, "open", refuse)
    assert explain(tmp_path / "a.mp4") == clause


@pytest.mark.slow
def test_whatever_the_bytes_there_is_one_clause(explain_bytes):
    """Seeded noise, alone and behind every start that is looked for."""
    rng = np.random.default_rng(0)
    starts = [b"", b"RIFF\0\0\0\0AVI ", b"OggS", b"\x1a\x45\xdf\xa3", *diagnosis.STARTS]
    starts += [b"\0\0\0\x08" + kind for kind in (b"ftyp", b"moov", b"mdat", b"free", b"moof")]
    starts += [b"ID3", b"\xff\xfb", b"fLaC", b"\xff\xd8\xff", b"\x89PNG\r\n", b"PK\x03\x04"]
    for content in [start + rng.bytes(int(rng.integers(300))) for start in starts * 5]:
        clause = explain_bytes(content)
        assert clause and clause.isprintable(), content[:40]
