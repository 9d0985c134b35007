"""Losses: functions on tensors."""

from pixlate.losses.adversarial import Logits, Objective, discriminator_loss, generator_loss, gradient_penalty, zero_centred_penalty
from pixlate.losses.contextual import contextual_loss
from pixlate.losses.differences import Features, feature_matching, l1, mse, total_variation
from pixlate.losses.explained import explain_discriminator_loss, explain_generator_loss
from pixlate.losses.hed import HEDDistance, load_hed
from pixlate.losses.perceptual import Perceptual, load_vgg19

__all__ = [
    "Features",
    "HEDDistance",
    "Logits",
    "Objective",
    "Perceptual",
    "contextual_loss",
    "discriminator_loss",
    "explain_discriminator_loss",
    "explain_generator_loss",
    "feature_matching",
    "generator_loss",
    "gradient_penalty",
    "l1",
    "load_hed",
    "load_vgg19",
    "mse",
    "total_variation",
    "zero_centred_penalty",
]
