"""The linter: one subject a file, and all of them in lint.py. No torch, and of Ray only Serve's schema."""
