"""What `pitstop init` and `pitstop add` are made of. What find.py imports runs in a child process, with torch."""
