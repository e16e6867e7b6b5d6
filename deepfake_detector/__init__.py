"""The rooms behind the scripts. Data goes one way:

    videos        which videos there are, and what is known of each
    decoding      a video, a picture or a folder of pictures to frames with times
    faces         from frames to faces: detections, tracklets, averaged boxes, square crops
    face_dataset  the folder of faces on disk: settings, manifest, boxes, face tracks, splits
    clips         from face tracks to clips: pairs, sampling, decoding, augmentation, made fakes
    networks      the CNNs that see one frame, and how time is folded into the batch
    scoring       one clip scorer for all, calibration, metrics, the files of a trained model
    training      settings, training loop, checkpoints, the run folder
    evaluation    intervals, groups, robustness, the report
    verdicts      windows, verdicts, and what is made of them
    synthetic     synthetic people for the demo and the tests

Rooms import downwards only; tests/test_architecture.py has the order. No room imports a script,
and nothing that processing.py needs imports TensorFlow.
"""

import os

from deepfake_detector import startup

__version__ = "2.0.0"

# Before Keras is imported: other projects set other backends, here or in ~/.keras/keras.json.
os.environ["KERAS_BACKEND"] = "tensorflow"

if startup.runs_a_script():  # before its slow imports
    startup.handle_signals()
    startup.check_packages()
