"""Networks that people put into production, each served as it is and compared with eager, row by row."""
