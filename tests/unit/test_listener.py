"""What listeners say of themselves, and what is made of it."""

from dataclasses import replace
from pathlib import Path

import pytest

from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.listener import Listener, asked_behind, listener_told, maps_late, telling

SCAN = "scan:[127.0.0.1]:10025"
ASKING = ("smtpd_recipient_restrictions", "smtpd_end_of_data_restrictions")
BY_MILTER = ("smtpd_recipient_restrictions", "smtpd_milters")
FACTS = PostfixFacts(
    config_directory=Path("/etc/postfix"),
    queue_directory=Path("/var/spool/postfix"),
    version=(3, 7),
    map_type="lmdb",
    smtpd_services=("smtp/inet", "10026/inet"),
    parameters={"content_filter": SCAN},
    queueing={"10026/inet/content_filter": ""},
)


def as_told(facts: PostfixFacts, content_filter: str, overrides: str) -> Listener:
    """What is made of it when smtpd(8) has put its own values in."""
    text = telling(facts, ASKING)
    text = text.replace("$content_filter", content_filter)
    return listener_told(text.replace("$receive_override_options", overrides))


@pytest.mark.parametrize(
    ("content_filter", "overrides", "way"),
    [
        (SCAN, "", Listener(SCAN).own_way),
        (SCAN, "no_milters,no_unknown_recipient_checks", Listener(SCAN).own_way),
        (SCAN, "no_address_mappings", ""),
        ("", "", ""),
        ("new:", "", ""),
    ],
)
def test_a_listener_has_its_way_back_or_if_that_is_not_published_the_usual_one(
    content_filter: str, overrides: str, way: str
) -> None:
    listener = as_told(FACTS, content_filter, overrides)
    assert listener.content_filter == content_filter
    assert listener.maps_addresses == ("no_address_mappings" not in overrides)
    assert listener.asked_behind == bool(content_filter)
    assert listener.way == way


def test_ways_back_differ_by_filter_and_by_who_maps_addresses() -> None:
    kinds = [Listener(f, m) for f in ("", SCAN, "other:") for m in (True, False)]
    ways = [each.own_way for each in kinds]
    assert len(set(ways)) == len(kinds)
    assert [maps_late(way) for way in ways] == [not each.maps_addresses for each in kinds]


@pytest.mark.parametrize("text", [None, "", ";;", "postconnector-return", f"x; {SCAN}; "])
def test_of_others_nothing_is_known(text: str | None) -> None:
    assert listener_told(text) == Listener()


def test_every_listener_without_a_filter_may_be_where_mail_comes_back() -> None:
    assert asked_behind(FACTS, ASKING) == ["10026/inet"]
    assert asked_behind(replace(FACTS, parameters={}), ASKING) == []
    assert asked_behind(replace(FACTS, queueing={}), ASKING) == []
    for name in ASKING:
        own = replace(FACTS, service_settings={f"10026/inet/{name}": ""})
        assert asked_behind(own, ASKING) == []
    others = replace(FACTS, service_settings={"smtp/inet/smtpd_recipient_restrictions": ""})
    assert asked_behind(others, ASKING) == ["10026/inet"]


@pytest.mark.parametrize(
    ("queueing", "settings"),
    [
        ({}, {"10026/inet/smtpd_milters": ""}),
        ({"10026/inet/receive_override_options": "no_milters"}, {}),
    ],
)
def test_where_the_milter_is_not_asked_behind(
    queueing: dict[str, str], settings: dict[str, str]
) -> None:
    facts = replace(FACTS, queueing={**FACTS.queueing, **queueing}, service_settings=settings)
    assert asked_behind(facts, ASKING) == ["10026/inet"]
    assert asked_behind(facts, BY_MILTER) == []
