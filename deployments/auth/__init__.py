"""Bearer tokens: where they are read from, and which models each one opens."""
