"""Readers and writers of the built-in formats, each within the limits of ``pixlate.images.limits``."""
