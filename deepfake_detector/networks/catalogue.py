"""The names of the networks and what each one needs; no TensorFlow, so that --help is quick."""

from collections.abc import Mapping, Sequence

DEFAULT = "efficientnet-lite0"
ARCHITECTURES = (DEFAULT, "baseline")
MIN_SIDE = 32  # of a frame, in pixels
PRECISIONS = ("float32", "mixed_bfloat16")

# Where the first weights of a training come from, unless from a file: the model that this project
# ships, a training on ImageNet, or a random initialisation.
PRETRAINED, IMAGENET, RANDOM = "pretrained", "imagenet", "random"

Scaling = tuple[float | Sequence[float], float | Sequence[float]]  # factor and offset of 0..255
PLUS_MINUS_ONE: Scaling = (1 / 127.5, -1.0)
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet: RGB, 0..1
STANDARDIZED: Scaling = (
    [1 / (255 * deviation) for deviation in DEVIATION],
    [-mean / deviation for mean, deviation in zip(MEAN, DEVIATION, strict=True)],
)
# Networks of keras.applications, https://keras.io/api/applications/: the function that builds one,
# and the scaling of its preprocess_input.
BACKBONES: Mapping[str, tuple[str, Scaling]] = {
    "efficientnetv2-b0": ("EfficientNetV2B0", STANDARDIZED),
    "efficientnetv2-b1": ("EfficientNetV2B1", STANDARDIZED),
    "efficientnetv2-b2": ("EfficientNetV2B2", STANDARDIZED),
    "efficientnetv2-b3": ("EfficientNetV2B3", STANDARDIZED),
    "efficientnetv2-s": ("EfficientNetV2S", (1 / 128, -1.0)),
    "efficientnet-b0": ("EfficientNetB0", STANDARDIZED),
    "efficientnet-b4": ("EfficientNetB4", STANDARDIZED),
    "mobilenetv2": ("MobileNetV2", PLUS_MINUS_ONE),
    "mobilenetv3-large": ("MobileNetV3Large", PLUS_MINUS_ONE),
    "mobilenetv3-small": ("MobileNetV3Small", PLUS_MINUS_ONE),
    "xception": ("Xception", PLUS_MINUS_ONE),
    "resnet50v2": ("ResNet50V2", PLUS_MINUS_ONE),
    "convnext-tiny": ("ConvNeXtTiny", STANDARDIZED),
    "densenet121": ("DenseNet121", STANDARDIZED),
}
