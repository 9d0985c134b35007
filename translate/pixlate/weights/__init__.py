"""Weights of other code bases: read without running anything in their files, and dispatched to the plugins that recognise them."""
