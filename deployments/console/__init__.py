"""The console at `/`: a page, and the figures of all models and replicas for it, asked only while somebody looks."""
