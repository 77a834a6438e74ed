"""The YAML: schema, loader, linter. Imports nothing heavy."""
