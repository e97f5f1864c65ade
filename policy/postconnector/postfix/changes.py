"""What publishing changes, one by one: for which connector, from what to what, and why. Pure.

Secrets are named, never shown. Files as a whole are compared in `plan`.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from postconnector.certificates.state import CertificateState, CertificateStates
from postconnector.certificates.watch import described
from postconnector.postfix.compiled import Compiled, Service
from postconnector.postfix.configuration_files import (
    entries_in,
    options_in,
    own_parameters,
    parameters_in,
)
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.plan import Live, differing_files
from postconnector.postfix.rendered import PUBLISHED_CONNECTORS, Rendered
from postconnector.postfix.sharing import policy_keys
from postconnector.postfix.table_names import (
    CERTIFICATE_STATES,
    ROUTE_TABLES,
    is_for_agent,
    is_secret,
    reason_of,
)
from postconnector.postfix.tables import claim_on_key

MAIN_CF, MASTER_CF = "main.cf", "master.cf"


@dataclass(frozen=True, slots=True)
class Change:
    """One thing that changes in a file; `connector` is None for what several have in common.

    `subject`: a parameter, a service, a setting of one, the key of a table. `before` and `after`
    are None where there is no such thing, and empty for secrets.
    """

    connector: str | None
    file: str
    subject: str
    before: str | None
    after: str | None
    reason: str = ""
    secret: bool = False


class Owners:
    """Which connectors services and table entries are for, on one host."""

    def __init__(self, local: LocalRouting | None) -> None:
        self._local = local
        self._services = {s.name: s.connectors for s in local.services} if local else {}
        for connector in local.own if local else ():
            if local is not None and local.agent_reason(connector) is not None:
                self._services[local.names[connector.name]] = (connector,)
        self._by_next_hop: dict[str, dict[str, str]] = {}

    def of_service(self, name: str) -> str | None:
        """The only connector of a service."""
        connectors = self._services.get(name, ())
        return connectors[0].name if len(connectors) == 1 else None

    def of_entry(self, file: str, key: str) -> str | None:
        """The connector that an entry of a table is for."""
        if file in ROUTE_TABLES:
            return self._of_domain(key)
        service = file.partition("/")[2].removesuffix(".pem")
        return self.of_service(service) or self._hops(service).get(key)

    def _of_domain(self, key: str) -> str | None:
        if self._local is None:
            return None
        claim = claim_on_key(self._local.table, key)
        return claim.connector.name if claim is not None else None

    def _hops(self, service: str) -> dict[str, str]:
        if service not in self._by_next_hop:
            connectors = self._services.get(service, ())
            self._by_next_hop[service] = {k: c.name for c in connectors for k in policy_keys(c)}
        return self._by_next_hop[service]


@dataclass(frozen=True, slots=True)
class Comparison:
    """What is live, and what is wanted; `live_local`: what was compiled for it, if known."""

    facts: PostfixFacts
    live: Live
    live_local: LocalRouting | None
    compiled: Compiled
    rendered: Rendered
    local: LocalRouting

    def changes(self) -> Iterator[Change]:
        """Every change, in the order of files."""
        before, after = Owners(self.live_local), Owners(self.local)
        yield from self._parameters()
        yield from self._services(before, after)
        for file in differing_files(self.live, self.rendered):
            if file != PUBLISHED_CONNECTORS:
                yield from self._file(file, before, after)

    def _parameters(self) -> Iterator[Change]:
        main_cf = self.live.configuration.main_cf
        now, then = parameters_in(main_cf), parameters_in(self.rendered.configuration.main_cf)
        own = {**self.facts.parameters, **own_parameters(main_cf)}
        for name in dict.fromkeys((*now, *then)):
            before = now[name].value if name in now else own.get(name)
            after = then[name].value if name in then else own.get(name)
            if before != after or (name in now) != (name in then):
                reason = then[name].reason if name in then else "the host's own value again"
                yield Change(None, MAIN_CF, name, before, after, reason)

    def _services(self, before: Owners, after: Owners) -> Iterator[Change]:
        now = entries_in(self.live.configuration.master_cf)
        then = {service.name: service for service in self.compiled.services}
        wanted = entries_in(self.rendered.configuration.master_cf)
        for name in dict.fromkeys((*now, *then)):
            owner = after.of_service(name) if name in then else before.of_service(name)
            if name not in then:
                yield Change(owner, MASTER_CF, name, _columns(now[name])[-1], None)
                continue
            if name not in now:
                program = then[name].program
                yield Change(owner, MASTER_CF, name, None, program, _why(then[name]))
            elif (old := _columns(now[name])) != (new := _columns(wanted[name])):
                told = " ".join(old), " ".join(new)
                yield Change(owner, MASTER_CF, name, *told, "as the host's own smtp has it")
            reasons = {setting.name: setting.reason for setting in then[name].settings}
            options = options_in(now.get(name, "")), options_in(wanted[name])
            for setting, values in _different(*options).items():
                subject = f"{name} {setting}"
                yield Change(owner, MASTER_CF, subject, *values, reasons.get(setting, ""))

    def _file(self, file: str, before: Owners, after: Owners) -> Iterator[Change]:
        now = self.live.files.get(file)
        then = self.rendered.files[file].data if file in self.rendered.files else None
        reason, secret = reason_of(file), is_secret(file)
        if file == CERTIFICATE_STATES:
            yield from _certificates(now, then)
            return
        if file.endswith(".pem") or is_for_agent(file):
            owner = after.of_entry(file, "") or before.of_entry(file, "")
            yield Change(owner, file, "", _hidden(now), _hidden(then), reason, secret=True)
            return
        for key, (old, new) in _different(_entries(now), _entries(then)).items():
            owner = before.of_entry(file, key) if new is None else after.of_entry(file, key)
            if secret:
                old, new = _hidden(old), _hidden(new)
            yield Change(owner, file, key, old, new, reason, secret)


def _columns(entry: str) -> list[str]:
    """Those of an entry of master.cf, from the service's type to the program that it runs."""
    return next((line for line in entry.splitlines() if not line.startswith("#")), "").split()[1:]


