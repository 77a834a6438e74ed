"""The servers' own code, each run in that server's environment; imported by nothing else."""
