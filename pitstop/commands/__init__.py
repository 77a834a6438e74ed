"""One file a command: its arguments and help. Each imports what it does only when it is called."""
