"""Networks of keras.applications as frame encoders: offline, with random weights.

What does not depend on the network is tested with a stand-in of two convolutions; the real ones
take seconds to build and to trace.
"""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import TINY, assert_weights_close, run_without_our_code

import model as networks
import train
from deepfake_detector.console import UserError
from deepfake_detector.face_dataset.face_tracks import list_faces
from deepfake_detector.face_dataset.settings import read_settings
from deepfake_detector.face_dataset.splits import split_tracks
from deepfake_detector.networks import backbones, catalogue, folding
from deepfake_detector.training import run_folder

STAND_IN = "stand-in"
LIGHT = "mobilenetv3-small"  # the real one that is built and traced soonest
FRAME = (32, 32, 3)
ALL_NAMES = tuple(catalogue.BACKBONES)


@pytest.fixture(scope="module", autouse=True)
def stand_in():
    """Make the stand-in one of the names, and keras.applications have it."""
    entry = catalogue.Backbone("StandIn", catalogue.PLUS_MINUS_ONE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.applications, "StandIn", two_convolutions, raising=False)
        patch.setitem(catalogue.BACKBONES, STAND_IN, entry)
        yield


def two_convolutions(include_top, input_shape, weights, pooling=None, filters=8):
    image = keras.Input(input_shape)
    x = keras.layers.Conv2D(filters, 3, strides=4, use_bias=False)(image)
    x = keras.layers.BatchNormalization()(x)
    x = keras.layers.Activation("swish")(x)
    x = keras.layers.Dropout(0.5, noise_shape=(None, 1, 1, 1))(x)
    x = keras.layers.Conv2D(filters, 3, activation="relu")(x)
    return keras.Model(image, keras.layers.GlobalAveragePooling2D()(x))


def frames(side=FRAME[0]):
    return np.random.default_rng(0).integers(0, 256, (2, side, side, 3)).astype(np.float32)


def clips():
    return np.random.default_rng(0).integers(0, 256, (2, 2, *FRAME), np.uint8)


def shift_statistics(network):
    """Replace the 0 and 1 that all moving statistics begin with, and that change nothing."""
    rng = np.random.default_rng(1)
    for weight in network.weights:
        if weight.name.startswith("moving_"):
            weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return network


def detector(name=STAND_IN, **options):
    keras.utils.set_random_seed(0)
    return shift_statistics(networks.build_model(2, FRAME[:2], name, **options))


def encoder_of(network):
    return network.get_layer("frames").layer


def backbone_weights(network):
    return encoder_of(network).get_layer("backbone").get_weights()


def equal(arrays, others):
    return all(np.array_equal(*pair) for pair in zip(arrays, others, strict=True))


# The real networks


@pytest.mark.parametrize("name", ALL_NAMES)
def test_every_name_is_a_network_of_keras(name):
    assert callable(getattr(keras.applications, catalogue.BACKBONES[name].application))


# One of each family that no other test builds: within a family, names differ in width and depth.
@pytest.mark.thorough
@pytest.mark.parametrize("name", ["densenet121", "mobilenetv2", "xception"])
def test_a_backbone_is_a_network_from_plain_frames_to_features(name):
    size = 71 if name == "xception" else 32
    encoder = backbones.backbone_encoder(name, (size, size, 3))
    assert encoder.input_shape == (None, size, size, 3)
    assert len(encoder.output_shape) == 2


