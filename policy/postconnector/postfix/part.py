"""From some of the connectors, compiled by themselves, to what all of them compile to. Pure.

What a change may concern is cut out of the connectors (see `small_change`), as they were and as
they are to be, and compiled as any connectors are. What differs between the two is what changes on
the host, provided that the part stands for the whole. This is not believed but seen: before and
after, the part has to give the very main.cf and master.cf that are in force, and its connectors the
services that they have; what it takes out of a table has to be there, and what it puts in must not.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from postconnector.postfix.compiled import Compiled, Table
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.plan import Live
from postconnector.postfix.quoting import UnquotableError, table_entry
from postconnector.postfix.register import Entry, Register, entry_of, limited_addresses
from postconnector.postfix.rendered import (
    PUBLISHED_CONNECTORS,
    GenerationFile,
    Rendered,
    TableChange,
    render,
)
from postconnector.postfix.small_change import Cut, NeedsAllError
from postconnector.postfix.tables import authoritative_domains
from postconnector.sources.entry_texts import Entries


@dataclass(frozen=True, slots=True)
class Published:
    """What is live, and what was noted of it."""

    live: Live
    register: Register


@dataclass(frozen=True, slots=True)
class Part:
    """Some of an organization's connectors, compiled by themselves."""

    local: LocalRouting
    compiled: Compiled


@dataclass(frozen=True, slots=True)
class Whole:
    """What all connectors compile to after a change; the tables in `compiled` have only what is
    new in them.
    """

    compiled: Compiled
    rendered: Rendered
    register: Register


def whole_after(
    cut: Cut,
    before: Part,
    after: Part,
    published: Published,
    facts: PostfixFacts,
    own: OwnNames,
    entries: Entries,
) -> Whole:
    """Bring the change of a part into what is published.

    `own`: Postfix' domains. `entries`: the connectors file with the change. Raises NeedsAllError.
    """
    register = published.register
    gone, new = cut.gone(register), _changed_entries(cut, after)
    for part in (before, after):
        _require_alike(part, published, facts)
    _require_services(cut, before, after, register)
    _require_warnings(before, after, register, gone, new)
    kept = own.names.union(authoritative_domains(after.local))
    changed = {PUBLISHED_CONNECTORS: entries.data}
    tables: list[Table] = []
    changes = {name: TableChange(built) for name, built in register.built.items()}
    for table, entries_gone in _changed_tables(before, after, kept):
        name = table.name
        changed[name] = _replaced(published.live.files[name], entries_gone, table.entries)
        if table.secret and entries_gone:
            changes.pop(name, None)  # what is taken out of a table can be read in it for long
        elif name in changes:
            changes[name] = replace(changes[name], gone=tuple(entries_gone), new=table.entries)
        tables.append(table)
    rendered = render(after.compiled, facts, published.live.configuration, entries.data)
    domains = {domain for entry in (*gone, *new) for domain in entry.domains.split()}
    limited = limited_addresses(after.local, domains) - limited_addresses(before.local, domains)
    return Whole(
        replace(after.compiled, tables=tuple(tables), warnings=register.warnings),
        Rendered(
            published.live.configuration,
            _files(rendered, {**published.live.files, **changed}, changes),
        ),
        register.with_change(cut.change, new, entries.starts, changed, limited),
    )


def _files(
    part: Rendered, data: Mapping[str, bytes], changes: Mapping[str, TableChange]
) -> dict[str, GenerationFile]:
    """The files of the part with the contents of the whole."""
    return {
        name: replace(file, data=data[name], change=changes.get(name))
        for name, file in part.files.items()
    }


def _require_alike(part: Part, published: Published, facts: PostfixFacts) -> None:
    compiled, current = part.compiled, published.live.configuration
    rendered = render(compiled, facts, current, b"")
    if rendered.configuration != current:
        raise NeedsAllError("the part does not give main.cf and master.cf as they are")
    if rendered.files.keys() != published.live.files.keys():
        raise NeedsAllError("the part does not give the files that are there")
    if compiled.refusals or compiled.agent_only or compiled.certificates:
        raise NeedsAllError("it is not for Postfix alone")


def _require_services(cut: Cut, before: Part, after: Part, register: Register) -> None:
    """What is in the part shares services with the same connectors as in the whole."""
    services = {entry.name: entry.service for entry in register.entries}
    first, change = cut.first_changed, cut.change
    for part, new in (before, 0), (after, change.new):
        connectors = part.local.organization.connectors
        for connector in (*connectors[:first], *connectors[first + new :]):
            name = connector.name
            if part.local.names.get(name, "") != services[name]:
                raise NeedsAllError(f"the part does not give {name} the service that it has")


def _require_warnings(
    before: Part, after: Part, register: Register, gone: Sequence[Entry], new: Sequence[Entry]
) -> None:
    """Warnings name the first of several connectors, in the order of their services."""
    if before.compiled.warnings != after.compiled.warnings:
        raise NeedsAllError("there are other warnings")
    if register.warnings and [e[:2] for e in gone] != [e[:2] for e in new]:
        raise NeedsAllError("warnings may name others")


def _changed_entries(cut: Cut, after: Part) -> list[Entry]:
    """The connectors that come."""
    first = cut.first_changed
    connectors = after.local.organization.connectors[first : first + cut.change.new]
    return [entry_of(connector, after.local) for connector in connectors]


def _changed_tables(
    before: Part, after: Part, kept: frozenset[str]
) -> Iterator[tuple[Table, dict[str, str]]]:
    """Of each table that changes, what is new in it, and what is gone; `kept`: the host's own."""
    then = {table.name: dict(table.entries) for table in before.compiled.tables}
    for table in after.compiled.tables:
        name = table.name
        old, new = then[name], dict(table.entries)
        different = dict.fromkeys(key for key in (*old, *new) if old.get(key) != new.get(key))
        if not different:
            continue
        if table.patterns:
            raise NeedsAllError(f"the order of what is in {name} counts")
        if not kept.isdisjoint(different):
            raise NeedsAllError("it is about the host's own domains")
        added = tuple((key, new[key]) for key in different if key in new)
        yield replace(table, entries=added), {key: old[key] for key in different if key in old}


def _replaced(source: bytes, gone: Mapping[str, str], new: Iterable[tuple[str, str]]) -> bytes:
    """The source of a table, whose lines stand in the order of their keys, with other entries."""
    added = dict(new)
    parts: list[bytes] = []
    end = 0
    for key in sorted({*gone, *added}):
        place = _place(source, key)
        parts.append(source[end:place])
        end = place
        if key in gone:
            line = _line(key, gone[key])
            if not source.startswith(line, place):
                raise NeedsAllError(f"{key} is not there as the part has it")
            end += len(line)
        elif source.startswith(f"{key}\t".encode(), place):
            raise NeedsAllError(f"{key} is there already")
        if key in added:
            parts.append(_line(key, added[key]))
    parts.append(source[end:])
    if not any(parts):
        raise NeedsAllError("nothing is left of a table")
    return b"".join(parts)


def _place(source: bytes, key: str) -> int:
    """Where the line of a key stands, or would: UTF-8 keeps the order of characters."""
    wanted = f"{key}\t".encode()
    first, end = 0, len(source)
    while first < end:
        line = source.rfind(b"\n", first, (first + end) // 2) + 1 or first
        behind = source.index(b"\n", line) + 1
        if source[line:behind] < wanted:
            first = behind
        else:
            end = line
    return first


def _line(key: str, value: str) -> bytes:
    try:
        return table_entry(key, value).encode()
    except UnquotableError as error:
        raise NeedsAllError(str(error)) from None
