"""Is what was published in force? Asks by Postfix' own commands, as Postfix will ask."""

from postconnector.postfix.compiled import Compiled, Table
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host import PostfixError, PostfixHost

_ANY_KEY = "postmaster@example.invalid"


def verify(host: PostfixHost, facts: PostfixFacts, compiled: Compiled) -> None:
    """Look up an entry of each connector in each table, and look for each service.

    Raises PostfixError for anything that is not as it was compiled.
    """
    for table in compiled.tables:
        if table.patterns:
            _verify_patterns(host, facts.pattern_table(table.name))
        else:
            _verify_entries(host, facts, table)
    services = host.service_names()
    for service in compiled.services:
        if service.name not in services:
            raise PostfixError(f"Postfix does not have the service {service.name}")


def _verify_entries(host: PostfixHost, facts: PostfixFacts, table: Table) -> None:
    """postmap(1) makes a table of its source in one go, so one entry for each value is enough."""
    one_of_each = {value: key for key, value in table.entries}
    found = host.lookup_all(facts.table(table.name), one_of_each.values())
    for value, key in one_of_each.items():
        if found.get(key) != value:
            said = "" if table.secret else f": {found.get(key)!r}, not {value!r}"
            raise PostfixError(f"the live table {table.name} answers wrongly for {key}{said}")


def _verify_patterns(host: PostfixHost, table: str) -> None:
    path = table.partition(":")[2]
    complaints = [line for line in host.complaints_of(table, _ANY_KEY) if path in line]
    if complaints:
        raise PostfixError(complaints[0])
