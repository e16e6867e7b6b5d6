"""Writes a model for programs that know nothing of Keras: SavedModel, LiteRT and ONNX.

    folder, notes = export(Path("run/model.keras"), settings)

    run/export/
    ├── saved_model.pb   TensorFlow Serving, `tf.saved_model.load`
    ├── variables/
    ├── model.tflite     LiteRT (TensorFlow Lite): phones, browsers, `ai_edge_litert`
    └── model.onnx       ONNX Runtime and what else reads ONNX; needs requirements-export.txt

All three take clips `(batch, num_frames, height, width, 3) uint8`, plain RGB faces, and give raw
scores `(batch, 1) float32`, P(fake) before calibration. `batch` may be any number.
"""

import contextlib
import logging
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import keras
import tensorflow as tf

from deepfake_detector.console import shortened
from deepfake_detector.files import written_whole
from deepfake_detector.networks.folding import fold_time
from deepfake_detector.scoring import model_file

LITERT_NAME, ONNX_NAME = "model.tflite", "model.onnx"
# Of 2022, which ONNX Runtime 1.12 and later read; nothing here needs a newer one.
ONNX_OPSET = 17


def export(model_path: Path, settings: Mapping) -> tuple[Path, list[str]]:
    """Write the folder `export` next to a model; return its path and a sentence for each format
    that could not be written.

    `settings` is the settings.json of the model. The SavedModel is always written; its `serve` is
    what `tf.saved_model.load` and TensorFlow Serving offer, see
    https://keras.io/api/models/model_saving_apis/export/
    """
    folder = model_path.parent / "export"
    model = _unrolled(model_file.open_checked(model_path, settings))
    notes = []
    with written_whole(folder) as partial:
        signature = [keras.InputSpec(shape=model.input_shape, dtype="uint8", name="clips")]
        model.export(partial, verbose=False, input_signature=signature)
        for name, write in ((LITERT_NAME, _write_litert), (ONNX_NAME, _write_onnx)):
            try:
                with _quiet_converters():
                    write(model, partial)
            # What a converter does not know it refuses with errors of any kind.
            except Exception as error:
                notes.append(f"{name} was not written: {shortened(str(error))}")
        shutil.rmtree(folder, ignore_errors=True)
    return folder, notes


def _unrolled(model: keras.Model) -> keras.Model:
    """Return the model with time folded into the batch and its recurrence as plain operations.

    The loop of a recurrent layer keeps its steps in a TensorList, which LiteRT does not have
    ("'tf.TensorListReserve' op requires element_shape to be static", TensorFlow 2.21).
    """
    for layer in model.layers:
        if isinstance(layer, keras.layers.RNN):
            layer.unroll = True
    return fold_time(model)


def _write_litert(_: keras.Model, folder: Path) -> None:
    converter = tf.lite.TFLiteConverter.from_saved_model(str(folder))
    (folder / LITERT_NAME).write_bytes(converter.convert())


def _write_onnx(model: keras.Model, folder: Path) -> None:
    try:
        import tf2onnx
    except ImportError as error:
        raise ImportError(f"{error}; pip install -r requirements-export.txt") from error
    score = tf.function(lambda clips: model(clips, training=False))
    signature = [tf.TensorSpec(model.input_shape, tf.uint8, name="clips")]
    tf2onnx.convert.from_function(
        score, signature, opset=ONNX_OPSET, output_path=str(folder / ONNX_NAME)
    )


@contextlib.contextmanager
def _quiet_converters() -> Iterator[None]:
    """Keep what converters log below an error from the terminal."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(before)
