"""What `pitstop init` and `pitstop add` are made of. The modules behind find.py import torch and run in a child process."""
