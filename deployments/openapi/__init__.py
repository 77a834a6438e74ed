"""OpenAPI: the general description of the routes (openapi.yaml), a server's own with its models, and the page /docs."""
