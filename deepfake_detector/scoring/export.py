"""Writes a model for programs that know nothing of Keras: SavedModel and LiteRT.

    folder = export(Path("run/model.keras"), settings)

    run/export/
    ├── saved_model.pb   TensorFlow Serving, `tf.saved_model.load`, tf2onnx
    ├── variables/
    └── model.tflite     LiteRT (TensorFlow Lite): phones, browsers, `ai_edge_litert`

Both take clips `(batch, num_frames, height, width, 3) uint8`, plain RGB faces, and give raw scores
`(batch, 1) float32`, P(fake) before calibration. `batch` may be any number.
"""

import logging
import shutil
from collections.abc import Mapping
from pathlib import Path

import keras
import tensorflow as tf

from deepfake_detector.console import UserError, shortened
from deepfake_detector.files import written_whole
from deepfake_detector.networks.folding import fold_time
from deepfake_detector.scoring import model_file


def export(model_path: Path, settings: Mapping) -> Path:
    """Write the folder `export` next to a model and return its path.

    `settings` is the settings.json of the model. The `serve` of the SavedModel is what
    `tf.saved_model.load` and TensorFlow Serving offer, see
    https://keras.io/api/models/model_saving_apis/export/. Raises UserError if a converter refuses
    the network.
    """
    folder = model_path.parent / "export"
    model = model_file.open_checked(model_path, settings)
    for layer in model.layers:
        if isinstance(layer, keras.layers.RNN):
            # The loop of a recurrent layer keeps its steps in a TensorList, which LiteRT does not
            # have ("'tf.TensorListReserve' op requires element_shape to be static", 2.21).
            layer.unroll = True
    model = fold_time(model)
    logging.disable(logging.WARNING)  # what the converter says below an error
    try:
        with written_whole(folder) as partial:
            signature = [keras.InputSpec(shape=model.input_shape, dtype="uint8", name="clips")]
            model.export(partial, verbose=False, input_signature=signature)
            converter = tf.lite.TFLiteConverter.from_saved_model(str(partial))
            (partial / "model.tflite").write_bytes(converter.convert())
            shutil.rmtree(folder, ignore_errors=True)
    except Exception as error:  # what a converter does not know it refuses with any kind of error
        raise UserError(f"{model_path} cannot be exported: {shortened(str(error))}") from error
    finally:
        logging.disable(logging.NOTSET)
    return folder
