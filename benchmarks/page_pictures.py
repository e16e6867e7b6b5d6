"""Makes the pictures of the page of app.py that are in the README.

    python -m benchmarks.page_pictures --out docs/images

Two synthetic people are drawn, and the page judges them in headless Chromium with the model that
comes with the project: once on a wide screen in light, and once on a phone in dark. Needs Chromium
with its driver and requirements-dev.txt.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from benchmarks.browser import Browser, served_page
from deepfake_detector.files import written_whole
from sample_data import make_sample_set

QUALITY = 80
PICTURES = {
    "page_wide": (1280, 1040, False),
    "page_phone": (360, 1040, True),
}  # width, height, dark


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--out", type=Path, required=True, metavar="DIR", help="of the pictures")
    args = parser.parse_args(argv)
    args.out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="pictures-") as folder, served_page() as address:
        make_sample_set(folder, num_people=2, seconds=4, frame_size=640, seed=5)
        videos = sorted(Path(folder).glob("*.mp4"))[:2]
        for name, (width, height, dark) in PICTURES.items():
            with Browser(width, height, dark) as tab:
                tab.open(address)
                tab.drop(videos)
                tab.wait_for_verdicts(len(videos))
                choose_a_moment(tab)
                # A phone shows the verdict below what one drops files on.
                tab.save_picture(Path(folder) / "page.png", height, "#shown" if dark else "body")
            save(Path(folder) / "page.png", args.out / f"{name}.jpeg")
    return 0


def choose_a_moment(tab: Browser) -> None:
    """Show the map of the moment in the middle."""
    moments = tab.all("#shown input[data-moment]")
    order = len(moments) // 2
    tab.click(f"#shown input[data-moment='{order}']")
    tab.wait(lambda: tab.all("#shown img[alt^='Map']"))


def save(png: Path, path: Path) -> None:
    image_bgr = np.asarray(cv2.imread(str(png)))
    content = cv2.imencode(".jpeg", image_bgr, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])[1].tobytes()
    with written_whole(path) as partial:
        partial.write_bytes(content)
    print(f"{path}: {image_bgr.shape[1]} x {image_bgr.shape[0]}, {len(content) / 1000:.0f} KB")


if __name__ == "__main__":
    sys.exit(main())
