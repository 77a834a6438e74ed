"""GPU against CPU at equal quality of service: capacity by search, cost by arithmetic."""
