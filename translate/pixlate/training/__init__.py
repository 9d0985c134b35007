"""Training: one engine for every method."""
