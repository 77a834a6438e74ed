"""Models, with torch and without Ray: sources, startup, compile, runtime. Imports nothing heavy."""