@pytest.mark.thorough
@pytest.mark.parametrize("name", ["convnext-tiny", "resnet50"])  # layers of its own, a turned image
def test_unusual_layers_open_again(name, tmp_path):
    encoder = backbones.backbone_encoder(name, FRAME)
    encoder.save(tmp_path / "encoder.keras")
    opened = keras.models.load_model(tmp_path / "encoder.keras")
    assert np.array_equal(opened(frames()), encoder(frames()))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "preprocess"),
    [
        ("densenet121", keras.applications.densenet.preprocess_input),
        ("mobilenetv2", keras.applications.mobilenet_v2.preprocess_input),
        ("resnet50", keras.applications.resnet.preprocess_input),
        ("xception", keras.applications.xception.preprocess_input),
    ],
)
def test_pixels_reach_a_network_as_keras_preprocesses_them(name, preprocess, monkeypatch):
    def nothing(*_):
        image = keras.Input((71, 71, 3))
        return keras.Model(image, keras.layers.Activation("linear")(image), name="backbone")

    monkeypatch.setattr(backbones, "_with_weights", nothing)
    encoder = backbones.backbone_encoder(name, (71, 71, 3))
    expected = preprocess(frames(71).copy())
    assert encoder(frames(71)).numpy() == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize(
    ("name", "application"),
    [
        (LIGHT, "MobileNetV3Small"),
        pytest.param("efficientnetv2-b0", "EfficientNetV2B0", marks=pytest.mark.thorough),
        pytest.param("efficientnet-b0", "EfficientNetB0", marks=pytest.mark.thorough),
        pytest.param("convnext-tiny", "ConvNeXtTiny", marks=pytest.mark.thorough),
    ],
)
def test_features_are_those_of_the_network_with_its_own_preprocessing(name, application):
    encoder = shift_statistics(backbones.backbone_encoder(name, FRAME))
    stock = getattr(keras.applications, application)(
        include_top=False, weights=None, input_shape=FRAME, pooling="avg"
    )
    weights = encoder.get_weights()
    if name == "efficientnet-b0":  # what the imagenet file has, times what goes with it
        mean, deviation = np.array(catalogue.IMAGENET_MEAN), np.array(catalogue.IMAGENET_STD)
        weights = [mean, deviation**2, np.array(0), *weights]
    stock.set_weights(weights)
    if name == "efficientnet-b0":
        stock.layers[2].finalize_state()
    expected = stock(frames()).numpy()
    assert encoder(frames()).numpy() == pytest.approx(expected, rel=1e-3, abs=1e-5)


@pytest.mark.slow
@pytest.mark.parametrize("name", [STAND_IN, LIGHT])
def test_normalisation_and_dropout_of_a_backbone_are_the_same_in_training(name):
    """training=False in its call was not enough: an outer model's training=True went through."""
    backbone = shift_statistics(backbones.backbone_encoder(name, FRAME)).get_layer("backbone")
    image = keras.Input(FRAME)
    outer = keras.Model(image, backbone(image))
    before = outer.get_weights()
    trained, scored = outer(frames(), training=True), outer(frames(), training=False)
    assert np.array_equal(trained, scored)
    assert np.abs(scored).max() > 0
    assert equal(outer.get_weights(), before)


def test_frames_that_are_too_small_are_one_sentence():
    with pytest.raises(UserError, match="70 x 70 pixels, xception needs 71 x 71 or more"):
        backbones.backbone_encoder("xception", (70, 70, 3))


# First weights


@pytest.mark.parametrize("suffix", [".weights.h5", ".h5", ".keras"])
def test_weights_come_from_a_file_of_the_network(tmp_path, suffix):
    stock = shift_statistics(two_convolutions(False, FRAME, None))
    path = tmp_path / f"file{suffix}"
    stock.save_weights(path) if suffix == ".weights.h5" else stock.save(path)
    encoder = backbones.backbone_encoder(STAND_IN, FRAME, str(path))
    assert equal(encoder.get_weights(), stock.get_weights())


@pytest.mark.thorough
def test_weights_of_a_real_network_come_from_a_file(tmp_path):
    stock = keras.applications.MobileNetV3Small(include_top=False, weights=None, input_shape=FRAME)
    path = tmp_path / "file.weights.h5"
    shift_statistics(stock).save_weights(path)
    encoder = backbones.backbone_encoder(LIGHT, FRAME, str(path))
    assert equal(encoder.get_weights(), stock.get_weights())


@pytest.mark.filterwarnings("ignore:Skipping nested container")
@pytest.mark.parametrize(
    "name", ["other.weights.h5", "other.h5", "other.keras", "older_layout.weights.h5"]
)
def test_a_file_of_another_network_is_one_sentence(tmp_path, name):
    """A file of the layout of Keras 2 called .weights.h5 loads with a warning, and changes none."""
    path = tmp_path / name
    stock = two_convolutions(False, FRAME, None, filters=8 if "older" in name else 16)
    if name == "other.weights.h5":
        stock.save_weights(path)
    else:
        stock.save(tmp_path / name.replace(".weights", ""))
        (tmp_path / name.replace(".weights", "")).rename(path)
    with pytest.raises(UserError, match=f"{name} holds no weights of stand-in") as caught:
        backbones.backbone_encoder(STAND_IN, FRAME, str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["text.weights.h5", "text.h5", "text.keras", "text.txt"])
def test_a_file_that_holds_no_weights_is_one_sentence(tmp_path, name):
    (tmp_path / name).write_text("no weights")
    with pytest.raises(UserError, match=f"{name} holds no weights of stand-in"):
        backbones.backbone_encoder(STAND_IN, FRAME, str(tmp_path / name))


