"""From a prepared module to a forward: one backend a file, as configs/backends.py lists them."""
