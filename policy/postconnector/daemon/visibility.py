"""What is seen of a daemon from outside: its metrics, and what systemd is told of it."""

import asyncio
import logging
import os

from postconnector.daemon.certificate_watch import CertificateWatch, report_certificates
from postconnector.daemon.endpoint import Endpoint
from postconnector.daemon.metrics import Metrics, OrganizationFacts
from postconnector.daemon.metrics_server import MetricsServer, loopback_address
from postconnector.daemon.published import PublishedOrganization
from postconnector.daemon.readiness import Readiness

log = logging.getLogger(__name__)


class Visibility:
    """Watches what is published (a published.Watcher) and passes it on."""

    def __init__(self, metrics_at: str | None = None, readiness: Readiness | None = None) -> None:
        """`metrics_at`: HOST:PORT, on loopback; it is listened on, as root if that is who we are.

        Raises ValueError for anything else, OSError where that can't be listened on.
        """
        self.metrics = Metrics()
        self.readiness = readiness or Readiness.of(os.environ)
        self._server: MetricsServer | None = None
        if metrics_at is not None:
            self._server = MetricsServer(loopback_address(metrics_at), self.metrics)

    def reading(self) -> None:
        """What is published is about to be read."""
        self.readiness.reloading()

    def looked(self, published: PublishedOrganization) -> None:
        """It was; another one may be in force, or it may be no good."""
        facts = _facts(published)
        self.metrics.organization(facts)
        self.readiness.status(_status(published, facts))
        self.readiness.reloaded()

    def ready(self) -> None:
        """We listen, and are who we stay: from here on anybody is told."""
        if self._server is not None:
            self._server.start()
            log.info("metrics at %s", self._server.url)
        self.readiness.ready()

    def ready_in_loop(self, endpoint: Endpoint, watch: CertificateWatch | None = None) -> None:
        """The same in the running event loop, which systemd watches from now on if it wants to.

        `watch`: certificates that are told of too.
        """
        log.info("listening on %s", endpoint)
        self.ready()
        loop = asyncio.get_running_loop()
        self.readiness.keep_alive(loop)
        if watch is not None:
            report_certificates(watch, self.metrics, loop)

    def stopping(self) -> None:
        """We were told to end, and do."""
        self.readiness.stopping()


def _facts(published: PublishedOrganization) -> OrganizationFacts:
    organization = published.organization
    connectors = organization.connectors if organization is not None else ()
    return OrganizationFacts(
        frozenset(connector.name for connector in connectors),
        published.generation,
        published.read_at,
        published.is_bad,
    )


def _status(published: PublishedOrganization, facts: OrganizationFacts) -> str:
    """In one line."""
    if published.organization is None:
        return "what is published is no good, mail is deferred; the log says why"
    if published.read_at is None:
        return "nothing is published yet"
    count = len(facts.connectors)
    status = f"{count} connector{'' if count == 1 else 's'}"
    if facts.generation is not None:
        status += f", generation {facts.generation}"
    if facts.is_bad:
        status += "; what was published since is no good, the log says why"
    return status
