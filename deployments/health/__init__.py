"""What makes a fault of the device, the model or the memory harmless. docs/health.md has the whole of it."""
