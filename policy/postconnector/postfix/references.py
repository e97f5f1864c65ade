"""Does everything that a staged configuration names exist? `postfix check` does not look. Pure."""

import re
from collections.abc import Iterator

from postconnector.postfix.compiled import Compiled
from postconnector.postfix.configuration_files import entries_in, parameters_in
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.rendered import Rendered
from postconnector.postfix.service_names import PREFIX
from postconnector.postfix.table_names import ROUTE_TABLES


def broken_references(compiled: Compiled, rendered: Rendered, facts: PostfixFacts) -> Iterator[str]:
    """Files of ours that are named but not staged, types of tables that Postfix does not have, and
    routes to services of ours that master.cf does not have.
    """
    services = entries_in(rendered.configuration.master_cf)
    parameters = parameters_in(rendered.configuration.main_cf)
    texts = [*services.values(), *(parameter.value for parameter in parameters.values())]
    named = re.compile(
        rf"(?:(?P<type>\w+):)?{re.escape(str(facts.live_directory))}/(?P<file>[\w./-]+)"
    )
    for found in (match for text in texts for match in named.finditer(text)):
        if found["file"] not in rendered.files:
            yield f"{found[0]} is named, but there is no such file"
        if found["type"] is not None and found["type"] not in facts.table_types:
            yield f"{found[0]}: this Postfix has no tables of type {found['type']}"
    routes = {value for t in compiled.tables if t.name in ROUTE_TABLES for _, value in t.entries}
    routes |= {p.value for name, p in parameters.items() if name == "default_transport"}
    for name in sorted({route.partition(":")[0] for route in routes}):
        if name.startswith(PREFIX) and name not in services:
            yield f"mail is routed to {name}, but master.cf has no such service"
