"""Our own certificates: reading the store, and picking one by issuer and subject."""
