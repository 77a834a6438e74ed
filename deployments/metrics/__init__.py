"""The counts of a model: statistics, Prometheus, efficiency, autoscaling."""
