"""The files of a publication, as text and bytes. Pure.

A generation is a folder: the connectors file it was made from, the sources of the tables, the
certificates. main.cf and master.cf stay where Postfix has them.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from postconnector.postfix.compiled import Compiled
from postconnector.postfix.configuration_files import (
    main_cf_with,
    master_cf_with,
    service_entries,
)
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host import ConfigurationFiles
from postconnector.postfix.quoting import table_source
from postconnector.postfix.table_names import CERTIFICATE_STATES

PUBLISHED_CONNECTORS = "connectors.toml"


@dataclass(frozen=True, slots=True)
class TableChange:
    """What is to become of a table that is live, of which this was built: the fingerprint.

    `gone`: keys of entries that go, or become others; `new`: entries that come.
    """

    built: str
    gone: tuple[str, ...] = field(default=(), repr=False)
    new: tuple[tuple[str, str], ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class GenerationFile:
    """A file of a generation; one that is secret is for root alone and never shown.

    `for_agent`: the delivery agent's group may read it too. `change`: how a table differs from the
    live one, where that is known.
    """

    data: bytes = field(repr=False)
    secret: bool = False
    for_agent: bool = False
    is_table: bool = False
    change: TableChange | None = None


@dataclass(frozen=True, slots=True)
class Rendered:
    """Everything that is to be on the host after publishing."""

    configuration: ConfigurationFiles
    files: Mapping[str, GenerationFile]


def render(
    compiled: Compiled, facts: PostfixFacts, current: ConfigurationFiles, connectors_file: bytes
) -> Rendered:
    """Write out what was compiled; `current` may hold an earlier publication."""
    files = {PUBLISHED_CONNECTORS: GenerationFile(connectors_file)}
    if compiled.certificate_states is not None:
        files[CERTIFICATE_STATES] = GenerationFile(compiled.certificate_states)
    for table in compiled.tables:
        source = table_source(table.entries).encode()
        files[table.name] = GenerationFile(source, table.secret, is_table=not table.patterns)
    for name, pem in compiled.certificates.items():
        files[name] = GenerationFile(pem, secret=True)
    for name, data in compiled.agent_files.items():
        files[name] = GenerationFile(data, secret=True, for_agent=True)
    configuration = ConfigurationFiles(
        main_cf_with(current.main_cf, compiled.parameters, facts.parameters),
        master_cf_with(current.master_cf, service_entries(compiled.services, facts.smtp_chroot)),
    )
    return Rendered(configuration, files)
