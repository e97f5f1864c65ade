"""What a daemon makes of the organization in force, made anew when another one is published.

Reading and making go on beside everything else: with thousands of connectors they take a second
or two, in which others are answered by those before.
"""

import asyncio

# asyncio.to_thread would import this when it is first used, and by then root is given up and
# the interpreter's files may be out of reach.
import concurrent.futures.thread  # noqa: F401
import gc
import logging
from collections.abc import Callable
from typing import Generic, TypeVar

from postconnector.daemon.published import PublishedOrganization
from postconnector.model.organization import Organization
from postconnector.postfix.host import PostfixError
from postconnector.selection.standpoint import UnknownServerError

T = TypeVar("T")

_LOOKS_AGAIN = 1.0
"""Seconds between two looks at what is published, while nobody asks."""

_WAITS = 0.5
"""Seconds that somebody who asks waits for what was just published; longer, and it is answered by
what was there before."""

log = logging.getLogger(__name__)


class Follower(Generic[T]):
    """Follows what is published.

    `make` is called with each organization that comes into force, in a thread; what it returns is
    there from the next question on. Where it raises PostfixError or UnknownServerError, nothing can
    be answered now: None is there. `replaced` is called before what was there goes: where somebody
    else keeps it, taking it apart would be left to them.
    """

    def __init__(
        self,
        published: PublishedOrganization,
        make: Callable[[Organization], T],
        replaced: Callable[[], None] = lambda: None,
    ) -> None:
        self._published = published
        self._make = make
        self._replaced = replaced
        self._reading: asyncio.Task[None] | None = None
        self._made = self._make_of_published()

    async def follow(self) -> None:
        """Look again and again, until cancelled."""
        while True:
            await asyncio.sleep(_LOOKS_AGAIN)
            self._start_reading()

    @property
    def is_up_to_date(self) -> bool:
        """Whether `made` is of what is published now; any thread may ask."""
        return self._reading is None and not self._published.is_stale()

    @property
    def made(self) -> T | None:
        """What is there now, even if something else was published since; any thread may ask."""
        return self._made

    async def current(self) -> T | None:
        """What was made of the organization that is in force now."""
        self._start_reading()
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=_WAITS)
        return self._made

    def _start_reading(self) -> None:
        if self._reading is None and self._published.is_stale():
            self._reading = asyncio.create_task(self._read())

    async def _read(self) -> None:
        try:
            made = await asyncio.to_thread(self._read_and_make)
            self._replaced()
            self._made = made
        except Exception:
            log.exception("our own fault; the connectors in force stay")
        finally:
            self._reading = None

    def _read_and_make(self) -> T | None:
        gc.disable()  # looking for garbage among so many new objects would take longer
        try:
            return self._make_of_published() if self._published.refresh() else self._made
        finally:
            gc.freeze()
            gc.enable()

    def _make_of_published(self) -> T | None:
        organization = self._published.organization
        if organization is None:
            return None
        try:
            return self._make(organization)
        except (PostfixError, UnknownServerError) as error:
            log.error("mail is deferred: %s", error)
            return None
