"""What is no file: addresses and cameras, given as a video or a folder of videos.

    path = local_path("holiday.mp4")
    local_path("https://example.org/a.mp4")     # UserError: download it first

A file of its own, because `pathlib` makes "https:/example.org" of an address: this looks first.
"""

import re
from pathlib import Path

from deepfake_detector.console import UserError
from deepfake_detector.files import ADDRESS, as_given, is_there

CAMERA = re.compile(r"(/dev/video)?(?P<number>\d{1,2})")
STREAMS = ("rtsp", "rtsps", "rtmp", "rtmps", "rtp", "udp", "tcp", "srt", "mms")
PLAYLISTS = (".m3u8", ".mpd")  # over http
RECORD = "record it first, such as with: ffmpeg -t 10"


def local_path(place: str | Path) -> Path:
    """Return the path of a video or a folder as the user gave it.

    Whatever is on the disk under that name is a file, also one called "0". Raises UserError for
    an address or the number of a camera, with what to do instead.
    """
    text, path = str(place), Path(place)
    if is_there(path):
        return path
    if camera := CAMERA.fullmatch(text):
        raise UserError(
            f"there is no file or folder {text}; if a camera is meant, {RECORD} -f v4l2 -i "
            f"/dev/video{camera['number']} camera.mkv"
        )
    if address := ADDRESS.fullmatch(text):
        remedy = _remedy(address)
        raise UserError(f"{as_given(place)} is an address, and only files are read; {remedy}")
    return path


def _remedy(address: re.Match) -> str:
    scheme, rest = address["scheme"].lower(), address["rest"].lstrip("/")
    url = f"{scheme}://{rest}"
    if scheme == "file":
        return f"give the path alone: /{rest}"
    if scheme in STREAMS or rest.partition("?")[0].lower().endswith(PLAYLISTS):
        return f"{RECORD} -i '{url}' -c copy recording.mkv"
    return f"download it first, such as with: curl -LO '{url}' (from a page: yt-dlp '{url}')"
