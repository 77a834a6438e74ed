"""What a start checks of a model, and what it tells of that."""
