"""What the protocol says whichever transport carries it."""
