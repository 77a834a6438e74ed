"""From a Serve config to Kubernetes manifests. Pure; nothing here talks to a cluster."""
