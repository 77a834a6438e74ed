"""Tiny models with one property each, served by the end-to-end tests."""
