"""What may be configured, and how it is read: schema, loader, linter. Imports nothing heavy."""
