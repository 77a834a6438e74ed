"""The name by which every config has Serve's controller call controller_start.install at its start."""

from .controller_start import install

__all__ = ["install"]