def test_a_file_that_is_not_there_is_one_sentence(tmp_path):
    with pytest.raises(UserError, match="there is no file .*gone.h5; --from takes"):
        backbones.backbone_encoder(STAND_IN, FRAME, str(tmp_path / "gone.h5"))


def test_a_download_that_fails_is_one_sentence_that_names_the_file(monkeypatch):
    def offline(weights, **_):
        assert weights == "imagenet"
        raise Exception("URL fetch failure on https://host/notop.h5: None -- no such host")

    monkeypatch.setattr(keras.applications, "StandIn", offline)
    with pytest.raises(
        UserError, match=r"https://host/notop.h5.* give a file that you have, --from FILE"
    ):
        backbones.backbone_encoder(STAND_IN, FRAME, catalogue.IMAGENET)


# The detector


@pytest.mark.slow
@pytest.mark.parametrize(("name", "frozen"), [(STAND_IN, False), (STAND_IN, True), (LIGHT, False)])
def test_training_the_folded_network_changes_the_backbone_only_where_it_is_not_frozen(name, frozen):
    network = detector(name)
    if frozen:
        backbones.freeze(encoder_of(network))
    before = backbone_weights(network)
    folded = folding.fold_time(network, 0, tf.Variable(0, dtype=tf.int64))
    optimizer = keras.optimizers.AdamW(1e-2, weight_decay=0.1)
    folded.compile(optimizer, "binary_crossentropy", run_eagerly=True)
    folded.train_on_batch(clips(), np.array([[0.0], [1.0]]))
    assert len(folded.optimizer.variables) == 2 + 2 * len(folded.trainable_variables)
    assert equal(backbone_weights(network), before) == frozen
    assert folded(clips()).numpy() == pytest.approx(network(clips()).numpy(), abs=1e-6)


@pytest.mark.slow
def test_a_frozen_detector_opens_without_any_of_our_code_and_gives_the_same_scores(tmp_path):
    network = detector()
    backbones.freeze(encoder_of(network))
    network.save(tmp_path / "model.keras")
    np.save(tmp_path / "clips.npy", clips())
    script = (
        "import json, sys, numpy as np, tensorflow as tf\n"
        "model = tf.keras.models.load_model('model.keras')\n"
        "scores = model(np.load('clips.npy')).numpy()\n"
        "ours = [m for m in ('model', 'backbones', 'train', 'console') if m in sys.modules]\n"
        "dtypes = sorted({weight.dtype for weight in model.weights})\n"
        "print(json.dumps([scores.tolist(), dtypes, ours]))\n"
    )
    scores, dtypes, ours = run_without_our_code(script, tmp_path)
    assert scores == pytest.approx(network(clips()).numpy(), abs=1e-6)
    assert (dtypes, ours) == (["float32"], [])


@pytest.mark.slow
def test_weights_have_the_same_order_frozen_or_not_also_after_opening_a_frozen_one(tmp_path):
    free, frozen = detector(), detector()
    backbones.freeze(encoder_of(frozen))
    frozen.save(tmp_path / "model.keras")
    opened = keras.models.load_model(tmp_path / "model.keras")
    for other in (frozen, opened):
        assert [weight.name for weight in other.weights] == [weight.name for weight in free.weights]
        assert len(other.trainable_variables) == 3 + 2  # LSTM and Dense
    for weight in free.weights:
        weight.assign(tf.zeros_like(weight))
    free.set_weights(opened.get_weights())
    assert len(free.trainable_variables) == 3 + 3 + 2  # two kernels and a bias more
    assert free(clips()).numpy() == pytest.approx(frozen(clips()).numpy(), abs=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["mixed_bfloat16", "mixed_float16"])
def test_16_bits_score_almost_as_32_bits(precision):
    exact, mixed = detector(), detector(precision=precision)
    mixed.set_weights(exact.get_weights())
    backbone = encoder_of(mixed).get_layer("backbone")
    assert encoder_of(mixed).get_layer("scale").compute_dtype == "float32"
    assert backbone.output.dtype == precision.removeprefix("mixed_")
    assert mixed(clips()).numpy() == pytest.approx(exact(clips()).numpy(), abs=0.01)


# The two runs of the recipe


def settings(**changes):
    small = {"epochs": 1, "batch_size": 4, "num_frames": 2, "img_size": 32, "patience": 9}
    small |= {"frame_epochs": 0, "min_steps": 1, "self_blend": 0}
    return train.TrainSettings(**(small | {"architecture": STAND_IN} | changes))


def frozen_settings(weights_file):
    return settings(epochs=2, initial=str(weights_file), freeze_backbone=True)


