"""Selection: does a decision cost more with more address spaces, and what does a batch cost?

    .venv/bin/python -m tests.benchmarks.selection

The peer of a decision is the same decision with 100 address spaces; the peer of a batch is
parsing and printing the same lines without deciding anything.
"""

import json
import time
from collections.abc import Callable, Sequence
from functools import partial
from random import Random

from postconnector.model.organization import HostSettings, Organization
from postconnector.model.send_connector import SendConnector
from postconnector.postfix.local_routing import path_of
from postconnector.selection.batch import Batch
from postconnector.selection.routing_table import RoutingTable

SPACES_A_CONNECTOR = 20
DECISIONS = 100_000


def organization(spaces: int) -> Organization:
    """Connectors with so many address spaces in all, and one for all other domains."""
    connectors = [
        SendConnector.model_validate(
            {
                "name": f"Connector {number}",
                "address_spaces": [
                    f"{'*.' if n % 2 else ''}d{n}.example{number}.com;{n % 100 + 1}"
                    for n in range(SPACES_A_CONNECTOR)
                ],
                "max_message_size": "10 MB",
            }
        )
        for number in range(spaces // SPACES_A_CONNECTOR)
    ]
    everything = {"name": "Internet", "address_spaces": ["*"], "max_message_size": "unlimited"}
    return Organization.of([*connectors, SendConnector.model_validate(everything)])


def recipients(spaces: int) -> list[str]:
    """Of domains that are named, below those that are, and neither."""
    random = Random(1)
    return [
        f"u@a.d{random.randrange(25)}.example{random.randrange(spaces // SPACES_A_CONNECTOR)}.com"
        for _ in range(DECISIONS)
    ]


def best_of(times: int, work: Callable[[], object]) -> float:
    """Seconds; the best of several runs is disturbed least."""
    found = []
    for _ in range(times):
        start = time.perf_counter()
        work()
        found.append(time.perf_counter() - start)
    return min(found)


def decide(table: RoutingTable, addresses: Sequence[str]) -> None:
    for address in addresses:
        table.select(address, 1000)


def main() -> None:
    """Print what was measured."""
    print("address spaces   decisions/s   cost against 100")
    peer = 0.0
    for spaces in (100, 10_000, 1_000_000):
        table, addresses = RoutingTable(organization(spaces)), recipients(spaces)
        decide(table, addresses)
        seconds = best_of(3, partial(decide, table, addresses))
        peer = peer or seconds
        print(f"{spaces:>14,}   {DECISIONS / seconds:>11,.0f}   {seconds / peer:.2f}")
    batch = Batch(organization(100_000), None, partial(path_of, HostSettings()))
    lines = [json.dumps({"recipient": a, "size": 20_000_000}) for a in recipients(100_000)]
    encode = json.JSONEncoder(ensure_ascii=False).encode
    parsing = best_of(3, lambda: [encode(json.loads(line)) for line in lines])
    answering = best_of(3, lambda: [encode(batch.answer(json.loads(line))) for line in lines])
    print(f"\n{len(lines):,} lines of a batch, 100,000 address spaces: {answering:.2f} s,")
    print(f"{answering / parsing:.1f} times what parsing and printing them costs ({parsing:.2f} s)")


if __name__ == "__main__":
    main()
