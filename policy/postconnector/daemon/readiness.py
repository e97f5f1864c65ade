"""What systemd is told of a daemon: sd_notify(3), by a datagram to the socket in NOTIFY_SOCKET.

Started by nobody who wants to know, it says nothing. That systemd does not hear is no reason to
stop: it is logged, and mail goes on.
"""

import asyncio
import logging
import os
import socket
from collections.abc import Mapping

_WAITS = 1.0
"""Seconds that a datagram waits for room; there is none only where systemd itself hangs."""

_LONGEST_STATUS = 200

log = logging.getLogger(__name__)


class Readiness:
    """`watchdog`: seconds after which systemd takes us for hung; None if it does not watch."""

    def __init__(self, address: str | None, watchdog: float | None = None) -> None:
        """`address`: of the socket; with @ in front, an abstract one."""
        self._address = address
        self.watchdog = watchdog
        self._status = ""
        self._is_ready = False

    @classmethod
    def of(cls, environment: Mapping[str, str]) -> "Readiness":
        """As systemd has said it in the environment."""
        microseconds = environment.get("WATCHDOG_USEC", "")
        is_for_us = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
        watched = is_for_us and microseconds.isascii() and microseconds.isdecimal()
        watchdog = int(microseconds) / 1e6 if watched else 0.0
        return cls(environment.get("NOTIFY_SOCKET") or None, watchdog or None)

    def status(self, text: str) -> None:
        """What `systemctl status` shows, in one line of ours; told with the next word."""
        self._status = text[:_LONGEST_STATUS]

    def ready(self) -> None:
        """Everybody is answered, or is again, after reloading()."""
        self._is_ready = True
        self._tell("READY=1", f"STATUS={self._status}")

    def reloading(self) -> None:
        """Other connectors are being read; nothing while there were none before."""
        if self._is_ready:
            self._tell("RELOADING=1")

    def reloaded(self) -> None:
        """They were read, or were no good."""
        if self._is_ready:
            self.ready()

    def stopping(self) -> None:
        """Nobody new is answered."""
        self._is_ready = False
        self._tell("STOPPING=1", "STATUS=stopping")

    def alive(self) -> None:
        """To be said more often than each `watchdog` seconds."""
        self._tell("WATCHDOG=1")

    def keep_alive(self, loop: asyncio.AbstractEventLoop) -> None:
        """Say alive() from this event loop as long as it turns."""
        if self.watchdog is not None:
            self.alive()
            loop.call_later(self.watchdog / 2, self.keep_alive, loop)

    def _tell(self, *assignments: str) -> None:
        if self._address is None:
            return
        address = self._address
        if address.startswith("@"):
            address = f"\0{address[1:]}"
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as notifier:
                notifier.settimeout(_WAITS)
                notifier.sendto("\n".join(assignments).encode(), address)
        except OSError as error:
            log.warning("systemd does not hear %s: %s", assignments[0], error)
