"""The demo: connectors published to a private Postfix, and mail sent through it."""
