"""What became of the videos that faces were asked for: the manifest of a folder of faces, summed.

data_quality.summarise(Path("faces"))["statuses"]      # {"no_face": 3, "ok": 97}
"""

from collections import Counter
from collections.abc import Mapping
from pathlib import Path

import evaluated_videos
import faces_folder

MOST_NAMED = 20  # videos listed of each kind


def summarise(data: Path) -> dict:
    """Return counts and the worst videos of a folder of faces; all zero without a manifest.

    `statuses` counts videos, `frames` and `averaged` count boxes. `without_faces` has name, status
    and reason of the first videos that gave none, `most_averaged` name, frames and share of those
    with the largest shares of averaged boxes, most first; `MOST_NAMED` of each at the most.
    """
    rows = sorted(faces_folder.read_manifest(data).values(), key=lambda row: row["filename"])
    usable = [row for row in rows if row["status"] == "ok"]
    frames = averaged = 0
    shares = []
    for row in usable:
        own_averaged, total = evaluated_videos.frame_counts(row)
        if total:
            frames, averaged = frames + total, averaged + own_averaged
            shares.append(_share(row, own_averaged, total))
    worst = sorted((found for found in shares if found["share"]), key=lambda found: -found["share"])
    without = [row for row in rows if row["status"] != "ok"]
    return {
        "data": str(data),
        "videos": len(rows),
        "statuses": dict(sorted(Counter(row["status"] for row in rows).items())),
        "frames": frames,
        "averaged": averaged,
        "without_faces": [
            {"name": row["filename"], "status": row["status"], "reason": row["reason"]}
            for row in without[:MOST_NAMED]
        ],
        "most_averaged": worst[:MOST_NAMED],
    }


def _share(row: Mapping, averaged: int, total: int) -> dict:
    return {"name": row["filename"], "frames": total, "share": averaged / total}
