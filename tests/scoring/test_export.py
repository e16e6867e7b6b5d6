"""A trained model exported for programs that know nothing of Keras or of us."""

import json
import subprocess
import sys

import keras
import numpy as np
import pytest

import model as networks
from deepfake_detector.scoring import model_file
from deepfake_detector.scoring.export import export

NUM_FRAMES, SIDE = 3, 32
SETTINGS = {"num_frames": NUM_FRAMES, "img_size": [SIDE, SIDE]}
SCORES = """
import json
import numpy as np, tensorflow as tf
clips = np.load("clips.npy")
served = tf.saved_model.load("export")
signature = served.signatures["serving_default"]
scores = [served.serve(clips), next(iter(signature(tf.constant(clips)).values()))]
lite = tf.lite.Interpreter("export/model.tflite").get_signature_runner()
for parts in [clips], [clips[:1], clips[1:]]:
    scores.append(np.concatenate([next(iter(lite(clips=part).values())) for part in parts]))
print(json.dumps([np.array(part)[:, 0].tolist() for part in scores]))
"""


@pytest.mark.thorough
def test_exported_models_give_the_scores_of_the_keras_model(small_lite0, tmp_path):
    keras.utils.set_random_seed(0)
    network = networks.build_model(NUM_FRAMES, (SIDE, SIDE))
    model_file.save(network, tmp_path / "model.keras")
    for _ in range(2):  # a second export replaces the first
        assert export(tmp_path / "model.keras", SETTINGS) == tmp_path / "export"
    shape = (3, NUM_FRAMES, SIDE, SIDE, 3)
    clips = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    np.save(tmp_path / "clips.npy", clips)
    expected = network.predict(clips, verbose=0)[:, 0]
    assert np.ptp(expected) > 1e-6  # the clips differ
    command = [sys.executable, "-I", "-c", SCORES]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    for scores in json.loads(done.stdout.splitlines()[-1]):
        assert scores == pytest.approx(expected, abs=1e-5)
