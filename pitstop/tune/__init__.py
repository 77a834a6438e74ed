"""Which backend, precision, memory format and threads run a model best on this machine: tried, not guessed."""
