"""From a file or a factory to an nn.Module in memory."""
