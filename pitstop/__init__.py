"""The command line. A replica never imports it."""
