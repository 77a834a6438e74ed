"""Serve's own autoscaling policy beside this project's, on the same simulated traffic: docs/autoscaling.md."""
