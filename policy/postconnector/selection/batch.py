"""Many questions to one organization: requests and answers as JSON has them.

A request: `recipient` (an address, or an object with `type` and `address`), `size` and
`original_size` in bytes, `message_type`, `server`; all but the recipient may be missing or null.
"""

from collections.abc import Callable, Mapping
from typing import Any

from postconnector.model.imcea import ForeignAddress
from postconnector.model.organization import Organization
from postconnector.model.problem import quoted
from postconnector.model.topology import Server
from postconnector.selection.delivery import delivery
from postconnector.selection.message import Message, MessageType
from postconnector.selection.outcome import Accepted, Candidate, NonDelivery, Outcome, Selected
from postconnector.selection.recipients import Recipient
from postconnector.selection.routing_table import RoutingTable
from postconnector.selection.standpoint import UnknownServerError

_FIELDS = frozenset(("recipient", "size", "original_size", "message_type", "server"))
_TYPES = {kind.value: kind for kind in MessageType}

PathOf = Callable[[Candidate, Server | None], str]
"""Which path in Postfix mail for a connector takes on a server."""


class BadRequestError(ValueError):
    """A request is not one; the text says what is wrong in it."""


class Batch:
    """Answers requests; the tables of each server that asks are made once."""

    def __init__(
        self, organization: Organization, server: str | None = None, path_of: PathOf | None = None
    ) -> None:
        self._organization = organization
        self._server = server
        self._path_of = path_of
        self._tables: dict[str | None, RoutingTable] = {}

    def answer(self, request: object) -> dict[str, str | None]:
        """Answer one request.

        Raises BadRequestError, also for a server that the organization does not declare.
        """
        if not isinstance(request, Mapping):
            raise BadRequestError("not an object")
        for name in request:
            if name not in _FIELDS:
                raise BadRequestError(f"unknown entry {quoted(str(name))}")
        recipient = _recipient(request.get("recipient"))
        table = self._table(request.get("server"))
        outcome = table.select(recipient, _message(request))
        return self._as_json(outcome, recipient, table)

    def _table(self, server: object) -> RoutingTable:
        if server is None:
            server = self._server
        if server is not None and not isinstance(server, str):
            raise BadRequestError("server is not a name")
        key = server.casefold() if server is not None else None
        if key not in self._tables:
            try:
                self._tables[key] = RoutingTable(self._organization, server)
            except UnknownServerError as error:
                raise BadRequestError(str(error)) from None
        return self._tables[key]

    def _as_json(
        self, outcome: Outcome, recipient: Recipient, table: RoutingTable
    ) -> dict[str, str | None]:
        candidate = outcome.candidate if isinstance(outcome, Selected) else None
        path: str | None = None
        if candidate is not None and self._path_of is not None:
            path = self._path_of(candidate, table.standpoint.server)
        queue = delivery(outcome, recipient, table.standpoint)
        return {
            "outcome": outcome_name(outcome),
            "connector": candidate.connector.name if candidate is not None else None,
            "code": outcome.code if isinstance(outcome, NonDelivery) else None,
            "delivery_type": queue.type if queue is not None else None,
            "next_hop_domain": queue.next_hop_domain if queue is not None else None,
            "path": path,
        }


def outcome_name(outcome: Outcome) -> str:
    """An outcome in one word."""
    match outcome:
        case Selected():
            return "connector"
        case NonDelivery():
            return "ndr"
        case Accepted():
            return "accepted_domain"
        case _:
            return "unreachable"


def _recipient(value: object) -> Recipient:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping) and set(value) == {"type", "address"}:
        kind, address = value["type"], value["address"]
        if isinstance(kind, str) and isinstance(address, str):
            return address if kind.casefold() == "smtp" else ForeignAddress(kind, address)
    raise BadRequestError('recipient is neither an address nor {"type": …, "address": …}')


def _message(request: Mapping[str, Any]) -> Message:
    kind = request.get("message_type") or MessageType.NORMAL.value
    if not isinstance(kind, str) or kind not in _TYPES:
        raise BadRequestError(f"message_type is none of {', '.join(_TYPES)}")
    return Message(_size(request, "size"), _size(request, "original_size"), _TYPES[kind])


def _size(request: Mapping[str, Any], name: str) -> int | None:
    size = request.get(name)
    if size is None:
        return None
    if isinstance(size, bool) or not isinstance(size, int) or size < 0:
        raise BadRequestError(f"{name} is not a number of bytes")
    return size
