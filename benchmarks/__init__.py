"""Scripts that measure, and their results. Nothing here is imported by a replica."""
