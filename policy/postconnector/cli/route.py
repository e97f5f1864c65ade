"""postconnector route: which connector does a recipient take, and why?"""

import argparse
import os

from postconnector.cli.command import Command
from postconnector.cli.connectors import read_file, valid_organization
from postconnector.cli.output import print_json, print_line, print_table
from postconnector.model.address_space import AddressSpace, Specificity
from postconnector.model.domain import recipient_domain
from postconnector.model.organization import Organization
from postconnector.model.send_connector import SendConnector
from postconnector.model.size import format_byte_quantity, parse_byte_quantity
from postconnector.postfix.compile import route as transport_route
from postconnector.postfix.native import agent_reason, next_hop
from postconnector.postfix.service_names import service_names
from postconnector.selection.explanation import Explanation, explain
from postconnector.selection.routing_table import NonDelivery, Outcome, RoutingTable, Selected


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Define the command line."""
    parser.add_argument("recipients", nargs="+", metavar="RECIPIENT", help="an address or domain")
    parser.add_argument(
        "--size",
        type=_size,
        metavar="SIZE",
        help="the size of the message, such as 12MB or 512 KB; a small one if not given",
    )
    parser.add_argument(
        "--explain",
        action="store_true",
        help="show every connector and where it dropped out, and the Postfix look-up",
    )
    parser.add_argument("--json", action="store_true", help="print a JSON list")


def _size(text: str) -> int:
    try:
        return parse_byte_quantity(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def run(arguments: argparse.Namespace) -> int:
    """Run the command."""
    organization = valid_organization(read_file(arguments.file))
    names = service_names(connector.name for connector in organization.connectors)
    recipients = [r if "@" in r else f"postmaster@{r}" for r in arguments.recipients]
    explanations = [explain(organization.connectors, r, arguments.size) for r in recipients]
    answers = [
        _answer(organization, recipient, explanation, names)
        for recipient, explanation in zip(recipients, explanations, strict=True)
    ]
    if arguments.json:
        if arguments.explain:
            for answer, explanation in zip(answers, explanations, strict=True):
                answer["connectors"] = [
                    {"name": v.connector.name, "selected": v.selected, "reason": v.reason}
                    for v in explanation.verdicts
                ]
        print_json(answers)
    elif arguments.explain:
        for answer, explanation in zip(answers, explanations, strict=True):
            _print_explanation(answer, explanation, organization)
    else:
        columns = ("recipient", "connector", "service", "next_hop", "path", "reason")
        print_table(
            [column.replace("_", " ").capitalize() for column in columns],
            [[str(answer[column] or "") for column in columns] for answer in answers],
        )
    return os.EX_OK


def _answer(
    organization: Organization, recipient: str, explanation: Explanation, names: dict[str, str]
) -> dict[str, object]:
    outcome = explanation.outcome
    answer: dict[str, object] = dict.fromkeys(
        ("connector", "code", "delivery_type", "next_hop_domain", "path", "service", "next_hop")
    )
    answer = {"recipient": recipient, "outcome": "unreachable", **answer}
    match outcome:
        case Selected(candidate):
            connector = candidate.connector
            agent = agent_reason(connector)
            answer |= {
                "outcome": "connector",
                "connector": connector.name,
                "delivery_type": _delivery_type(connector),
                "next_hop_domain": _next_hop_domain(connector, recipient),
                "path": "native" if agent is None else "agent",
                "service": names[connector.name] if agent is None else None,
                "next_hop": next_hop(connector) or f"MX of {recipient_domain(recipient)}",
                "reason": agent or f"address space {candidate.address_space}",
            }
        case NonDelivery(largest, code):
            connector = largest.connector
            answer |= {
                "outcome": "ndr",
                "code": code,
                "reason": f"{code}: larger than MaxMessageSize {connector.max_message_size}"
                f' of "{connector.name}"',
            }
        case _:
            answer |= {
                "delivery_type": "Unreachable",
                "next_hop_domain": "Unreachable Domain",
                "reason": "no connector matches: Postfix routes by itself",
            }
    answer["changes_above"] = explanation.changes_above
    answer["lookup"] = _lookup(organization, recipient, outcome, names)
    return answer


def _lookup(
    organization: Organization, recipient: str, outcome: Outcome, names: dict[str, str]
) -> str | None:
    """What in Postfix realises the outcome."""
    by_table = RoutingTable(organization.connectors).select(recipient)
    match outcome, by_table:
        case NonDelivery(), _:
            return "policy service: 552 5.3.4"
        case Selected(taken), Selected(small):
            target = transport_route(taken.connector, names)
            if agent_reason(taken.connector) is not None:
                return None
            if taken.connector is not small.connector:
                return f"policy service: FILTER {target}"
            if taken.address_space.specificity is Specificity.ALL:
                return f"default_transport: {target.removesuffix(':')}"
            return f"transport table: {_key(taken.address_space, recipient)} -> {target}"
        case _:
            return None


def _key(space: AddressSpace, recipient: str) -> str:
    """The key of the transport table by which an address space finds a recipient."""
    exact = recipient_domain(recipient) == space.domain
    return space.domain if exact else f".{space.domain}"


def _delivery_type(connector: SendConnector) -> str:
    if connector.dns_routing_enabled:
        return "DnsConnectorDelivery"
    return "SmartHostConnectorDelivery"


def _next_hop_domain(connector: SendConnector, recipient: str) -> str | None:
    if connector.dns_routing_enabled:
        return recipient_domain(recipient)
    return ",".join(str(host) for host in connector.smart_hosts)


def _print_explanation(
    answer: dict[str, object], explanation: Explanation, organization: Organization
) -> None:
    print_line(f"{answer['recipient']}: {answer['connector'] or answer['outcome']}")
    for label, name in (
        ("Service", "service"),
        ("Next hop", "next_hop"),
        ("Path", "path"),
        ("Look-up", "lookup"),
    ):
        if answer[name]:
            print_line(f"  {label + ':':<10}{answer[name]}")
    print_line(f"  {'Reason:':<10}{answer['reason']}")
    if explanation.changes_above is not None:
        limit = format_byte_quantity(explanation.changes_above)
        print_line(f"  {'Size:':<10}the answer changes above {limit}")
    if organization.connectors:
        print_line()
        print_table(
            ("Connector", "Verdict"),
            [
                (("* " if v.selected else "  ") + v.connector.name, v.reason)
                for v in explanation.verdicts
            ],
        )
    print_line()


COMMAND = Command(
    name="route",
    summary="say which connector each recipient takes, and why",
    description="""
Decides for each recipient by the connectors file, as the compiled tables and the policy
service do: connectors whose MaxMessageSize is below the message drop out; of those that are
enabled and match, the most precise address space wins, then the lowest cost, then the name.

Asks no Postfix: mail for domains that the host delivers for itself (mydestination, virtual
domains) takes no connector, and mail for its relay domains none by the address space *.
""",
    details="""
examples:
  postconnector route bob@fabrikam.com ann@contoso.com
  postconnector route bob@fabrikam.com --size 12MB --explain
  postconnector route bob@fabrikam.com --json | jq -r '.[].connector'

With --json each answer is an object with recipient, outcome (connector, ndr or unreachable),
connector, code, delivery_type and next_hop_domain (Exchange's words), path (native or agent),
service, next_hop and lookup (Postfix' words), reason, and changes_above: the largest size in
bytes for which this is the answer. With --explain also connectors: each with its reason.

exit status:
  0   every recipient has its answer, whatever it is
  64  a size is none
  78  the file has errors, or is not there
""",
    add_arguments=add_arguments,
    run=run,
)
