"""What listeners say of themselves, and what is made of it."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from postconnector.model.organization import AskMilter, HostSettings
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host_listeners import (
    behind_filters,
    is_asked_behind,
    listeners,
    not_asking_behind,
    told_of_itself,
    told_of_pickup,
    ways_back,
)
from postconnector.postfix.listener import NO_MAPPINGS, Listener, is_way, listener_told, maps_late

PICKUP = "pickup/unix"
OVERRIDES = "receive_override_options"
SCAN, BACK = "scan:[127.0.0.1]:10025", "10026/inet"
HOST = HostSettings()
BY_MILTER, SENDMAIL_TOO = HostSettings(milter=AskMilter.SMTP), HostSettings(milter="sendmail")
FACTS = PostfixFacts(
    config_directory=Path("/etc/postfix"),
    queue_directory=Path("/var/spool/postfix"),
    version=(3, 7),
    map_type="lmdb",
    programs={"smtp/inet": "smtpd", BACK: "smtpd", PICKUP: "pickup", "scan/unix": "smtp"},
    parameters={"content_filter": SCAN},
    queueing={f"{BACK}/content_filter": ""},
)


def as_told(facts: PostfixFacts, content_filter: str, overrides: str) -> Listener:
    """What is made of it when smtpd(8) has put its own values in."""
    text = told_of_itself(facts, HOST).replace("$content_filter", content_filter)
    return listener_told(text.replace("$receive_override_options", overrides))


@pytest.mark.parametrize(
    ("content_filter", "overrides", "way"),
    [
        (SCAN, "", "filtered"),
        (SCAN, "no_milters,no_unknown_recipient_checks", "filtered"),
        ("scan:[127.0.0.1]:10027", "", "filtered"),
        ("", "", ""),
        (SCAN, "no_address_mappings", None),
        ("", "no_address_mappings", None),
    ],
)
def test_a_listener_has_the_way_back_of_its_kind(
    content_filter: str, overrides: str, way: str | None
) -> None:
    listener = as_told(FACTS, content_filter, overrides)
    assert listener.content_filter == content_filter
    assert listener.maps_late == ("no_address_mappings" in overrides)
    assert listener.asked_behind == bool(content_filter)
    assert listener.way == way


def test_of_several_filters_that_of_main_cf_has_the_plain_word() -> None:
    """It may be another while mail is on its way, and the others may not be taken for it."""
    facts = replace(FACTS, queueing={**FACTS.queueing, "smtp/inet/content_filter": "own:"})
    own = f"filtered-{sha256(b'own:').hexdigest()[:8]}"
    assert set(ways_back(facts, HOST)) == {"", "filtered", own}
    assert as_told(facts, SCAN, "").way == "filtered"
    assert as_told(facts, "own:", "").way == own
    assert as_told(facts, "another:", "").way is None
    late = replace(facts, queueing={**facts.queueing, f"{BACK}/{OVERRIDES}": NO_MAPPINGS})
    assert as_told(late, "", NO_MAPPINGS).way == "late"
    assert as_told(late, SCAN, NO_MAPPINGS).way is None
    only = replace(facts, parameters={}, queueing={"smtp/inet/content_filter": "own:"})
    assert set(ways_back(only, HOST)) == {"", "filtered"}


def test_ways_back_are_told_by_their_words() -> None:
    facts = replace(
        FACTS,
        programs={**FACTS.programs, "smtps/inet": "smtpd"},
        queueing={
            **FACTS.queueing,
            f"{BACK}/receive_override_options": "no_address_mappings",
            "smtps/inet/receive_override_options": "no_address_mappings",
        },
    )
    found = ways_back(facts, HOST)
    assert set(found) == {"", "filtered", "late", "late-filtered"}
    for way, listener in found.items():
        assert maps_late(way) == listener.maps_late
        assert is_way(way) == bool(way)


@pytest.mark.parametrize("text", [None, "", ";;", "postconnector-return", f"x; {SCAN}; "])
def test_of_others_nothing_is_known(text: str | None) -> None:
    assert listener_told(text) == Listener()


def test_main_cf_has_a_way_even_where_all_its_listeners_have_others() -> None:
    """For those that are no service: sendmail -bs."""
    own = {"smtp/inet/content_filter": "", f"{PICKUP}/content_filter": "", **FACTS.queueing}
    assert "filtered" in ways_back(replace(FACTS, queueing=own), HOST)


def test_pickup_was_a_fifo_once() -> None:
    programs = {"smtp/inet": "smtpd", "pickup/fifo": "pickup"}
    facts = replace(FACTS, programs=programs, queueing={"pickup/fifo/content_filter": ""})
    assert [name for name, each in listeners(facts).items() if not each.content_filter] == [
        "pickup/fifo"
    ]


def test_a_list_of_next_hops_is_one_filter_however_it_is_written() -> None:
    written = "smtp:[192.0.2.1]:10024, [192.0.2.2]:10024"
    facts = replace(FACTS, queueing={**FACTS.queueing, "smtp/inet/content_filter": written})
    [own] = set(ways_back(facts, HOST)) - {"", "filtered"}
    assert as_told(facts, written, "").way == own
    assert as_told(facts, written.replace(" ", ""), "").way == own


def test_pickup_is_told_of_by_what_it_has_in_master_cf() -> None:
    facts = replace(FACTS, queueing={**FACTS.queueing, f"{PICKUP}/content_filter": ""})
    assert listener_told(told_of_pickup(facts, HOST)).content_filter == ""
    assert listener_told(told_of_pickup(FACTS, HOST)).way == "filtered"


def test_every_listener_without_a_filter_may_be_where_mail_comes_back() -> None:
    assert behind_filters(FACTS) == [BACK]
    assert is_asked_behind(FACTS, HOST)
    assert not is_asked_behind(replace(FACTS, parameters={}), HOST)
    for name in ("smtpd_recipient_restrictions", "smtpd_end_of_data_restrictions"):
        own = replace(FACTS, service_settings={f"{BACK}/{name}": ""})
        assert not_asking_behind(own, HOST) == [BACK]
        others = replace(FACTS, service_settings={f"smtp/inet/{name}": ""})
        assert is_asked_behind(others, HOST)


@pytest.mark.parametrize(
    "facts",
    [
        replace(FACTS, queueing={}),
        replace(FACTS, programs={**FACTS.programs, "scan/unix": "pipe"}),
    ],
    ids=["no listener without one", "pipe"],
)
def test_a_filter_may_bring_mail_back_by_sendmail(facts: PostfixFacts) -> None:
    assert not_asking_behind(facts, HOST) == [PICKUP]
    assert is_asked_behind(facts, SENDMAIL_TOO)
    past = {f"{PICKUP}/receive_override_options": "no_milters"}
    assert not is_asked_behind(replace(facts, queueing={**facts.queueing, **past}), SENDMAIL_TOO)
    own = {"cleanup/unix/non_smtpd_milters": ""}
    assert not is_asked_behind(replace(facts, service_settings=own), SENDMAIL_TOO)


@pytest.mark.parametrize(
    "facts",
    [
        replace(FACTS, service_settings={f"{BACK}/smtpd_milters": ""}),
        replace(FACTS, service_settings={f"{BACK}/smtpd_milter_maps": "cidr:/own"}),
        replace(FACTS, parameters={**FACTS.parameters, "smtpd_milter_maps": "cidr:/own"}),
        replace(
            FACTS, queueing={**FACTS.queueing, f"{BACK}/receive_override_options": "no_milters"}
        ),
    ],
)
def test_where_the_milter_may_not_be_asked_behind(facts: PostfixFacts) -> None:
    assert is_asked_behind(FACTS, BY_MILTER)
    assert not is_asked_behind(facts, BY_MILTER)
    assert is_asked_behind(facts, HOST)
