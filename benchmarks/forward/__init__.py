"""How fast the forward is that pitstop finds by itself: over HTTP, at a start, and beside eager's answers."""
