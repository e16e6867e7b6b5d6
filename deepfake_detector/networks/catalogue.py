"""The names of the networks and what each one needs: no TensorFlow, so that --help is quick."""

from collections.abc import Sequence
from dataclasses import dataclass

from deepfake_detector.console import UserError

ARCHITECTURES = ("detail", "baseline")
OLD_NAMES = {"seed": "baseline"}  # of architectures, in runs and scripts of earlier versions
LEAST_SIDE = 32  # of a frame, in pixels, that all architectures can work with
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

RANDOM, IMAGENET = "none", "imagenet"  # first weights of a backbone
Pixels = tuple[float | Sequence[float], float | Sequence[float]]  # factor and offset of 0..255
# As keras.applications.*.preprocess_input has them, https://keras.io/api/applications/
_PLUS_MINUS_ONE: Pixels = (1 / 127.5, -1.0)
_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, RGB as 0..1
_STANDARDISED: Pixels = (
    [1 / (255 * deviation) for deviation in _DEVIATION],
    [-mean / deviation for mean, deviation in zip(_MEAN, _DEVIATION, strict=True)],
)
_CENTRED_BGR: Pixels = (1.0, [-103.939, -116.779, -123.68])


@dataclass(frozen=True)
class Backbone:
    """How a network of keras.applications is called and what it takes."""

    application: str  # name of the function in keras.applications
    pixels: Pixels
    bgr: bool = False
    min_size: int = 32  # of a frame, in pixels
    first_layer: str | None = None  # where it begins once its own preprocessing is cut off


BACKBONES = {
    "efficientnetv2-b0": Backbone("EfficientNetV2B0", _STANDARDISED),
    "efficientnetv2-b1": Backbone("EfficientNetV2B1", _STANDARDISED),
    "efficientnetv2-b2": Backbone("EfficientNetV2B2", _STANDARDISED),
    "efficientnetv2-b3": Backbone("EfficientNetV2B3", _STANDARDISED),
    "efficientnetv2-s": Backbone("EfficientNetV2S", (1 / 128, -1.0)),
    # Their own preprocessing is another one with imagenet weights than without (keras 3.15), and a
    # Normalization layer of theirs does not notice when its weights are set.
    "efficientnet-b0": Backbone("EfficientNetB0", _STANDARDISED, first_layer="stem_conv_pad"),
    "efficientnet-b4": Backbone("EfficientNetB4", _STANDARDISED, first_layer="stem_conv_pad"),
    "mobilenetv2": Backbone("MobileNetV2", _PLUS_MINUS_ONE),
    "mobilenetv3-large": Backbone("MobileNetV3Large", _PLUS_MINUS_ONE),
    "mobilenetv3-small": Backbone("MobileNetV3Small", _PLUS_MINUS_ONE),
    "xception": Backbone("Xception", _PLUS_MINUS_ONE, min_size=71),
    "resnet50": Backbone("ResNet50", _CENTRED_BGR, bgr=True),
    "convnext-tiny": Backbone("ConvNeXtTiny", _STANDARDISED),
    "densenet121": Backbone("DenseNet121", _STANDARDISED),
}


def check_frame_size(name: str, height: int, width: int) -> None:
    """Raise UserError where frames are too small for the network called `name`."""
    min_size = BACKBONES[name].min_size
    if min(height, width) < min_size:
        raise UserError(
            f"the images are {height} x {width} pixels, {name} needs {min_size} x {min_size} or "
            "more; give a larger --img-size"
        )
