"""Requests to batches and back, and the device that runs them."""
