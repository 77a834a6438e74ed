"""Directories of Hugging Face transformers: the signature, the hooks and the network of a task."""
