"""The linter: one rule a file. It never imports torch, and Ray only for Serve's own schema."""
