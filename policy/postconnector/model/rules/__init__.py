"""What the properties of one connector demand of each other and of the organization.

Each rule is a function that yields what it finds; the number in its docstring (V4, …) is that
of docs/properties.md, where the source in Exchange's documentation is named. A rule is only
asked when all properties it looks at were valid by themselves. A new rule goes into the module
of its subject.
"""

from postconnector.model.organization import OrganizationSettings
from postconnector.model.problem import Problem
from postconnector.model.rules import carried_out, routing, security, servers, versions
from postconnector.model.send_connector import SendConnector

_RULES = (*versions.RULES, *routing.RULES, *servers.RULES, *security.RULES, *carried_out.RULES)


def rule_problems(
    connector: SendConnector,
    settings: OrganizationSettings | None = None,
    broken: frozenset[str] = frozenset(),
) -> list[Problem]:
    """All problems of a connector that more than one property, or the organization, makes.

    `broken` names the properties that were not valid by themselves; exchange_version among them
    means that of the organization, and source_transport_servers that its servers are not known.
    """
    settings = settings or OrganizationSettings()
    rules = [rule for rule in _RULES if not rule.properties & broken] if broken else _RULES
    return [
        Problem(
            message=finding.message,
            path=(finding.property,),
            connector=connector.name,
            property=finding.property,
            severity=finding.severity,
        )
        for rule in rules
        for finding in rule.find(connector, settings)
    ]
