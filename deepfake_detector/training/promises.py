"""What a run folder promises: nothing of the user's is replaced in it, and its files are there.

check_folder(out, data, settings, options)                          # before a training
mend(stage, splits, state, trainer.save)     # before it goes on, or is said to be finished
"""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import FaceTrack
from deepfake_detector.face_dataset.settings import SETTINGS_NAME
from deepfake_detector.files import copy_whole
from deepfake_detector.output_paths import (
    OutputFile,
    begins_with,
    check_outputs,
    files_of_folder,
    is_chart,
    mentions,
)
from deepfake_detector.scoring.trained_model import MODEL_NAME, SPLIT_NAME, model_problem
from deepfake_detector.training import initial_weights, report, run_folder
from deepfake_detector.training.settings import FRAMES_FOLDER, RunOptions, Stage, TrainSettings


def check_folder(out: Path, data: Path, settings: TrainSettings, options: RunOptions) -> None:
    """Raise UserError where the run folder cannot be written, or a training would replace something
    in it that is of no training; see `output_paths.check_outputs`."""
    inputs = [data, data / SETTINGS_NAME]
    initial = initial_weights.find_initial_model(settings.initial, settings.architecture)
    if initial:
        inputs += [initial, initial.parent / SETTINGS_NAME]
    outputs = []
    for folder in (out, out / FRAMES_FOLDER) if settings.frame_epochs else (out,):
        outputs += files_of_folder("--out", folder, _run_files(folder))
    charts = {f"charts/{name}.png": is_chart for name in report.CHARTS}
    outputs += files_of_folder("--out", out, charts)[1:]
    if options.export:
        holds_model = lambda folder: (folder / "saved_model.pb").exists()  # noqa: E731
        outputs.append(OutputFile("--out", out / "export", holds_model, is_folder=True))
    check_outputs(outputs, inputs, options.overwrite)


def _run_files(folder: Path) -> dict[str, Callable[[Path], bool]]:
    """Return the files of a run by name, and how they are recognised."""

    def is_of_run(path: Path) -> bool:
        return (folder / run_folder.STATE_NAME).exists() or is_settings(folder / SETTINGS_NAME)

    def is_settings(path: Path) -> bool:
        return mentions(path, '"training":')

    return {
        MODEL_NAME: is_of_run,
        # A damaged one is mended.
        SETTINGS_NAME: lambda path: is_settings(path) or is_of_run(path),
        SPLIT_NAME: is_of_run,
        run_folder.HISTORY_NAME: lambda path: begins_with(path, "epoch,") or is_of_run(path),
    }


def mend(
    stage: Stage,
    splits: Mapping[str, Sequence[FaceTrack]],
    state: run_folder.RunState,
    save_last: Callable[[Path], None],
) -> None:
    """Make the files of a run again that are missing or damaged, and say so.

    `save_last` writes the model with the weights of the state, which are those of the model where
    the last epoch was the best one, or is kept in any case. Raises UserError where the weights of
    the best epoch are lost.
    """
    out, mended = stage.folder, []
    saved = run_folder.read_object(out / SETTINGS_NAME)
    found_later = [name for name in ("calibration", "operating_points") if name in saved]
    if not run_folder.holds_objects(saved, "training", "faces", *found_later):
        mended.append(SETTINGS_NAME)
    if not run_folder.read_object(out / SPLIT_NAME):
        mended.append(SPLIT_NAME)
    if mended:
        run_folder.begin(out, stage.run_settings, splits, new=False, names=mended)
    history = state.progress.history
    if history and not run_folder.holds_epochs(out, history):
        run_folder.write_history(out, history)
        mended.append(run_folder.HISTORY_NAME)
    problem = model_problem(out / MODEL_NAME) if history else ""
    if problem:
        _mend_model(out, problem, state, stage.keep_last, save_last)
        mended.append(MODEL_NAME)
    if mended:
        print(f"{', '.join(mended)} of {out}: missing or damaged, made again from its checkpoints")


def _mend_model(
    out: Path,
    problem: str,
    state: run_folder.RunState,
    keep_last: bool,
    save_last: Callable[[Path], None],
) -> None:
    history = state.progress.history
    best = min(history, key=lambda epoch: epoch["val_loss"])["epoch"]
    if not keep_last and not model_problem(out / run_folder.BEST_NAME):
        copy_whole(out / run_folder.BEST_NAME, out / MODEL_NAME)
    elif state.progress.step == 0 and (keep_last or best == state.progress.epoch):
        save_last(out / MODEL_NAME)
    else:
        raise UserError(
            f"{out / MODEL_NAME} {problem}, and the checkpoints hold the weights of epoch "
            f"{state.progress.epoch}, not those of the best one, {best}; put a copy of the file "
            "back, or --overwrite to train again"
        )
