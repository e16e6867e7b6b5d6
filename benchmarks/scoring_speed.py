"""How many videos a second predict.py scores, next to reading them and to finding their faces.

    python -m benchmarks.scoring_speed --videos DIR ...
    python -m benchmarks.scoring_speed --videos DIR --model run/model.keras

    reading    decoding of the seconds that predict.py looks at, without conversion to colours
    faces      reading, and cutting out the faces, as predict.py does
    scores     the clips of these faces, by the model
    predict    faces and scores

For each video they follow one another, in one process. Loading TensorFlow and the model, and its
first call, come before. Without --model the default network has random weights, which take as long
as trained ones.
"""

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.timing import Seconds, ratios, seconds_of
from deepfake_detector.console import UserError, command, print_table, quiet_tensorflow
from deepfake_detector.decoding.reader import open_video
from deepfake_detector.face_dataset.settings import SETTINGS_NAME, FaceSettings
from deepfake_detector.prediction.reading import read_videos
from deepfake_detector.prediction.scores import load_scorer, score_faces
from deepfake_detector.prediction.task import Task, prepare_task
from deepfake_detector.scoring.trained_model import MODEL_NAME
from deepfake_detector.videos import search

NUM_FRAMES, SIDE = 8, 192


@command
def main(argv: Sequence[str] | None = None) -> int:
    args = main_arguments().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="scoring-speed-") as folder:
        task = prepare_task(args.model or random_model(Path(folder)))
        seconds = time_videos(task, search.find_videos(args.videos), Path(folder))
    if not seconds:
        raise UserError("no face was found in these videos; give others with --videos")
    total = {
        name: Seconds(*(sum(column) for column in zip(*taken, strict=True)))
        for name, taken in seconds.items()
    }
    count = len(seconds["reading"])
    rows = [
        (name, f"{count / taken.wall:.2f} videos a second; {taken} in all")
        for name, taken in total.items()
    ]
    print_table(f"scoring of {count} videos", rows + ratios(total, "reading"))
    return 0


def main_arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add("--videos", nargs="+", type=Path, required=True, help="videos, or folders of them")
    add("--model", type=Path, help="model.keras of a run (default: random weights)")
    return parser


def random_model(folder: Path) -> Path:
    """Write the default network with random weights into `folder` and return its path."""
    with quiet_tensorflow():
        import model as networks
        from deepfake_detector.scoring import model_file
    model_file.save(networks.build_model(NUM_FRAMES, (SIDE, SIDE)), folder / MODEL_NAME)
    settings = {"faces": FaceSettings().saved(), "num_frames": NUM_FRAMES, "img_size": [SIDE] * 2}
    (folder / SETTINGS_NAME).write_text(json.dumps(settings), encoding="utf-8")
    return folder / MODEL_NAME


def time_videos(task: Task, videos: Sequence[Path], folder: Path) -> dict[str, list[Seconds]]:
    """Return the seconds of each way for each video that has a face."""
    scorer = load_scorer(task.model_path, task.model_settings)
    taken: dict[str, list[Seconds]] = {}
    for path in videos:
        found: list = []
        faces = seconds_of(
            lambda path=path, found=found: found.extend(faces_of(task, path, folder))
        )
        if not found[0].windows:
            continue
        if not taken:  # the first call traces the graph
            score_faces(scorer, found[0])
        scores = seconds_of(lambda found=found: score_faces(scorer, found[0]))
        predict = Seconds(*(sum(pair) for pair in zip(faces, scores, strict=True)))
        reading = seconds_of(lambda path=path: read(path, task.face_settings.capture_sec))
        row = {"reading": reading, "faces": faces, "scores": scores, "predict": predict}
        for name, seconds in row.items():
            taken.setdefault(name, []).append(seconds)
    return taken


def faces_of(task: Task, path: Path, folder: Path) -> list:
    return [found for _, found in read_videos(task, [path], folder, timeline=False)]


def read(path: Path, capture_sec: float) -> None:
    with open_video(path) as reader:
        for _ in reader.frames(capture_sec, fps=None):
            pass


if __name__ == "__main__":
    sys.exit(main())
