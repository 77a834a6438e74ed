"""What all measuring shares: percentiles, arrival times, the machine, and files of results. One of each."""
