"""What a daemon counts and measures, for Prometheus.

Labels are connector names and words of ours: never addresses, hosts or what a peer said. There is
at most one series for each connector in force and each of the words, so as many as the
organization has connectors (thousands), and only of connectors that mail came for. The series of
a connector that is gone go with it; what still ends there is counted under no connector (an
empty label).

Recording takes a quarter of a microsecond, from any thread: what is recorded is put aside, and
counted when there is enough of it, or somebody asks.
"""

import time
from bisect import bisect_left
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import accumulate
from math import inf
from threading import Lock
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from postconnector.enforcement.message import Stage

VERDICTS = ("accepted", "refused", "deferred", "agent path", "moved")
"""Of decisions: let pass, 5xx, 4xx, to the delivery agent, to another connector (FILTER)."""

STATUSES = ("sent", "deferred", "bounced")
"""Of deliveries, as Postfix says."""

_STAGES = (Stage.RCPT.value, Stage.END_OF_MESSAGE.value)
"""In which Postfix waits for a decision."""

_ANSWER_BUCKETS = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0, 10.0)
_DELIVERY_BUCKETS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)
"""Few, as there may be thousands of connectors; a next hop may take minutes."""

_MOST_RECORDED = 500
"""Put aside by one metric, so that counting them keeps nobody waiting."""

Labels = tuple[str, ...]
R = TypeVar("R")
"""What is recorded at a time."""
V = TypeVar("V")
"""What comes of it."""


@dataclass
class _Label:
    """What a label may be. Anything else is `other`: more than one of these would be no bound."""

    name: str
    allowed: frozenset[str]
    other: str = "other"

    @classmethod
    def of_connectors(cls) -> "_Label":
        """The names of those in force; what has none of them is counted without one."""
        return cls("connector", frozenset(), "")


class _Series(Collector, Generic[R, V]):
    """The values of one metric by its labels. Counted here, and given to prometheus-client when it
    asks: its own counters and histograms take six times as long.
    """

    def __init__(self, name: str, documentation: str, *labels: _Label) -> None:
        self._name = name
        self._documentation = documentation
        self._labels = labels
        self._values: dict[Labels, V] = {}
        self._recorded: list[R] = []
        self._lock = Lock()

    def keep(self, connectors: frozenset[str]) -> None:
        """Drop the series of all other connectors, and have none of them come back."""
        with self._counted():
            self._labels[0].allowed = connectors
            for labels in list(self._values):
                if labels[0] and labels[0] not in connectors:
                    del self._values[labels]

    def _record(self, one: R) -> None:
        self._recorded.append(one)
        if len(self._recorded) >= _MOST_RECORDED:
            with self._counted():
                pass

    @contextmanager
    def _counted(self) -> Iterator[None]:
        """With everything recorded up to now counted, and nobody else at it."""
        with self._lock:
            # Other threads may put something behind these at any time.
            recorded = self._recorded[:]
            del self._recorded[: len(recorded)]
            self._count(recorded)
            yield

    def _count(self, recorded: list[R]) -> None:
        raise NotImplementedError

    def _bounded(self, labels: Labels) -> Labels:
        return tuple(
            said if said in label.allowed else label.other
            for said, label in zip(labels, self._labels, strict=True)
        )

    def _names(self) -> list[str]:
        return [label.name for label in self._labels]


class _Counts(_Series[Labels, int]):
    """A counter."""

    def add(self, *labels: str) -> None:
        """One more."""
        self._record(labels)

    def _count(self, recorded: list[Labels]) -> None:
        for labels, times in Counter(recorded).items():
            known = labels if labels in self._values else self._bounded(labels)
            self._values[known] = self._values.get(known, 0) + times

    def collect(self) -> Iterator[Metric]:
        """For prometheus-client."""
        family = CounterMetricFamily(self._name, self._documentation, labels=self._names())
        with self._counted():
            values = dict(self._values)
        for labels, value in values.items():
            family.add_metric(labels, value)
        yield family


@dataclass
class _Spread:
    """How many were within each bound (seconds) but not the one before; the last: the rest."""

    counts: list[int]
    sum: float = 0.0


