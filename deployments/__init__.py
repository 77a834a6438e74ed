"""The Ray Serve side: app, replica, batching, wire formats. Imports nothing heavy."""
