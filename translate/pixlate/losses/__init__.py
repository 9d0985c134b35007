"""Losses: functions on tensors."""

from pixlate.losses.pixel import l1

__all__ = ["l1"]
