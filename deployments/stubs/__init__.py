"""Written by `make stubs` from ../open_inference.proto; __init__.py alone is by hand."""
