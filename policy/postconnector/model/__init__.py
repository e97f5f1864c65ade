"""Connectors and what they are made of. No I/O; imports nothing else of ours."""
