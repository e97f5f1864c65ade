"""Several smart hosts: whose turn it is, and what is said if none can be used."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.delivery.hosts.smart_hosts import RoundRobin, no_smart_host
from postconnector.delivery.reply import Reply
from postconnector.model.smart_host import SmartHost

HOSTS = ["a", "b", "c"]


def test_by_turns_in_the_order_of_the_connector() -> None:
    turns = RoundRobin()
    taken = ["".join(turns.take_turn("to partner", HOSTS)) for _ in range(4)]
    assert taken == ["abc", "bca", "cab", "abc"]


def test_each_connector_has_its_own_turns() -> None:
    turns = RoundRobin()
    taken = [turns.take_turn(key, HOSTS)[0] for key in ("x", "y", "x", "y")]
    assert taken == ["a", "a", "b", "b"]


def test_a_connector_that_changes() -> None:
    turns = RoundRobin()
    for _ in range(3):
        turns.take_turn("x", HOSTS)
    assert turns.take_turn("x", ["a"]) == ["a"]
    assert turns.take_turn("x", []) == []


def test_not_endlessly_many_connectors() -> None:
    turns = RoundRobin(most=10)
    for number in range(100):
        turns.take_turn(str(number), HOSTS)
    assert len(turns) == 10


@settings(max_examples=100)
@given(st.lists(st.sampled_from("xy"), max_size=40), st.integers(1, 5))
def test_each_gets_its_share(keys: list[str], count: int) -> None:
    turns = RoundRobin()
    hosts = list(range(count))
    first: dict[str, list[int]] = {"x": [], "y": []}
    for key in keys:
        taken = turns.take_turn(key, hosts)
        assert sorted(taken) == hosts
        first[key].append(taken[0])
    for taken in first.values():
        shares = [taken.count(each) for each in hosts]
        assert max(shares) - min(shares) <= 1


@pytest.mark.parametrize(
    ("replies", "said"),
    [
        ([], "451 4.4.4 the connector has no smart host"),
        (
            [Reply(550, "5.4.4", ("not in DNS",)), Reply(550, "5.4.6", ("it is us",))],
            "451 4.4.4 no smart host can be found: h0.com: not in DNS; h1.com: it is us",
        ),
        (
            [Reply(550, "5.4.4", ("not in DNS",)), Reply(451, "4.4.3", ("SERVFAIL",))],
            "451 4.4.3 no smart host can be found: h0.com: not in DNS; h1.com: SERVFAIL",
        ),
    ],
)
def test_none_can_be_used(replies: list[Reply], said: str) -> None:
    hosts = [SmartHost(f"h{number}.com", is_address=False) for number in range(len(replies))]
    error = no_smart_host(list(zip(hosts, replies, strict=True)))
    assert str(error.reply) == said
    assert not error.not_found, "DowngradeDnsFailures has nothing to do here"
