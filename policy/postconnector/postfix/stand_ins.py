"""The same publication under other names, for the moment in which one takes the other's place.

A service whose settings change, and tables that change together with main.cf, can't be replaced
in one step. So the new configuration first comes into force under the names of stand-ins, beside
the old one, and then under its own (see `transition`). Pure.
"""

from dataclasses import replace

from postconnector.postfix.compiled import Compiled, Parameter, Service, Table
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.service_names import PREFIX
from postconnector.postfix.table_names import ROUTE_TABLES

STAND_IN_PREFIX = "pcn-"
STAND_IN_FOLDER = "standing-in"


def stand_ins(compiled: Compiled, facts: PostfixFacts) -> Compiled:
    """The same, with stand-ins for its services and for the folder of its tables."""
    live, beside = str(facts.live_directory), str(facts.own_directory / STAND_IN_FOLDER)

    def moved(text: str) -> str:
        return text.replace(f"{live}/", f"{beside}/")

    def renamed(route: str) -> str:
        service, colon, hop = route.partition(":")
        return f"{_stand_in_name(service)}{colon}{hop}"

    def other_service(service: Service) -> Service:
        settings = tuple(each._replace(value=moved(each.value)) for each in service.settings)
        return replace(service, name=_stand_in_name(service.name), settings=settings)

    def other_table(table: Table) -> Table:
        if table.name not in ROUTE_TABLES:
            return table
        return replace(table, entries=tuple((key, renamed(to)) for key, to in table.entries))

    def other_parameter(parameter: Parameter) -> Parameter:
        value = moved(parameter.value)
        if parameter.name == "default_transport":
            value = renamed(value)
        return replace(parameter, value=value)

    return replace(
        compiled,
        services=tuple(map(other_service, compiled.services)),
        tables=tuple(map(other_table, compiled.tables)),
        parameters=tuple(map(other_parameter, compiled.parameters)),
    )


def _stand_in_name(service: str) -> str:
    """Only services of ours have stand-ins."""
    if not service.startswith(PREFIX):
        return service
    return STAND_IN_PREFIX + service.removeprefix(PREFIX)
