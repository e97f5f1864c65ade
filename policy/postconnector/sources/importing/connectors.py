"""An export as a connectors file: what is written, and what there is to report."""

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from postconnector.model.problem import Problem
from postconnector.model.property_names import EXCHANGE_NAMES
from postconnector.sources.connectors_file import parse_connectors
from postconnector.sources.exported.objects import ExportedObject
from postconnector.sources.importing.advice import advice
from postconnector.sources.importing.draft import Draft, draft_of
from postconnector.sources.importing.objects import merged
from postconnector.sources.importing.report import Kind, Note
from postconnector.sources.writing.toml_file import ConnectorTable, toml_file

_LONGEST_COMMENT = 96


@dataclass(frozen=True, slots=True)
class Imported:
    """A connectors file, the notes, and what `check` will say of the file."""

    toml: str
    names: tuple[str, ...]
    notes: tuple[Note, ...]
    problems: tuple[Problem, ...]


def import_objects(objects: Iterable[ExportedObject], origin: str, target: Path) -> Imported:
    """Make a connectors file of an export; `origin` says in its header where it comes from."""
    connectors, notes = merged(objects)
    drafts = [draft_of(exported, number) for number, exported in enumerate(connectors, 1)]
    for draft in drafts:
        written = ", ".join(EXCHANGE_NAMES[name] for name in draft.properties if name != "name")
        notes.append(Note(Kind.TAKEN, written or "nothing but the name", draft.name))
        draft.notes.extend(advice(draft))
        notes.extend(draft.notes)
    version = _version(connectors, drafts)
    settings: dict[str, Any] = {"exchange_version": version} if version else {}
    text = toml_file(
        [ConnectorTable(draft.properties, tuple(_comments(draft))) for draft in drafts],
        settings,
        header=[f"Send connectors of Exchange, imported from {origin}.", ""],
    )
    problems = parse_connectors(text.encode(), target).problems
    return Imported(text, tuple(draft.name for draft in drafts), tuple(notes), problems)


def _version(connectors: Sequence[ExportedObject], drafts: Sequence[Draft]) -> str | None:
    """The oldest version that has all that the export says; None if any would do."""
    names = {name.casefold() for exported in connectors for name in exported.properties}
    if "connectortype" in names:
        return "2016"
    new = {"frontendproxyenabled", "tlscertificatename", "cloudservicesmailenabled"}
    old = {"iscoexistenceconnector", "linkedreceiveconnector"}
    return "2010" if names & old and not names & new and drafts else None


def _comments(draft: Draft) -> Iterator[str]:
    for note in draft.notes:
        if note.kind is not Kind.TAKEN:
            property_name = f"{note.property}: " if note.property else ""
            text = f"{note.kind.value.upper()}: {property_name}{note.text}"
            yield from textwrap.wrap(text, _LONGEST_COMMENT, subsequent_indent="  ")
