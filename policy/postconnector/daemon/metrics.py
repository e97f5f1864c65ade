"""What a daemon counts and measures, for Prometheus.

Labels are connector names and words of ours: never addresses, hosts or what a peer said. There is
at most one series for each connector in force and each of the words, so as many as the
organization has connectors (thousands), and only of connectors that mail came for. The series of
a connector that is gone go with it; what still ends there is counted under no connector (an
empty label).

Recording takes about a microsecond, from any thread.
"""

import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from threading import Lock
from typing import Generic, TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, disable_created_metrics
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.process_collector import ProcessCollector
from prometheus_client.registry import Collector

from postconnector.enforcement.message import Stage

VERDICTS = ("accepted", "refused", "deferred", "agent path", "moved")
"""Of decisions: let pass, 5xx, 4xx, to the delivery agent, to another connector (FILTER)."""

STATUSES = ("sent", "deferred", "bounced")
"""Of deliveries, as Postfix says."""

_OTHER = "other"
"""A word that is none of ours; more than one of these would be no bound."""

LOOKUP = "LOOKUP"
"""The stage of questions that are no message's: Postfix looks something up (socketmap)."""

_STAGES = (*(stage.value for stage in Stage), LOOKUP)
_ANSWER_BUCKETS = (5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 5e-2, 0.1, 0.5, 1.0, 5.0, 10.0)
_DELIVERY_BUCKETS = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0)
"""Few, as there may be thousands of connectors; a next hop may take minutes."""

M = TypeVar("M", Counter, Histogram)


class _ByConnector(Generic[M]):
    """The series of one metric whose first label is the connector.

    They are remembered here, since asking prometheus-client takes three times as long. `words`:
    what each further label may be.
    """

    def __init__(self, metric: M, *words: Iterable[str]) -> None:
        self._metric: M = metric
        self._words = [frozenset(each) for each in words]
        self._connectors = frozenset[str]()
        self._series: dict[tuple[str, ...], M] = {}
        self._lock = Lock()

    def of(self, *labels: str) -> M:
        """The series with these labels."""
        found = self._series.get(labels)
        return self._bounded(labels) if found is None else found

    def keep(self, connectors: frozenset[str]) -> None:
        """Drop the series of all other connectors, and have none of them come back."""
        with self._lock:
            self._connectors = connectors
            for labels in list(self._series):
                if labels[0] and labels[0] not in connectors:
                    del self._series[labels]
                    self._metric.remove(*labels)

    def _bounded(self, labels: tuple[str, ...]) -> M:
        connector, *words = labels
        with self._lock:
            known = (
                connector if connector in self._connectors else "",
                *(
                    word if word in allowed else _OTHER
                    for word, allowed in zip(words, self._words, strict=True)
                ),
            )
            return self._series.setdefault(known, self._metric.labels(*known))


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
        # These would be a second series for each, which nobody looks at.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        _Process(registry=self.registry)
        self._facts = _Facts()
        self.registry.register(self._facts)
        self._decisions = _ByConnector(
            Counter(
                "postconnector_decisions_total",
                "Decisions on recipients and messages.",
                ("connector", "stage", "verdict"),
                registry=self.registry,
            ),
            _STAGES,
            VERDICTS,
        )
        answers = Histogram(
            "postconnector_answer_seconds",
            "Time from a question of Postfix to the answer.",
            ("stage",),
            buckets=_ANSWER_BUCKETS,
            registry=self.registry,
        )
        self._answers = {stage: answers.labels(stage) for stage in (*_STAGES, _OTHER)}
        self._deliveries = _ByConnector(
            Counter(
                "postconnector_deliveries_total",
                "Recipients whose delivery was attempted.",
                ("connector", "status"),
                registry=self.registry,
            ),
            STATUSES,
        )
        self._delivery_seconds = _ByConnector(
            Histogram(
                "postconnector_delivery_seconds",
                "Time from a recipient's message to the answer for it.",
                ("connector",),
                buckets=_DELIVERY_BUCKETS,
                registry=self.registry,
            )
        )

    def decided(self, connector: str | None, stage: str, verdict: str) -> None:
        """`stage`: a value of Stage, or LOOKUP; `verdict`: one of VERDICTS."""
        self._decisions.of(connector or "", stage, verdict).inc()

    def answered(self, stage: str, seconds: float) -> None:
        """`stage` as for decided(); anything else is counted as other, whatever a client says."""
        (self._answers.get(stage) or self._answers[_OTHER]).observe(seconds)

    def delivered(self, connector: str | None, status: str, seconds: float) -> None:
        """What became of one recipient; `status`: one of STATUSES."""
        self._deliveries.of(connector or "", status).inc()
        self._delivery_seconds.of(connector or "").observe(seconds)

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
