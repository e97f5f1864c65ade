"""Answers of DNS: how long they are kept, and which names are names of hosts."""

from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.delivery.hosts.answer import Answer, Status, is_host_name
from postconnector.delivery.hosts.answer_cache import AnswerCache
from postconnector.delivery.hosts.nameservers import SystemNameservers

DAY = 86400.0


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def answer(status: Status, ttl: float) -> Answer[str]:
    return Answer(status, ("record",) if status is Status.FOUND else (), ttl=ttl)


@pytest.mark.parametrize(
    ("status", "ttl", "kept"),
    [
        (Status.FOUND, 300, 300),
        (Status.FOUND, 1, 1),
        (Status.FOUND, 10 * DAY, DAY),
        (Status.NO_NAME, 60, 60),
        (Status.NO_NAME, DAY, 3 * 3600),
        (Status.NO_DATA, DAY, 3 * 3600),
        (Status.FAILED, 5, 5),
        (Status.FAILED, DAY, 5),
    ],
)
def test_how_long_an_answer_is_kept(status: Status, ttl: float, kept: float) -> None:
    clock = Clock()
    cache = AnswerCache[str](clock)
    cache.put("contoso.com", answer(status, ttl))
    clock.now += kept - 0.001
    assert cache.get("contoso.com") == answer(status, ttl)
    clock.now += 0.001
    assert cache.get("contoso.com") is None
    assert len(cache) == 0


@pytest.mark.parametrize("status", list(Status))
def test_a_ttl_of_zero_is_not_kept_and_ends_what_was(status: Status) -> None:
    cache = AnswerCache[str](Clock())
    cache.put("contoso.com", answer(Status.FOUND, 60))
    cache.put("contoso.com", answer(status, 0))
    assert cache.get("contoso.com") is None


def test_the_least_used_leaves_first() -> None:
    cache = AnswerCache[str](Clock(), most=2)
    for name in ("a", "b"):
        cache.put(name, answer(Status.FOUND, 60))
    cache.get("a")
    cache.put("c", answer(Status.FOUND, 60))
    assert [name for name in "abc" if cache.get(name)] == ["a", "c"]


events = st.one_of(
    st.tuples(
        st.just("put"),
        st.sampled_from("abcd"),
        st.sampled_from(list(Status)),
        st.floats(0, 2 * DAY),
    ),
    st.tuples(st.just("wait"), st.floats(0, DAY)),
    st.tuples(st.just("get"), st.sampled_from("abcd")),
)


@settings(max_examples=100)
@given(st.lists(events, max_size=30))
def test_nothing_is_kept_too_long_nor_too_much(happened: list[tuple[object, ...]]) -> None:
    clock = Clock()
    cache = AnswerCache[str](clock, most=3)
    ends: dict[str, float] = {}
    for event in happened:
        match event:
            case ("put", str(name), Status() as status, float(ttl)):
                cache.put(name, answer(status, ttl))
                ends[name] = clock.now + ttl
            case ("wait", float(seconds)):
                clock.now += seconds
            case ("get", str(name)):
                assert cache.get(name) is None or clock.now < ends[name]
        assert len(cache) <= 3


@pytest.mark.parametrize(
    "name",
    [
        "contoso.com",
        "a",
        "mx-1.contoso.com",
        "_x.contoso.com",
        "xn--bcher-kva.example",
        "3com.com",
        "MAIL.Contoso.COM",
        ".".join(["x" * 63] * 3 + ["y" * 61]),
    ],
)
def test_names_of_hosts(name: str) -> None:
    assert is_host_name(name)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "contoso..com",
        ".contoso.com",
        "contoso.com.",
        "192.0.2.1",
        "contoso.1",
        "::1",
        "[192.0.2.1]",
        "a b.com",
        "a\\032b.com",
        "a\nb.com",
        "contoso.com\n",
        "-a.com",
        "a-.com",
        "bücher.example",
        "\u212aontoso.com",
        "x" * 64 + ".com",
        "*.contoso.com",
        "@",
        "a@b.com",
        ".".join(["x" * 63] * 3 + ["y" * 62]),
    ],
)
def test_what_is_no_name_of_a_host(name: str) -> None:
    assert not is_host_name(name)


@settings(max_examples=200)
@given(st.text(max_size=30))
def test_names_of_hosts_are_safe_to_show(text: str) -> None:
    if is_host_name(text):
        assert text.isascii()
        assert not set(text) & set("\\\"' \r\n;()[]<>@/:")


@pytest.mark.parametrize(
    ("text", "servers"),
    [
        ("nameserver 192.0.2.53\n", ("192.0.2.53",)),
        ("search contoso.com\nnameserver 192.0.2.53 # ours\n", ("192.0.2.53",)),
        ("nameserver ::1\nnameserver\t192.0.2.53\n", ("::1", "192.0.2.53")),
        ("nameserver fe80::1%lo\n", ("fe80::1%lo",)),
        ("nameserver dns.contoso.com\n#nameserver 192.0.2.1\n;x\n", ("127.0.0.1",)),
        ("nameserver\noptions rotate", ("127.0.0.1",)),
        ("", ("127.0.0.1",)),
        (
            "".join(f"nameserver 192.0.2.{n}\n" for n in range(1, 6)),
            ("192.0.2.1", "192.0.2.2", "192.0.2.3"),
        ),
    ],
)
def test_nameservers_of_the_system(tmp_path: Path, text: str, servers: tuple[str, ...]) -> None:
    (tmp_path / "resolv.conf").write_text(text)
    assert SystemNameservers(tmp_path / "resolv.conf")() == servers


def test_nameservers_that_change(tmp_path: Path) -> None:
    file = tmp_path / "resolv.conf"
    servers = SystemNameservers(file)
    assert servers() == ("127.0.0.1",)
    file.write_text("nameserver 192.0.2.1\n")
    assert servers() == ("192.0.2.1",)
    new = tmp_path / "new"
    new.write_text("nameserver 192.0.2.2\n")
    new.rename(file)
    assert servers() == ("192.0.2.2",)
    remove: Callable[[], None] = file.unlink
    remove()
    assert servers() == ("192.0.2.2",), "better those from before than none"
