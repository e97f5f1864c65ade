"""A TLS handshake in memory, between a context of ours and a server's."""

import ssl
from pathlib import Path


def server_context(chain: Path, clients: Path | None = None) -> ssl.SSLContext:
    """A server's, with key and certificates from a PEM file; `clients`: it asks for theirs."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(chain)
    if clients is not None:
        context.load_verify_locations(clients)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def shake_hands(
    client_context: ssl.SSLContext, server: ssl.SSLContext
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Both ends; raises what breaks it off at the client's, or at the server's."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    client_end = client_context.wrap_bio(to_client, to_server, server_hostname="mx.test")
    server_end = server.wrap_bio(to_server, to_client, server_side=True)
    is_open = {client_end, server_end}
    while is_open:
        for end in (client_end, server_end):
            if end in is_open:
                try:
                    end.do_handshake()
                except ssl.SSLWantReadError:
                    continue
                is_open.remove(end)
    return client_end, server_end
