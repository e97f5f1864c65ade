"""What all deliveries of one process share: connections, answers of DNS, memory of dead hosts."""

import random
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path

from postconnector.daemon.postfix_answers import RememberedAnswers
from postconnector.delivery.agent import Agent
from postconnector.delivery.attempts import Attempts
from postconnector.delivery.handing_back import HandingBack
from postconnector.delivery.hosts.back_off import BackOff
from postconnector.delivery.hosts.next_hops import NextHops
from postconnector.delivery.hosts.own_host import OwnHost
from postconnector.delivery.hosts.resolver import Resolver
from postconnector.delivery.in_force import InForce
from postconnector.delivery.own_postfix import OwnPostfix
from postconnector.delivery.smtp.pool import ConnectionPool
from postconnector.delivery.ways import Ways
from postconnector.enforcement.rule import NamedRule
from postconnector.postfix.host import PostfixHost

_DNS_PORT = 53


class Machinery:
    """Put together once, in the event loop that it is used in. `own`: mail must not come back."""

    def __init__(self, own: OwnHost) -> None:
        self._own = own
        self._back_off = BackOff(time.monotonic)
        self._rng = random.SystemRandom()
        self._next_hops: dict[tuple[str, ...], NextHops] = {}
        self.pool = ConnectionPool()
        self.ways = Ways(self._of_dns_servers)
        self.attempts = Attempts(self.pool, self._back_off)

    def agent(
        self,
        in_force: Callable[[], Awaitable[InForce | None]],
        rules: Sequence[NamedRule],
        postfix: OwnPostfix | None = None,
        unusable: Callable[[], Mapping[str, str]] = dict,
    ) -> Agent:
        """The agent that delivers by what `in_force` says when it is asked (see Agent)."""
        return Agent(in_force, self.ways, self.attempts, rules, postfix, unusable)

    def own_postfix(self, host: PostfixHost) -> OwnPostfix:
        """The Postfix of this host, to hand back to."""
        queue = Path(host.expanded("queue_directory")["queue_directory"])
        return OwnPostfix(HandingBack(queue, self.pool), RememberedAnswers(host))

    def _of_dns_servers(self, servers: tuple[str, ...]) -> NextHops:
        """By these DNS servers; none: the system's."""
        if servers not in self._next_hops:
            resolver = Resolver(servers, _DNS_PORT) if servers else Resolver.of_system()
            self._next_hops[servers] = NextHops(resolver, self._back_off, self._own, self._rng)
        return self._next_hops[servers]
