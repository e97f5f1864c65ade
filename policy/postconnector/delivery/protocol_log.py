"""The protocol log: each session of the connectors with ProtocolLoggingLevel Verbose.

One line a step, written at once, so that it can be followed. Nothing of messages is logged, and
no secret: what logs in is masked here whatever the caller does. One process writes to a folder.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path

from postconnector.delivery.dialogue_log import DialogueLog, NoDialogueLog
from postconnector.delivery.protocol_log_files import Limits, ProtocolLogFiles
from postconnector.delivery.protocol_log_lines import Step
from postconnector.enforcement.header_firewall import HeaderFirewall
from postconnector.model.send_connector import ProtocolLoggingLevel, SendConnector

MASKED = "****"

_BEGINNING_OF_TIME = datetime(1, 1, 1, tzinfo=UTC)

Clock = Callable[[], datetime]
"""Tells the time, with its time zone."""


class ProtocolLog:
    """The log in one folder, which is made with the first line."""

    def __init__(self, directory: Path, limits: Limits, clock: Clock) -> None:
        self._files = ProtocolLogFiles(directory, limits)
        self._clock = clock
        # As Exchange numbers sessions: by the time since year 1 in 100 ns, here that of our start.
        started = clock() - _BEGINNING_OF_TIME
        self._sessions = count(started // timedelta(microseconds=1) * 10)

    @classmethod
    def at(cls, path: str) -> "ProtocolLog":
        """The log in this folder with Exchange's limits, by the machine's clock."""
        return cls(Path(path), Limits(), lambda: datetime.now(UTC))

    def session(
        self, connector: SendConnector, remote: str, firewall: HeaderFirewall
    ) -> DialogueLog:
        """For one try to connect to `remote` (address:port), which is logged; none by default."""
        if connector.protocol_logging_level is not ProtocolLoggingLevel.VERBOSE:
            return NoDialogueLog()
        session = _Session(self._write, connector.name, f"{next(self._sessions):016X}", remote)
        permissions = " ".join(firewall.permissions) or "None"
        session.information(permissions, "Set Session Permissions")
        session.information("", "attempting to connect")
        return session

    def close(self) -> None:
        """Close the file that is open; whatever is logged after that begins another."""
        self._files.close()

    def _write(self, step: Step) -> None:
        now = self._clock().astimezone(UTC)
        self._files.write(step.line(now), now)


class _Session:
    """The lines of one session (a DialogueLog)."""

    def __init__(
        self, write: Callable[[Step], None], connector: str, session: str, remote: str
    ) -> None:
        self._write = write
        self._connector = connector
        self._session = session
        self._local, self._remote = "", remote
        self._numbers = count()
        self._logging_in = False

    def information(self, text: str, context: str = "") -> None:
        self._log("*", text, context)

    def connected(self, local: str, remote: str) -> None:
        self._local, self._remote = local, remote
        self._log("+")

    def sent(self, line: str) -> None:
        self._log(">", self._without_secrets(line))

    def received(self, line: str) -> None:
        if not line.startswith("334"):
            self._logging_in = False
        self._log("<", line)

    def disconnected(self, reason: str) -> None:
        self._log("-", context=reason)

    def _log(self, event: str, data: str = "", context: str = "") -> None:
        number, ends = next(self._numbers), (self._local, self._remote)
        self._write(Step(self._connector, self._session, number, *ends, event, data, context))

    def _without_secrets(self, line: str) -> str:
        """RFC 4954: what follows the mechanism, and all lines until the server says yes or no."""
        if self._logging_in:
            return MASKED
        words = line.split()
        if not words or words[0].upper() != "AUTH":
            return line
        self._logging_in = True
        return " ".join([*words[:2], *([MASKED] if words[2:] else [])])
