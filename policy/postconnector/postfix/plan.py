"""What publishing would change on the host, file by file. Secrets never appear."""

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from postconnector.postfix.generations import ABOUT, BUILT_SUFFIXES, REGISTER
from postconnector.postfix.host import ConfigurationFiles
from postconnector.postfix.rendered import PUBLISHED_CONNECTORS, GenerationFile, Rendered
from postconnector.postfix.table_names import (
    CERTIFICATE_STATES,
    ROUTE_TABLES,
    is_for_agent,
    is_secret,
)


@dataclass(frozen=True, slots=True)
class FileChange:
    """One file that changes: its name for people, and a unified diff.

    Of secrets, and of the copy of the administrator's own file, there is none.
    """

    file: str
    diff: tuple[str, ...]
    secret: bool = False


@dataclass(frozen=True, slots=True)
class Live:
    """What is published now: the configuration files, and the sources of the generation."""

    configuration: ConfigurationFiles
    files: Mapping[str, bytes]


def read_live(configuration: ConfigurationFiles, live_directory: Path) -> Live:
    """Read the published generation; none is an empty one."""
    files: dict[str, bytes] = {}
    if live_directory.is_dir():
        for path in sorted(live_directory.rglob("*")):
            built = path.suffix in BUILT_SUFFIXES.values()
            if path.is_file() and not built and path.name not in (ABOUT, REGISTER):
                files[str(path.relative_to(live_directory))] = path.read_bytes()
    return Live(configuration, files)


def differing_files(live: Live, wanted: Rendered) -> list[str]:
    """Names of the files in the generation's folder that publishing changes."""
    return [
        name
        for name in sorted({*live.files, *wanted.files})
        if name not in wanted.files or live.files.get(name) != wanted.files[name].data
    ]


def is_published(live: Live, wanted: Rendered) -> bool:
    """Whether publishing would change nothing."""
    return live.configuration == wanted.configuration and not differing_files(live, wanted)


def only_tables_differ(live: Live, wanted: Rendered) -> bool:
    """Whether Postfix notices by itself all that changes: indexed tables, not patterns or keys.

    What only our daemons read is none of its business.
    """
    names = {
        name
        for name in differing_files(live, wanted)
        if name not in (PUBLISHED_CONNECTORS, CERTIFICATE_STATES) and not is_for_agent(name)
    }
    return all(name in wanted.files and wanted.files[name].is_table for name in names)


def routes_differ(live: Live, wanted: Rendered) -> bool:
    """Whether some mail is to take another way by the tables."""
    return not set(ROUTE_TABLES).isdisjoint(differing_files(live, wanted))


def file_changes(live: Live, wanted: Rendered) -> Iterator[FileChange]:
    """Every file that publishing changes; nothing when all is as wanted."""
    yield from configuration_changes(live.configuration, wanted.configuration)
    for name in differing_files(live, wanted):
        before, after = live.files.get(name, b""), wanted.files.get(name, GenerationFile(b""))
        if after.secret or is_secret(name):
            yield FileChange(name, (), secret=True)
        elif name == PUBLISHED_CONNECTORS:
            yield FileChange(name, ())
        else:
            yield from _text_change(
                name, before.decode("utf-8", "replace"), after.data.decode("utf-8", "replace")
            )


def configuration_changes(
    now: ConfigurationFiles, wanted: ConfigurationFiles
) -> Iterator[FileChange]:
    """What changes in main.cf and master.cf."""
    yield from _text_change("main.cf", now.main_cf, wanted.main_cf)
    yield from _text_change("master.cf", now.master_cf, wanted.master_cf)


def _text_change(name: str, before: str, after: str) -> Iterator[FileChange]:
    if before == after:
        return
    diff = difflib.unified_diff(
        before.split("\n"), after.split("\n"), name, name, "now", "then", lineterm="", n=1
    )
    yield FileChange(name, tuple(diff))
