"""Places that do not answer: left aside while others live, tried again in Exchange's rhythm."""

from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from postconnector.delivery.hosts.back_off import BackOff
from postconnector.delivery.hosts.target import NoTargetError, Target

A = Target("mx1.contoso.com", "192.0.2.1", 25)
B = Target("mx2.contoso.com", "192.0.2.2", 25)
INTERVALS = [60.0] * 4 + [300.0] * 6 + [600.0] * 100

C = Target("mx3.contoso.com", "192.0.2.3", 25)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def dead(*targets: Target, clock: Clock | None = None) -> BackOff:
    back_off = BackOff(clock or Clock())
    for target in targets:
        assert back_off.claim(target)
        back_off.failed(target, "connection refused")
    return back_off


def test_who_lives_keeps_the_order() -> None:
    assert dead().usable([A, B, C]) == [A, B, C]
    assert dead(B).usable([A, B, C]) == [A, C]
    assert dead(A, B).usable([A, B, C]) == [C]


def test_another_port_or_address_is_another_place() -> None:
    submission = Target(A.host, A.address, 587)
    assert dead(A).usable([A, submission]) == [submission]
    renamed = Target("other.contoso.com", A.address, A.port)
    with pytest.raises(NoTargetError):
        dead(A).usable([renamed])


def test_when_all_are_dead_mail_waits_at_once() -> None:
    clock = Clock()
    back_off = dead(A, B, clock=clock)
    clock.now += 18
    with pytest.raises(NoTargetError) as caught:
        back_off.usable([A, B])
    assert str(caught.value.reply) == (
        "451 4.4.1 no host answers: "
        "mx1.contoso.com[192.0.2.1]:25: connection refused (next try in 42 s); "
        "mx2.contoso.com[192.0.2.2]:25: connection refused (next try in 42 s)"
    )
    assert not caught.value.not_found


def test_the_rhythm() -> None:
    clock = Clock()
    back_off = dead(A, clock=clock)
    waited = []
    for _ in range(14):
        start = clock.now
        while not back_off.claim(A):
            clock.now += 60
        waited.append(clock.now - start)
        back_off.failed(A, "timed out")
    assert waited == INTERVALS[:14]


def test_one_try_when_it_is_due() -> None:
    clock = Clock()
    back_off = dead(A, clock=clock)
    assert not back_off.claim(A)
    clock.now += 60
    assert back_off.usable([A, B]) == [A, B], "a primary keeps its place"
    assert back_off.claim(A)
    assert not back_off.claim(A)
    assert back_off.usable([A, B]) == [B]
    with pytest.raises(NoTargetError, match="being tried again"):
        back_off.usable([A])
    back_off.succeeded(A)
    assert back_off.claim(A)
    assert back_off.claim(A), "who lives is not counted"


def test_looking_is_not_trying() -> None:
    clock = Clock()
    back_off = dead(A, clock=clock)
    clock.now += 60
    for _ in range(3):
        assert back_off.usable([A]) == [A]


def test_a_try_given_up() -> None:
    clock = Clock()
    back_off = dead(A, clock=clock)
    clock.now += 60
    assert back_off.claim(A)
    back_off.released(A)
    assert back_off.claim(A)
    back_off.released(B)


def test_a_try_of_which_nobody_tells() -> None:
    clock = Clock()
    back_off = dead(A, clock=clock)
    clock.now += 60
    assert back_off.claim(A)
    clock.now += 899
    assert not back_off.claim(A)
    clock.now += 1
    assert back_off.claim(A)


def test_those_that_fail_together_count_once() -> None:
    clock = Clock()
    back_off = BackOff(clock)
    assert all(back_off.claim(A) for _ in range(50))
    for _ in range(50):
        clock.now += 0.1
        back_off.failed(A, "timed out")
    clock.now += 60
    for _ in range(3):
        assert back_off.claim(A)
        back_off.failed(A, "timed out")
        clock.now += 60
    assert back_off.claim(A), "still within the four quick tries"


def test_success_clears() -> None:
    back_off = dead(A)
    back_off.succeeded(A)
    assert back_off.usable([A]) == [A]
    assert len(back_off) == 0


def test_an_old_failure_is_forgotten() -> None:
    clock = Clock()
    back_off = dead(A, clock=clock)
    for _ in range(12):
        clock.now += 600
        back_off.failed(A, "timed out")
    clock.now += 600 + 3600
    back_off.failed(A, "timed out")
    clock.now += 60
    assert back_off.claim(A)


def test_not_endlessly_many() -> None:
    back_off = BackOff(Clock(), most=10)
    targets = [Target("x", f"192.0.2.{number}", 25) for number in range(100)]
    for target in targets:
        back_off.failed(target, "timed out")
    assert len(back_off) == 10
    assert back_off.usable(targets) == targets[:90]


def test_reasons_are_clean_and_short() -> None:
    back_off = BackOff(Clock())
    back_off.failed(A, "421 \x1b[2Jgo\r\naway " + "x" * 1000)
    text = back_off.refusal([A]).reply.text
    assert "421 \\x1b[2Jgo\\r\\naway xxx" in text
    assert len(text) < 250


class ManyConnections(RuleBasedStateMachine):
    """Whatever happens: a dead place is tried by one, and never before its time."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = Clock()
        self.back_off = BackOff(self.clock, most=2)
        self.open: Counter[Target] = Counter()
        self.due: dict[Target, float] = {}
        self.failures: Counter[Target] = Counter()
        self.tried: set[Target] = set()

    @rule(place=st.sampled_from([A, B]))
    def connect(self, place: Target) -> None:
        expected = place not in self.due or (
            self.clock.now >= self.due[place] and place not in self.tried
        )
        assert self.back_off.claim(place) == expected
        if expected:
            self.open[place] += 1
            self.tried.add(place)

    @rule(place=st.sampled_from([A, B]))
    def connected(self, place: Target) -> None:
        if self.open[place]:
            self.open[place] -= 1
            self.back_off.succeeded(place)
            self.due.pop(place, None)
            self.failures[place] = 0

    @rule(place=st.sampled_from([A, B]))
    def refused(self, place: Target) -> None:
        if self.open[place]:
            self.open[place] -= 1
            self.back_off.failed(place, "timed out")
            if self.clock.now >= self.due.get(place, 0):
                self.due[place] = self.clock.now + INTERVALS[self.failures[place]]
                self.failures[place] += 1
                self.tried.discard(place)

    @rule(seconds=st.sampled_from([1, 59, 60, 300]))
    def wait(self, seconds: int) -> None:
        self.clock.now += seconds
        for place in (A, B):
            self.back_off.released(place)  # who tries gives up before so long
        self.tried.clear()

    @invariant()
    def the_usable_are_those_that_can_be_claimed(self) -> None:
        expected = [
            place
            for place in (A, B)
            if place not in self.due
            or (self.clock.now >= self.due[place] and place not in self.tried)
        ]
        try:
            assert self.back_off.usable([A, B]) == expected
        except NoTargetError as error:
            assert error.reply.is_temporary
            assert not expected


ManyConnections.TestCase.settings = settings(max_examples=50)
TestManyConnections = ManyConnections.TestCase
