"""Traces over OTLP and the access log: which requests are sampled, and what is told of them."""
