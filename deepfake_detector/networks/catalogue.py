"""The names of the networks and what each one needs; no TensorFlow, so that --help is quick."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deepfake_detector.console import UserError

DEFAULT = "efficientnet-lite0"
ARCHITECTURES = (DEFAULT, "baseline")
LEAST_SIDE = 32  # of a frame, in pixels, that all architectures can work with
PRECISIONS = ("float32", "mixed_bfloat16", "mixed_float16")

# Where the first weights of a training come from, unless from a file: the model that this project
# ships, a training on ImageNet, or a random initialisation.
PRETRAINED, IMAGENET, RANDOM = "pretrained", "imagenet", "random"

Scaling = tuple[float | Sequence[float], float | Sequence[float]]  # factor and offset of 0..255
# As keras.applications.*.preprocess_input has them, https://keras.io/api/applications/
PLUS_MINUS_ONE: Scaling = (1 / 127.5, -1.0)
IMAGENET_MEAN, IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # RGB as 0..1
STANDARDIZED: Scaling = (
    [1 / (255 * std) for std in IMAGENET_STD],
    [-mean / std for mean, std in zip(IMAGENET_MEAN, IMAGENET_STD, strict=True)],
)
CENTRED_BGR: Scaling = (1.0, [-103.939, -116.779, -123.68])


@dataclass(frozen=True)
class Backbone:
    """A network of keras.applications and the pixels that it takes."""

    application: str  # name of the function in keras.applications
    scaling: Scaling
    bgr: bool = False
    min_size: int = 32  # of a frame, in pixels
    first_layer: str | None = None  # the one after its own preprocessing, where that is cut off


BACKBONES: Mapping[str, Backbone] = {
    "efficientnetv2-b0": Backbone("EfficientNetV2B0", STANDARDIZED),
    "efficientnetv2-b1": Backbone("EfficientNetV2B1", STANDARDIZED),
    "efficientnetv2-b2": Backbone("EfficientNetV2B2", STANDARDIZED),
    "efficientnetv2-b3": Backbone("EfficientNetV2B3", STANDARDIZED),
    "efficientnetv2-s": Backbone("EfficientNetV2S", (1 / 128, -1.0)),
    # Their own preprocessing differs with and without imagenet weights (keras 3.15), and their
    # Normalization layer does not notice when its weights are set.
    "efficientnet-b0": Backbone("EfficientNetB0", STANDARDIZED, first_layer="stem_conv_pad"),
    "efficientnet-b4": Backbone("EfficientNetB4", STANDARDIZED, first_layer="stem_conv_pad"),
    "mobilenetv2": Backbone("MobileNetV2", PLUS_MINUS_ONE),
    "mobilenetv3-large": Backbone("MobileNetV3Large", PLUS_MINUS_ONE),
    "mobilenetv3-small": Backbone("MobileNetV3Small", PLUS_MINUS_ONE),
    "xception": Backbone("Xception", PLUS_MINUS_ONE, min_size=71),
    "resnet50": Backbone("ResNet50", CENTRED_BGR, bgr=True),
    "convnext-tiny": Backbone("ConvNeXtTiny", STANDARDIZED),
    "densenet121": Backbone("DenseNet121", STANDARDIZED),
}


def check_frame_size(name: str, height: int, width: int) -> None:
    """Raise UserError where frames are too small for the backbone called `name`."""
    min_size = BACKBONES[name].min_size
    if min(height, width) < min_size:
        raise UserError(
            f"the images are {height} x {width} pixels, {name} needs {min_size} x {min_size} or "
            "more; give a larger --img-size"
        )
