"""Exchange Send connectors for Postfix."""

__version__ = "0.1.0"
