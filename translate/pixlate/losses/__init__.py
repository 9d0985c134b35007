"""Losses: functions on tensors."""

from pixlate.losses.adversarial import Logits, Objective, discriminator_loss, generator_loss
from pixlate.losses.feature_matching import Features, feature_matching
from pixlate.losses.penalties import gradient_penalty, zero_centred_penalty
from pixlate.losses.perceptual import Perceptual
from pixlate.losses.pixel import l1, mse
from pixlate.losses.total_variation import total_variation
from pixlate.losses.vgg19 import load_vgg19

__all__ = [
    "Features",
    "Logits",
    "Objective",
    "Perceptual",
    "discriminator_loss",
    "feature_matching",
    "generator_loss",
    "gradient_penalty",
    "l1",
    "load_vgg19",
    "mse",
    "total_variation",
    "zero_centred_penalty",
]
