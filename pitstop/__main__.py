"""`python -m pitstop` is `pitstop`."""

from .cli import main

main()
