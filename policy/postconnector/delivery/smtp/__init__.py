"""SMTP to the next hop: replies, the dialogue, authentication (no I/O); connections."""
