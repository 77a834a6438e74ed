"""`pitstop build`: compiles beforehand what a start has no time for."""
