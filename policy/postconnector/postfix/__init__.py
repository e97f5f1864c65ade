"""Connectors into Postfix: compiling (no I/O) and publishing to a host."""
