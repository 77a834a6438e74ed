"""What `pitstop check` does beyond the linter: ports that are taken, and models that are opened."""
