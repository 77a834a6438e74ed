"""From a Serve config to Kubernetes manifests. Pure but for write.py; nothing here talks to a cluster."""
