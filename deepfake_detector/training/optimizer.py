"""To be written."""

from deepfake_detector.training.initial_weights import keras
from deepfake_detector.training.settings import TrainSettings


def make_optimizer(
    settings: TrainSettings, steps_per_epoch: int, precision: str = "float32"
) -> keras.optimizers.Optimizer:
    """Return AdamW for the whole length of the run: a short warm-up, then half a cosine to 1 %.

    Gradients are not clipped: each replica would clip its own before they are added up, and the
    weights would depend on how many there are.
    """
    steps = settings.epochs * steps_per_epoch
    warm_up = min(2 * steps_per_epoch, steps // 5)
    rate = keras.optimizers.schedules.CosineDecay(
        settings.learning_rate * 0.1,
        decay_steps=max(1, steps - warm_up),
        alpha=0.1,  # of the first value, so 1 % of the highest
        warmup_target=settings.learning_rate,
        warmup_steps=warm_up,
    )
    optimizer = keras.optimizers.AdamW(rate, weight_decay=1e-4)
    if precision == "mixed_float16":  # its gradients would vanish below 6e-8
        return keras.optimizers.LossScaleOptimizer(optimizer)
    return optimizer
