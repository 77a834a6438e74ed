"""`pitstop audit`: measure, judge, show. Imports nothing heavy."""
