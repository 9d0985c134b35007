"""The contracts under the name that plugins of 0.1 import; they are defined in :mod:`pixlate.plugin`."""

from pixlate.plugin.check import Check
from pixlate.plugin.foreign import ForeignGenerator, ImportOptions
from pixlate.plugin.metric import Metric, Sample
from pixlate.plugin.model_card import ModelCard
from pixlate.plugin.translator import Translator

__all__ = ["Check", "ForeignGenerator", "ImportOptions", "Metric", "ModelCard", "Sample", "Translator"]
