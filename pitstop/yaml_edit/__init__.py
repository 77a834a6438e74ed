"""Edits of YAML files that leave all else in them as it is."""
