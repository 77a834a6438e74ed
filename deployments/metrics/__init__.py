"""What is counted: statistics, Prometheus, efficiency."""
