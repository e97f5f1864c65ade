"""Exports of Exchange: one module a format, from bytes to objects with properties.

The readers say what an export holds, nothing more: what a property means, and what becomes of
it here, is decided where all formats come together (`sources.exchange_export`).
"""
