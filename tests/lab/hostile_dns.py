"""A DNS server on loopback, UDP and TCP, that says what a test tells it to, true or not.

A script is given each question and returns the messages to be sent back: none, several, or
bytes that are no message at all.
"""

import contextlib
import socketserver
import struct
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from tests.lab.child import Server
from tests.lab.loopback import free_address, free_port


@dataclass(frozen=True)
class Question:
    """What a client asked from where; `name` in lower case without the final dot."""

    query: dns.message.Message
    over_tcp: bool
    client: tuple[str, int]

    @property
    def name(self) -> str:
        return self.query.question[0].name.to_text(omit_final_dot=True).lower()

    @property
    def type(self) -> str:
        return dns.rdatatype.to_text(self.query.question[0].rdtype)

    def __str__(self) -> str:
        return f"{self.type} {self.name}"

    def answer(
        self,
        records: Sequence[str] = (),
        *,
        rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
        authority: Sequence[str] = (),
        additional: Sequence[str] = (),
    ) -> dns.message.Message:
        """A well-formed answer with these records, each a line of a zone file with full names."""
        response = dns.message.make_response(self.query, recursion_available=True)
        response.set_rcode(rcode)
        response.answer = [_rrset(record) for record in records]
        response.authority = [_rrset(record) for record in authority]
        response.additional = [_rrset(record) for record in additional]
        return response

    def truncated(self) -> dns.message.Message:
        """What a server says over UDP when its answer is too long."""
        response = self.answer()
        response.flags |= dns.flags.TC
        return response


Said = Sequence[dns.message.Message | bytes]
Script = Callable[[Question], Said]


class HostileDns(Server):
    """Answers by `script`, at any free port or this one.

    `questions` are those that came, in order; `over_tcp` those of them that came so.
    """

    def __init__(self, script: Script, port: int = 0) -> None:
        self.script = script
        self.questions: list[str] = []
        self.over_tcp: list[str] = []
        self.address = ""
        self.port = port
        self._servers: list[socketserver.BaseServer] = []

    def start(self) -> None:
        """Listen at an address of our own, UDP and TCP."""
        self.port = self.port or free_port()
        self.address = free_address(self.port)
        for server in (_Datagrams(self), _Streams(self)):
            self._servers.append(server)
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self) -> None:
        """Hear no more."""
        for server in self._servers:
            server.shutdown()
            server.server_close()
        self._servers.clear()

    def hear(self, wire: bytes, over_tcp: bool, client: tuple[str, int]) -> list[bytes]:
        """Answer one query."""
        try:
            question = Question(dns.message.from_wire(wire), over_tcp, client)
        except dns.exception.DNSException:
            return []
        self.questions.append(str(question))
        if over_tcp:
            self.over_tcp.append(str(question))
        said = self.script(question)
        return [each if isinstance(each, bytes) else each.to_wire(max_size=65535) for each in said]


class _Datagrams(socketserver.ThreadingUDPServer):
    daemon_threads = True
    max_packet_size = 4096

    def __init__(self, dns_server: HostileDns) -> None:
        self.dns_server = dns_server
        super().__init__((dns_server.address, dns_server.port), _Datagram)


class _Datagram(socketserver.BaseRequestHandler):
    server: _Datagrams

    def handle(self) -> None:
        wire, socket = self.request
        for said in self.server.dns_server.hear(wire, False, self.client_address):
            with contextlib.suppress(OSError):
                socket.sendto(said, self.client_address)


class _Streams(socketserver.ThreadingTCPServer):
    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, dns_server: HostileDns) -> None:
        self.dns_server = dns_server
        super().__init__((dns_server.address, dns_server.port), _Stream)


class _Stream(socketserver.StreamRequestHandler):
    server: _Streams

    def handle(self) -> None:
        with contextlib.suppress(OSError, struct.error):
            (length,) = struct.unpack("!H", self.rfile.read(2))
            wire = self.rfile.read(length)
            for said in self.server.dns_server.hear(wire, True, self.client_address):
                self.wfile.write(struct.pack("!H", len(said)) + said)


def _rrset(record: str) -> dns.rrset.RRset:
    name, ttl, _, record_type, data = record.split(maxsplit=4)
    return dns.rrset.from_text(dns.name.from_text(name), int(ttl), "IN", record_type, data)
