"""Asking DNS servers one question, with dnspython.

dnspython sees to ids and ports that cannot be guessed, to passing over what is no answer to our
question, to other servers, and to TCP after a truncated answer. Here: CNAME records, over
several questions where it takes these; bounds; and what an answer, or none, means.
Records that were not asked for are never looked at, nor are those of other names.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import dns.asyncbackend
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdatatype

# dnspython imports these when an answer first has them, and by then root is given up and the
# interpreter's files may be out of reach.
import dns.rdtypes.ANY.CNAME
import dns.rdtypes.ANY.MX
import dns.rdtypes.ANY.NS
import dns.rdtypes.ANY.OPT
import dns.rdtypes.ANY.SOA
import dns.rdtypes.IN.A
import dns.rdtypes.IN.AAAA
import dns.resolver

from postconnector.delivery.hosts.answer import Answer, Status
from postconnector.delivery.hosts.nameservers import Nameservers

_LONGEST_CHAIN = 8
_UDP_PAYLOAD = 1232
"""Bytes that pass everywhere in one piece (DNS flag day 2020)."""

_MOST_AT_ONCE = 100
_TTL_WITHOUT_SOA = 60.0
_TTL_OF_FAILURE = 5.0

Asked = dns.rdatatype.RdataType
RdataAnswer = Answer[dns.rdata.Rdata]


@dataclass(frozen=True, slots=True)
class _Heard:
    """What one question brought: the answer, the last of the CNAMEs, how many of them."""

    answer: RdataAnswer
    canonical: dns.name.Name
    aliases: int = 0


class DnsClient:
    """Asks `nameservers`, in this order, at this port.

    `per_try`: seconds for one server to answer. `in_all`: for a question with all its tries
    and CNAMEs, waiting for its turn included.
    """

    def __init__(
        self,
        nameservers: Callable[[], Nameservers],
        port: int = 53,
        per_try: float = 5.0,
        in_all: float = 20.0,
    ) -> None:
        self._nameservers = nameservers
        self._in_all = in_all
        self._turns = asyncio.Semaphore(_MOST_AT_ONCE)
        self._backend = dns.asyncbackend.get_backend("asyncio")
        self._dnspython = dns.asyncresolver.Resolver(configure=False)
        self._dnspython.port = port
        self._dnspython.timeout = per_try
        self._dnspython.lifetime = in_all
        self._dnspython.cache = None
        self._dnspython.use_edns(0, 0, _UDP_PAYLOAD)

    async def ask(self, name: str, asked: Asked) -> RdataAnswer:
        """Ask for the records of `name`, which is absolute; CNAMEs are followed.

        Never raises: who does not answer, or answers nonsense, makes for FAILED.
        """
        try:
            async with asyncio.timeout(self._in_all), self._turns:
                return await self._follow(dns.name.from_text(name), asked)
        except TimeoutError:
            return _failed("no answer")
        except dns.exception.DNSException:
            return Answer(Status.NO_NAME)  # no name that DNS could have

    async def _follow(self, name: dns.name.Name, asked: Asked) -> RdataAnswer:
        """Ask on at the last CNAME where the server did not do so itself."""
        ttl = float("inf")
        aliases = 0
        while True:
            heard = await self._ask_once(name, asked)
            answer = heard.answer
            aliases += heard.aliases
            ttl = min(ttl, answer.ttl)
            if answer.status is Status.FAILED:
                return answer
            if aliases > _LONGEST_CHAIN:
                return _failed(f"more than {_LONGEST_CHAIN} CNAME records, or a loop of them")
            if answer.status is not Status.NO_DATA or heard.canonical == name:
                return Answer(answer.status, answer.records, ttl=ttl)
            name = heard.canonical

    async def _ask_once(self, name: dns.name.Name, asked: Asked) -> _Heard:
        self._dnspython.nameservers = list(self._nameservers())
        try:
            found = await self._dnspython.resolve(
                name, asked, search=False, raise_on_no_answer=False, backend=self._backend
            )
        except dns.resolver.NXDOMAIN as error:
            response: dns.message.QueryMessage = error.kwargs["responses"][name]
            ttl = _negative_ttl(response, response.resolve_chaining())
            return _Heard(Answer(Status.NO_NAME, ttl=ttl), name)
        except (dns.resolver.NoNameservers, dns.resolver.LifetimeTimeout) as error:
            return _Heard(_failed(_reasons(error.kwargs.get("errors", ()))), name)
        except (dns.exception.DNSException, OSError):
            return _Heard(_failed("nonsense"), name)
        return _heard(found)


def _heard(found: dns.resolver.Answer) -> _Heard:
    chain = found.chaining_result
    aliases = len(chain.cnames)
    if found.response.flags & dns.flags.TC:
        # Over TCP, where dnspython does not look; what is left would pass for all there is.
        answer = _failed("a truncated answer")
    elif chain.answer is not None:
        answer = Answer(Status.FOUND, tuple(chain.answer), ttl=float(chain.minimum_ttl))
    elif not aliases and _is_referral(found.response):
        answer = _failed("a referral (the server does not look names up for us)")
    else:
        answer = Answer(Status.NO_DATA, ttl=_negative_ttl(found.response, chain))
    return _Heard(answer, chain.canonical_name, aliases)


def _has(response: dns.message.Message, asked: Asked) -> bool:
    return any(rrset.rdtype == asked for rrset in response.authority)


def _is_referral(response: dns.message.Message) -> bool:
    """RFC 2308, 2.2.1: only name servers, no SOA. It says nothing of what the name has."""
    return _has(response, dns.rdatatype.NS) and not _has(response, dns.rdatatype.SOA)


def _negative_ttl(response: dns.message.Message, chain: dns.message.ChainingResult) -> float:
    """RFC 2308, 5: the SOA's minimum or its own TTL. Without an SOA there is none to follow."""
    ttl = float(chain.minimum_ttl)
    return ttl if _has(response, dns.rdatatype.SOA) else min(ttl, _TTL_WITHOUT_SOA)


def _failed(reason: str) -> RdataAnswer:
    return Answer(Status.FAILED, reason=reason, ttl=_TTL_OF_FAILURE)


def _reasons(errors: Sequence[tuple[object, ...]]) -> str:
    """What went wrong at the servers, each thing once, without the servers' addresses.

    Replies carry this to senders, who need not know which servers we ask.
    """
    said = dict.fromkeys(_reason(error[3]) for error in errors)
    return ", ".join(said) or "no answer"


def _reason(error: object) -> str:
    if isinstance(error, str):
        return error  # the response code's name
    if isinstance(error, dns.exception.Timeout):
        return "no answer"
    if isinstance(error, dns.message.ChainTooLong):
        return "too many CNAME records, or a loop of them"
    if isinstance(error, dns.message.Truncated):
        return "a truncated answer"
    if isinstance(error, OSError):
        return error.strerror or "no answer"
    return "nonsense"