def training(faces, out, settings, callbacks=(), **options):
    parts = split_tracks(list_faces(faces), 0.3, 0, 0)
    strategy = tf.distribute.MirroredStrategy()
    options = train.RunOptions(**options)
    train.train_splits(parts, out, read_settings(faces), settings, options, strategy, callbacks)
    return keras.models.load_model(out / "model.keras")


class Stop(Exception):
    """Stands for whatever ends a process from one moment to the next."""


class StopInTheSecondEpoch(keras.callbacks.Callback):
    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 1:
            raise Stop


@pytest.fixture(scope="module")
def weights_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("weights") / "file.weights.h5"
    shift_statistics(two_convolutions(False, FRAME, None)).save_weights(path)
    return path


@pytest.fixture(scope="module")
def head(sample_faces, weights_file, tmp_path_factory):
    """A run of two epochs with a frozen backbone."""
    out = tmp_path_factory.mktemp("runs") / "head"
    training(sample_faces, out, frozen_settings(weights_file))
    return out


def test_a_frozen_run_keeps_the_weights_of_the_file_and_stores_where_they_are_from(
    head, weights_file
):
    network = keras.models.load_model(head / "model.keras")
    stock = two_convolutions(False, FRAME, None)
    stock.load_weights(weights_file)
    assert equal(backbone_weights(network), stock.get_weights())
    saved = json.loads((head / "settings.json").read_text())["training"]
    assert saved["architecture"] == STAND_IN
    assert saved["initial"] == str(weights_file)
    assert saved["freeze_backbone"] is True


@pytest.mark.slow
def test_a_frozen_run_that_was_stopped_ends_as_if_it_never_had_been(
    sample_faces, head, weights_file, tmp_path
):
    out, file = tmp_path / "run", tmp_path / "file.weights.h5"
    file.write_bytes(weights_file.read_bytes())
    with pytest.raises(Stop):
        training(sample_faces, out, frozen_settings(file), [StopInTheSecondEpoch()])
    file.unlink()  # all weights are in the state
    training(sample_faces, out, frozen_settings(file))

    def variables(run):
        with np.load(run / run_folder.STATE_NAME) as state:
            return [state[name] for name in state.files if name.startswith("variable")]

    assert equal(variables(out), variables(head))


@pytest.mark.slow
def test_the_second_run_trains_the_whole_network_and_asks_for_no_weights(
    sample_faces, head, tmp_path, monkeypatch
):
    asked, build = [], backbones._with_weights
    monkeypatch.setattr(
        backbones, "_with_weights", lambda *given: asked.append(given[-1]) or build(*given)
    )
    initial, out = head / "model.keras", tmp_path / "tuned"
    tuned = training(sample_faces, out, settings(learning_rate=1e-5, initial=initial))
    before = keras.models.load_model(initial)
    assert set(asked) == {"random"}
    assert len(tuned.trainable_variables) == len(before.trainable_variables) + 3
    assert not equal(backbone_weights(tuned), backbone_weights(before))
    assert_weights_close(tuned.get_weights(), before.get_weights(), within=1e-3)
    saved = json.loads((out / "settings.json").read_text())
    assert saved["training"]["initial"] == str(initial)


def test_a_backbone_begins_with_imagenet_weights_by_default():
    assert settings().initial == "imagenet"
    assert train.TrainSettings(architecture="baseline").initial == "random"


# The command line


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        (
            ["--architecture", LIGHT, "--img-size", "31"],
            "needs 32 x 32 or more; give a larger --img-s",
        ),
        (["--freeze-backbone"], "baseline has no backbone"),
        (["--from", "imagenet"], "no weights of ImageNet for baseline"),
        (["--from", "pretrained"], "model is one of efficientnet-lite0, not of baseline"),
    ],
)
def test_flags_that_do_not_go_together_are_one_sentence(
    sample_faces, tmp_path, capsys, flags, sentence
):
    where = ["--data", str(sample_faces), "--out", str(tmp_path / "run")]
    assert train.main([*where, *TINY, *flags]) == 2
    assert sentence in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("words", "other"),
    [
        (["--architecture", "baseline", "--backbone", LIGHT], "--architecture"),
        (["--from", "random", "--initial-model", "m.keras"], "--from"),
        (["--initial-model", "m.keras", "--backbone-weights", "none"], "--initial-model"),
    ],
)
def test_two_answers_to_one_question_are_a_usage_error(capsys, words, other):
    with pytest.raises(SystemExit) as caught:
        train.main(["--data", "faces", "--out", "run", *words])
    assert caught.value.code == 2
    assert f"not allowed with argument {other}" in capsys.readouterr().err
