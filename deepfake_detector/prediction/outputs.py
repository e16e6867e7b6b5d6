"""To be written."""

import csv
import io
import math
from collections.abc import Iterable

from deepfake_detector.files import text_cell
from deepfake_detector.prediction.verdicts import Judged, JudgedFace


def csv_text(rows: Iterable[tuple[str, float]]) -> str:
    """Return `filename,label` lines, label = P(fake), as Kaggle's DFDC asks for.

    Names are guarded as `spreadsheet.text_cell` says.
    """
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerow(["filename", "label"])
    for name, score in rows:
        table.writerow([text_cell(name), f"{score:.6f}"])
    return text.getvalue()


def json_entry(judged: Judged) -> dict:
    """Return all that is known about a video, for a JSON file: times in seconds, boxes in pixels.

    Boxes are those of the crops that were scored.
    """
    decided_by = None
    if judged.decisive is not None:
        decided_by = {
            "window": judged.decisive.window.number,
            "face": judged.decisive.face.number,
        }
    return {
        "path": str(judged.path),
        "verdict": judged.verdict,
        "score": judged.score,
        "note": judged.note,
        "decided_by": decided_by,
        "fps": judged.found.fps if math.isfinite(judged.found.fps) else None,
        "frames": judged.found.frames,
        "frames_with_face": judged.found.frames_with_face,
        "seconds": round(judged.seconds, 3),
        "windows": [
            {
                "window": window.number,
                "start_sec": round(window.start_sec, 3),
                "end_sec": round(window.end_sec, 3),
                "frames": window.frames,
                "frames_with_face": window.frames_with_face,
                "faces": [_json_face(face) for face in judged.faces if face.window is window],
            }
            for window in judged.found.windows
        ],
    }


def _json_face(judged: JudgedFace) -> dict:
    face = judged.face
    moments = zip(face.moments, judged.moment_scores, strict=True)
    return {
        "face": face.number,
        "score": judged.score,
        "start_sec": round(face.start_sec, 3),
        "end_sec": round(face.end_sec, 3),
        "frames": face.num_frames,
        "detected": face.detected,
        "crops": [
            {
                "frame": crop.index,
                "time_sec": round(crop.time_sec, 3),
                "box_xywh": [round(float(side), 1) for side in crop.box_xywh],
                "source": crop.source,
            }
            for crop in face.crops
        ],
        "moments": [
            {"time_sec": round(moment.time_sec, 3), "score": score} for moment, score in moments
        ],
    }
