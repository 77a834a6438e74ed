"""What `pitstop audit` is made of: measure, judge, show. Imports nothing heavy."""
