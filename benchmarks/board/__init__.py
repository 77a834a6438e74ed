"""The Grafana board of configs/monitoring, drawn from what a real Prometheus answers to its queries."""
