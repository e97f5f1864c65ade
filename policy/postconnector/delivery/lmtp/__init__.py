"""LMTP from Postfix (RFC 2033): commands, the session, the end of data (no I/O); the server."""
