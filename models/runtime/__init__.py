"""What runs at each forward: collating, staging, padding, the forward itself and checks of what it returns."""