def _why(service: Service) -> str:
    if not service.is_private:
        return "what the delivery agent hands back"
    if service.program == "lmtp":
        known = bool(service.connectors)
        return "what Postfix can't do by itself" if known else "recipients differ (MaxMessageSize)"
    if len(service.connectors) > 1:
        return f"shared by {len(service.connectors)} connectors"
    return service.why_own or "Name"


def _certificates(now: bytes | None, then: bytes | None) -> Iterator[Change]:
    """What connectors show; the files with the keys are changes of their own."""
    before, after = CertificateStates.connectors_in(now), CertificateStates.connectors_in(then)
    for name in dict.fromkeys((*before, *after)):
        old, new = before.get(name), after.get(name)
        if old != new:
            reason = reason_of(CERTIFICATE_STATES) + (f": {new.why}" if new is not None else "")
            yield Change(name, CERTIFICATE_STATES, "", _described(old), _described(new), reason)


def _described(state: CertificateState | None) -> str | None:
    return None if state is None else described(state)


def _hidden(value: object) -> str | None:
    return None if value is None else ""


def _entries(source: bytes | None) -> dict[str, str]:
    """A table's source; what is in ours no entry was ever more than a line."""
    lines = (source or b"").decode("utf-8", "replace").splitlines()
    return {key: value for key, _, value in (line.partition("\t") for line in lines)}


def _different(
    before: Mapping[str, str], after: Mapping[str, str]
) -> dict[str, tuple[str | None, str | None]]:
    return {
        key: (before.get(key), after.get(key))
        for key in dict.fromkeys((*before, *after))
        if before.get(key) != after.get(key)
    }
