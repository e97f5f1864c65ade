"""Is what was published in force? Asks by Postfix' own commands, as Postfix will ask."""

from collections.abc import Iterable, Mapping

from postconnector.postfix.compiled import Compiled, Table
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host import PostfixError, PostfixHost
from postconnector.postfix.rendered import Rendered

_ANY_KEY = "postmaster@example.invalid"


def verify(
    host: PostfixHost,
    facts: PostfixFacts,
    compiled: Compiled,
    rendered: Rendered,
    before: Mapping[str, bytes],
) -> None:
    """Look up what changed, and an entry of each connector; `before` are the tables' old sources.

    Raises PostfixError for anything that is not as it was compiled.
    """
    for table in compiled.tables:
        if table.patterns:
            _verify_patterns(host, facts.pattern_table(table.name))
            continue
        lines = _lines(rendered.files[table.name].data)
        changed = set(lines).difference(_lines(before.get(table.name, b"")))
        _verify_entries(host, facts, table, changed)
    services = host.service_names()
    for service in compiled.services:
        if service.name not in services:
            raise PostfixError(f"Postfix does not have the service {service.name}")


def _lines(source: bytes) -> list[str]:
    return [line for line in source.decode("utf-8", "replace").split("\n") if line]


def _verify_entries(
    host: PostfixHost, facts: PostfixFacts, table: Table, changed: Iterable[str]
) -> None:
    one_of_each = {value: key for key, value in table.entries}
    wanted = {key: value for value, key in one_of_each.items()}
    wanted |= dict(line.split("\t", 1) for line in changed)
    found = host.lookup_all(facts.table(table.name), wanted)
    for key, value in wanted.items():
        if found.get(key) != value:
            said = "" if table.secret else f": {found.get(key)!r}, not {value!r}"
            raise PostfixError(f"the live table {table.name} answers wrongly for {key}{said}")


def _verify_patterns(host: PostfixHost, table: str) -> None:
    path = table.partition(":")[2]
    complaints = [line for line in host.complaints_of(table, _ANY_KEY) if path in line]
    if complaints:
        raise PostfixError(complaints[0])