class _Times(_Series[tuple[str, float], _Spread]):
    """A histogram of seconds."""

    def __init__(
        self, name: str, documentation: str, label: _Label, bounds: tuple[float, ...]
    ) -> None:
        super().__init__(name, documentation, label)
        self._bounds = bounds

    def add(self, label: str, seconds: float) -> None:
        """One more that took so long."""
        self._record((label, seconds))

    def _count(self, recorded: list[tuple[str, float]]) -> None:
        for label, seconds in recorded:
            spread = self._values.get((label,)) or self._begin(self._bounded((label,)))
            spread.counts[bisect_left(self._bounds, seconds)] += 1
            spread.sum += seconds

    def begin(self) -> None:
        """Say from the beginning that there was none."""
        with self._lock:
            for label in (*self._labels[0].allowed, self._labels[0].other):
                self._begin((label,))

    def _begin(self, labels: Labels) -> _Spread:
        return self._values.setdefault(labels, _Spread([0] * (len(self._bounds) + 1)))

    def collect(self) -> Iterator[Metric]:
        """For prometheus-client."""
        family = HistogramMetricFamily(self._name, self._documentation, labels=self._names())
        bounds = [
            floatToGoString(bound)  # type: ignore[no-untyped-call]
            for bound in (*self._bounds, inf)
        ]
        with self._counted():
            found = [(labels, [*each.counts], each.sum) for labels, each in self._values.items()]
        for labels, counts, seconds in found:
            family.add_metric(labels, [*zip(bounds, accumulate(counts), strict=True)], seconds)
        yield family


@dataclass(frozen=True, slots=True)
class OrganizationFacts:
    """What is in force. `generation`: None where a file was named, or nothing is published.

    `read_at`: seconds since 1970, None if nothing was read. `is_bad`: what is published is no good,
    and this stays instead.
    """

    connectors: frozenset[str] = frozenset()
    generation: int | None = None
    read_at: float | None = None
    is_bad: bool = False


class Metrics:
    """The metrics of one daemon, in `registry`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        _Process(registry=self.registry)
        self._facts = _Facts()
        stage = _Label("stage", frozenset(_STAGES))
        self._decisions = _Counts(
            "postconnector_decisions",
            "Decisions on recipients and messages.",
            _Label.of_connectors(),
            stage,
            _Label("verdict", frozenset(VERDICTS)),
        )
        self.decided: Callable[[str, str, str], None] = self._decisions.add
        """Told the connector (empty: none), the stage (a value of Stage) and the verdict
        (one of VERDICTS)."""
        self._answers = _Times(
            "postconnector_answer_seconds",
            "Time from a question of Postfix to the answer.",
            stage,
            _ANSWER_BUCKETS,
        )
        self._answers.begin()
        self.answered: Callable[[str, float], None] = self._answers.add
        """Told the stage, as above (anything else is counted as other, whatever a client says), and
        the seconds that an answer took."""
        self._deliveries = _Counts(
            "postconnector_deliveries",
            "Recipients whose delivery was attempted.",
            _Label.of_connectors(),
            _Label("status", frozenset(STATUSES)),
        )
        self._delivery_seconds = _Times(
            "postconnector_delivery_seconds",
            "Time from a recipient's message to the answer for it.",
            _Label.of_connectors(),
            _DELIVERY_BUCKETS,
        )
        by_connector = (self._decisions, self._deliveries, self._delivery_seconds)
        for each in (self._facts, self._answers, *by_connector):
            self.registry.register(each)

    def delivered(self, connector: str, status: str, seconds: float) -> None:
        """What became of one recipient; `status`: one of STATUSES."""
        self._deliveries.add(connector, status)
        self._delivery_seconds.add(connector, seconds)

    def organization(self, facts: OrganizationFacts) -> None:
        """Another organization is in force, or the one that is published is bad."""
        self._facts.organization = facts
        for each in (self._decisions, self._deliveries, self._delivery_seconds):
            each.keep(facts.connectors)

    def certificate_days(self, days: Mapping[str, float]) -> None:
        """How long the own certificate of each connector that has one is valid, in place of what
        was said before; negative when it has expired.
        """
        self._facts.certificate_days = dict(days)


class _Facts(Collector):
    """What is so now, as opposed to what was counted."""

    def __init__(self) -> None:
        self.organization = OrganizationFacts()
        self.certificate_days: Mapping[str, float] = {}

    def collect(self) -> Iterator[Metric]:
        facts, days = self.organization, self.certificate_days
        name = "postconnector_organization"
        yield GaugeMetricFamily(
            f"{name}_connectors", "Connectors in force.", value=len(facts.connectors)
        )
        yield GaugeMetricFamily(
            f"{name}_bad",
            "1 while what is published is no good and the last good one stays.",
            value=int(facts.is_bad),
        )
        if facts.read_at is not None:
            yield GaugeMetricFamily(
                f"{name}_loaded_timestamp_seconds",
                "When the connectors in force were read.",
                value=facts.read_at,
            )
        if facts.generation is not None:
            yield GaugeMetricFamily(
                f"{name}_generation",
                "Number of the generation in force (postconnector history).",
                value=facts.generation,
            )
        gauge = GaugeMetricFamily(
            "postconnector_certificate_days_left",
            "Days that the connector's own certificate is still valid.",
            labels=("connector",),
        )
        for connector in facts.connectors.intersection(days):
            gauge.add_metric((connector,), days[connector])
        yield gauge


class _Process(ProcessCollector):
    """Memory, processor time and file descriptors, also where /proc has nothing but processes
    (ProcSubset=pid in our units).
    """

    def _boot_time(self) -> float:
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
