"""The one error of this package: a model that must not be served, and why."""


class ModelError(Exception):
    """Says where, what, and what to do. Its text is for the operator, never for a client."""
