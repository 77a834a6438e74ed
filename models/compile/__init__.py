"""From a prepared module to a forward: build.py calls the backend, one file each, that configs/backends.py lists."""
