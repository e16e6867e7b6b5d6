"""What a call of predict.py will do, checked before any video is opened. No TensorFlow.

task = prepare_task(Path("run/model.keras"), whole=True)
"""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from deepfake_detector.console import ArgumentError, UserError
from deepfake_detector.face_dataset.settings import AS_IS, FaceSettings, setting_differences
from deepfake_detector.faces.yunet import detector_settings
from deepfake_detector.files import is_stream
from deepfake_detector.output_paths import OutputFile, has_json_keys, is_chart, mentions
from deepfake_detector.parallel import Machines
from deepfake_detector.prediction.verdicts import WINDOW_RULES, Rule
from deepfake_detector.scoring import calibration, trained_model

CSV_FORMATS = ("columns", "dfdc")
NO_FACE_SCORE = 0.5  # in the form of DFDC, which has no empty labels
PAGE_AUTHOR = "predict.py of deepfake-detector"  # as a page names it


@dataclass(frozen=True)
class Task:
    """Which model scores, of what in a video, and what its scores mean."""

    model_path: Path
    model_settings: Mapping  # the settings.json next to it
    face_settings: FaceSettings  # how faces are found and cut out
    operating_point: calibration.OperatingPoint  # where the threshold comes from
    rule: Rule  # how scores become a verdict
    whole: bool  # all of a video, or the first seconds of it
    machines: Machines
    model: trained_model.ModelOrigin  # what each verdict says of the model

    @property
    def timeout_sec(self) -> float:
        """Seconds of work after which a video, with `whole` a window, is given up."""
        settings = self.face_settings
        return self.machines.limit_sec(settings.capture_sec, settings.search_end_sec)


def prepare_task(
    model: Path | str | None,
    operating_point: str | None = None,
    faces: str | None = None,
    whole: bool = False,
    windows: str = "worst",
    workers: int = 0,
    timeout_sec: float | None = None,
    search_sec: float | None = None,
    detector: str | None = None,
) -> Task:
    """Return the task; for the options see `predict.predict`.

    Raises UserError where the model is not there, where it expects faces that this version does not
    make, and for options that cannot work.
    """
    if workers < 0:
        raise ArgumentError("workers", workers, "0 or more")
    if windows not in WINDOW_RULES:
        raise ArgumentError("windows", windows, f"one of {', '.join(WINDOW_RULES)}")
    machines = Machines(workers, None, timeout_sec)
    model_path = trained_model.find_model(model)
    settings = trained_model.read_model_settings(model_path)
    point = calibration.operating_point(settings, operating_point)
    trained = _face_settings(settings, model_path, detector)
    face_settings = replace(
        trained,
        faces=faces or (AS_IS if trained.faces == AS_IS else "all"),
        search_sec=trained.search_sec if search_sec is None else search_sec,
    )
    rule = Rule(point.threshold, face_settings.capture_sec, windows, point.uncertain)
    origin = trained_model.model_origin(model_path, settings)
    return Task(model_path, settings, face_settings, point, rule, whole, machines, origin)


def _face_settings(model_settings: Mapping, model_path: Path, detector: str | None) -> FaceSettings:
    """Return how faces are cut out for a model; raises UserError where this code cannot do so."""
    wanted = model_settings["faces"] if isinstance(model_settings["faces"], dict) else {}
    ours = FaceSettings(**detector_settings(detector))
    wanted_detector = str(wanted.get("detector"))
    if wanted_detector != ours.detector and "yunet" in wanted_detector + ours.detector:
        if wanted_detector.startswith("yunet"):
            said = f"that YuNet found, with a file of {wanted_detector.removeprefix('yunet ')}"
            if ours.detector_file is not None:
                said += f", and {ours.detector_file} is another one"
            remedy = "give that file: --detector yunet=FILE"
        else:
            said, remedy = "that Haar cascades found", "leave --detector out"
        raise UserError(f"{model_path} was trained on faces {said}; {remedy}")
    known = ("contract", "detector")
    differences = setting_differences(
        {name: getattr(ours, name) for name in known},
        {name: wanted.get(name) for name in known},
        by="the model expects",
    )
    try:
        if not differences:
            return FaceSettings(**wanted | {"detector_file": ours.detector_file})
    except TypeError:
        differences = "its settings.json has settings of faces that are not known here"
    raise UserError(
        f"{model_path} was trained on faces that this version does not make: {differences}; "
        "train a model with this version, or leave --model out to take the one that comes with it"
    )


@dataclass(frozen=True)
class Destinations:
    """Where the results go; nothing is written where a path is None."""

    csv: Path | None = None
    json: Path | None = None
    pictures: Path | None = None  # a folder
    csv_format: str = "columns"  # or "dfdc"
    no_face_score: float | None = None  # the label of a video without a score, for "dfdc"
    explain: bool = False  # draw an occlusion map, too
    html: Path | None = None

    @property
    def unfinished(self) -> Path | None:
        """The file that a stopped run leaves behind, next to the JSON, the CSV or the HTML file;
        None where all go to a stream, which cannot be taken up."""
        files = [path for path in (self.json, self.csv, self.html) if path and not is_stream(path)]
        return files[0].with_name(f"{files[0].name}.unfinished.jsonl") if files else None

    @property
    def timeline(self) -> bool:
        """Whether there is something that shows scores over time."""
        return any(path is not None for path in (self.json, self.pictures, self.html))


def output_files(to: Destinations, stems: Sequence[str]) -> list[OutputFile]:
    """Return what will be written, and how earlier results are recognised as ours."""
    files = []
    if to.csv is not None:
        files.append(OutputFile("--csv", to.csv, _is_table_of_scores))
    if to.json is not None:
        keys = ("model", "operating_point")
        files.append(OutputFile("--json", to.json, lambda path: has_json_keys(path, *keys)))
    if to.html is not None:
        mark = f'content="{PAGE_AUTHOR} '
        files.append(OutputFile("--html", to.html, lambda path: mentions(path, mark)))
    if to.pictures is not None:
        files.append(OutputFile("--annotate", to.pictures, is_folder=True))
        names = ("timeline.png", "occlusion.png", "annotated.png", "annotated.mp4")
        for stem in stems:
            # A chart is drawn first, with every annotated copy.
            is_ours = functools.partial(_is_next_to_chart, stem)
            files += [
                OutputFile("--annotate", to.pictures / f"{stem}_{name}", is_ours) for name in names
            ]
    return files


def _is_next_to_chart(stem: str, path: Path) -> bool:
    return is_chart(path.with_name(f"{stem}_timeline.png"))


def _is_table_of_scores(path: Path) -> bool:
    """Return whether predict.py wrote a CSV: its header, and in Kaggle's form scores with six
    decimals, which labels of other people are not."""
    try:
        with path.open(encoding="utf-8", errors="replace", newline="") as file:
            header, first = file.readline().strip(), file.readline().strip()
    except OSError:
        return False
    kaggle = header == "filename,label" and (not first or re.search(r",[01]\.\d{6}$", first))
    return bool(kaggle) or header.startswith("filename,status,score")
