"""The load driver: one for every server, closed and open loop, cheap enough not to be what is measured."""
