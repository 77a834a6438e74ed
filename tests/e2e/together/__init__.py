"""A package, so that pytest ends its server here and does not keep it beside all later ones."""
