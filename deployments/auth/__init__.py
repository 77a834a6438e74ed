"""Who may ask a model: bearer tokens, where they are read from, and the answer to those who have none."""
