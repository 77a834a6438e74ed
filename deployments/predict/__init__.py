"""The friendly /predict: pictures and instances instead of tensors."""
