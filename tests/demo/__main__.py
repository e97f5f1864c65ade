"""make demo: the main job from connectors.toml to delivered mail, step by step.

Starts private servers, publishes the connectors to one of them with the real commands, sends
MESSAGES and compares what the logs and the receivers saw with what was expected. Exit status 1
if any message did not take its way.
"""

import sys
from pathlib import Path

from rich.console import Console
from rich.text import Text

from postconnector.cli.output import print_table
from tests.demo.journey import Journey, send
from tests.demo.messages import MESSAGES, Message
from tests.demo.verdict import compare, taken
from tests.demo.world import World, contoso_world

COLUMNS = (
    "Recipient",
    "Size",
    "Sent by",
    "Connector expected",
    "Connector taken",
    "TLS",
    "Our certificate",
    "Outcome",
    "As expected",
)
console = Console(highlight=False, soft_wrap=True)


def main() -> int:
    """Run the demo; return the exit status."""
    step("Starting private servers: contoso's Postfix, a DNS server, and six receivers")
    with contoso_world() as world:
        for name, peer in world.peers.items():
            console.print(f"  {name:<13} {peer.address}:{peer.port}")
        step("The connectors, as the administrator wrote them")
        run(world, "check")
        run(world, "list")
        step("Why does a message go where it goes?")
        run(world, "route", "bob@fabrikam.test", "--size", "1500KB", "--explain")
        step("What each connector becomes in Postfix, and what changes there")
        run(world, "plan", expect=2)
        step("Publishing, with the policy service and the delivery agent running")
        with world.administrator.policy_service(), world.administrator.delivery_agent():
            run(world, "apply")
            step(f"Sending {len(MESSAGES)} messages")
            journeys = [follow(world, message, n) for n, message in enumerate(MESSAGES)]
    return report(journeys)


def step(text: str) -> None:
    """Say what comes next."""
    console.print(f"\n[bold]== {text}[/bold]")


def run(world: World, *arguments: str, expect: int = 0) -> None:
    """Run a postconnector command and show it and its output."""
    console.print(Text(f"$ postconnector {' '.join(arguments)}", style="bold cyan"))
    result = world.administrator.run(*arguments)
    for line in (result.stdout + result.stderr).rstrip().split("\n"):
        console.print(Text(f"  {line}"))
    if result.returncode != expect:
        sys.exit(f"exit status {result.returncode}, expected {expect}: the demo stops here")


def follow(world: World, message: Message, number: int) -> Journey:
    """Send a message and say what became of it."""
    console.print(
        Text(f"  {message.by:<14}{message.recipient:<24}{shown_size(message.size):>8}  "), end=""
    )
    journey = send(world, message, number)
    console.print(Text(f"{journey.outcome}  {journey.reason}".rstrip()))
    return journey


def report(journeys: list[Journey]) -> int:
    """Print the table of all messages; return 1 if one did not go as expected."""
    step("What became of each message")
    rows = []
    for message, journey in zip(MESSAGES, journeys, strict=True):
        differences = compare(message.expected, journey)
        verified = f"verified: {message.expected.tls}"
        rows.append(
            (
                message.recipient,
                shown_size(message.size),
                message.by,
                message.expected.connector or "none",
                taken(journey),
                verified if journey.tls == "verified" else journey.tls,
                journey.own_certificate or "",
                journey.outcome,
                "; ".join(differences) or "yes",
            )
        )
    print_table(COLUMNS, rows)
    good = sum(row[-1] == "yes" for row in rows)
    console.print(f"\n{good} of {len(MESSAGES)} messages took their way.")
    return 0 if good == len(MESSAGES) else 1


def shown_size(size: int) -> str:
    """A size in KB."""
    return f"{size // 1024:,} KB"


if __name__ == "__main__":
    if not Path("/usr/sbin/postfix").exists():
        sys.exit("Postfix is not installed; run the demo by `make demo`")
    sys.exit(main())
