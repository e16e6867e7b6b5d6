"""What a call of predict.py will do, checked before any video is opened. No TensorFlow.

task = prepare_task(PredictOptions(model=Path("run"), whole=True))
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from deepfake_detector.console import ArgumentError, setting
from deepfake_detector.face_dataset.settings import AS_IS, FaceSettings
from deepfake_detector.parallel import Machines
from deepfake_detector.scoring import calibration, trained_model
from deepfake_detector.verdicts.rule import Rule
from deepfake_detector.videos.search import PICTURE_CHOICES


@dataclass(frozen=True, kw_only=True)
class PredictOptions(calibration.PointOptions):
    """The options of predict.py and the keyword arguments of `predict.predict`.

    Raises UserError for values that cannot work.
    """

    model: Path | str | None = setting(
        None,
        "model.keras of a run, or the run folder (default: the model that comes with this project)",
        metavar="FILE",
    )
    faces: str | None = setting(
        None,
        "score every face of a video, its main face only, or the central square of each frame as "
        "it is (default: all, or as-is for a model that was trained on such)",
        choices=["all", "main", AS_IS],
    )
    whole: bool = setting(False, "score all of a video, in windows as long as its first one")
    search_sec: float | None = setting(
        None,
        "seconds that are searched for the first face (default: as the model was trained, 60)",
    )
    pictures: str = setting(
        "auto",
        "numbered pictures in one folder: the frames of one video, or single pictures "
        "(%(default)s: by the folder's name)",
        choices=PICTURE_CHOICES,
    )
    workers: int = setting(0, "processes that read videos; 0 reads them in this one (%(default)s)")
    timeout_sec: float | None = setting(
        None,
        "seconds before a video, or with --whole a window, is given up (default: by the model's "
        "capture_sec and by --search-sec)",
    )
    explain: bool = setting(
        False, "with --annotate or --html, a map of the parts of the face that the score rests on"
    )
    moments: bool = False  # also score each face along the video, twice a second
    jpegs: bool = False  # also pictures of these moments, for a page

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.workers < 0:
            raise ArgumentError("workers", self.workers, "0 or more")


@dataclass(frozen=True)
class Task:
    """Which model scores, which part of a video, and what its scores mean."""

    model_path: Path
    model_settings: Mapping  # the settings.json next to it
    model: trained_model.ModelOrigin  # what each verdict says about the model
    face_settings: FaceSettings  # how faces are found and cut out
    rule: Rule  # how scores become a verdict
    machines: Machines
    options: PredictOptions

    @property
    def timeout_sec(self) -> float:
        """Seconds of work after which a video, with `whole` a window, is given up."""
        settings = self.face_settings
        return self.machines.limit_sec(settings.capture_sec, settings.search_end_sec)


def prepare_task(options: PredictOptions) -> Task:
    """Return the task.

    Raises UserError if the model is not there, if another version made it, and for options that
    cannot work.
    """
    model_path = trained_model.find_model(options.model)
    settings = trained_model.read_model_settings(model_path)
    point = calibration.operating_point(settings, options)
    trained = FaceSettings(**settings["faces"])
    face_settings = replace(
        trained,
        faces=options.faces or (AS_IS if trained.faces == AS_IS else "all"),
        search_sec=trained.search_sec if options.search_sec is None else options.search_sec,
    )
    origin = trained_model.model_origin(model_path, settings)
    return Task(
        model_path=model_path,
        model_settings=settings,
        model=origin,
        face_settings=face_settings,
        rule=Rule(point, face_settings.capture_sec, origin.is_synthetic),
        machines=Machines(options.workers, None, options.timeout_sec),
        options=options,
    )
