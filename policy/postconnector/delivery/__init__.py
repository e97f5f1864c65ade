"""The delivery agent: a message comes in by LMTP and leaves by SMTP, by its connectors."""
