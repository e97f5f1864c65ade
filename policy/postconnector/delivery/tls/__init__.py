"""TLS to the next hop: what a connector demands, and whether a certificate meets it."""
