"""Which settings meet a latency target at the least cost: measured forward times, and a simulation of the batcher."""
