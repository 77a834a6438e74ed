"""The stages of a start: load, check, prepare, compile, warm, and what each found."""
