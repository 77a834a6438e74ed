"""Every private name of Ray and uvicorn that this project uses, and what is done where one is not as expected.

Each file has its names in a table (`Part`) and plain functions that use them. The functions look the names up when they
are called, compare them with the table once, and where a name is missing or takes other parameters the log says what is
lost and Serve's own way is taken. docs/architecture.md lists the parts; nothing outside this package may use the names.
"""
