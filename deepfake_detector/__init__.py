"""The rooms behind the scripts. Data goes one way:

    decoding      a video, a picture or a folder of pictures to frames with times
    videos        which videos there are, and what they are labelled
    face_dataset  the folder of faces on disk: settings, manifest, boxes, face tracks, splits
    faces         from frames to faces: detections, tracklets, averaged boxes, square crops
    clips         from face tracks to clips: pairs, sampling, decoding, augmentation, self-blending
    networks      the CNNs that see one frame, and how time is folded into the batch
    scoring       one scorer for all, calibration, metrics, the files of a trained model
    training      settings, training loop, checkpoints, the run folder
    evaluation    intervals, groups, robustness, the report
    prediction    windows, verdicts
    results       what people see of verdicts: tables, charts, annotated videos, pages
    web_app       the page of app.py
    synthetic     synthetic people for the demo and the tests

Rooms import downwards only: endings, libraries, files, console < output_paths, images, charts,
pages, parallel < decoding < videos, networks, synthetic < face_dataset < faces, clips < scoring <
training, evaluation, prediction < results < web_app. No room imports a script, and nothing that
processing.py needs imports TensorFlow.
"""

from deepfake_detector import endings, libraries

__version__ = "1.0.0"

endings.install()
# Before any file below imports them.
libraries.require(*libraries.NEEDED)
libraries.require_opencv()
