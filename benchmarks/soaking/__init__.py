"""The parts of benchmarks/soak.py: what is asked, what harm is done and when, what is watched, and how it is told."""
