"""Runs models on arrays: finds and opens them, sizes and padding, batches, tiles, memory. No PyTorch."""
