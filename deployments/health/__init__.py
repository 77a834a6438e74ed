"""Handles faults of the device, the model and the memory; docs/health.md describes all of it."""
