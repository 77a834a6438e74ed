"""/predict: images and plain JSON instead of tensors."""
