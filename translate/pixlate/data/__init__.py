"""Training images: folders in, batches of tensors out."""
