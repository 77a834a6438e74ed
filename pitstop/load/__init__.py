"""Load that can be trusted: senders, pacing, and what the answers say."""
