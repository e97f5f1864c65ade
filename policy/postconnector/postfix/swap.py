"""Carrying out the steps of a transition on a running host, and undoing them."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from postconnector.postfix.configuration_files import entry_names, master_cf_with
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host import ConfigurationFiles, PostfixError, PostfixHost
from postconnector.postfix.marked_block import without_ours
from postconnector.postfix.replaced_file import ReplacedFile, ReplacedLink
from postconnector.postfix.stand_ins import STAND_IN_PREFIX
from postconnector.postfix.transition import Change, Step

_RELOAD_TIMEOUT = 30.0


class Swap:
    """The steps up to the last one that brings a new configuration into force, and those after it.

    Only the former can be undone; the latter take away what is no longer in use.
    """

    def __init__(
        self,
        host: PostfixHost,
        facts: PostfixFacts,
        current: ConfigurationFiles,
        changes: Sequence[Change],
        number: int,
    ) -> None:
        self._host = host
        self._private = facts.queue_directory / "private"
        self._current = current
        self._changes = changes
        self._last = max(n for n, c in enumerate(changes) if c.step is not Step.MASTER_CF)
        self._master_cf = ReplacedFile(facts.config_directory / "master.cf")
        self._main_cf = ReplacedFile(facts.config_directory / "main.cf")
        self._live = ReplacedLink(facts.live_directory)
        self._marks = {
            n: f"{STAND_IN_PREFIX}{number}-{n}" for n, change in enumerate(changes) if change.adds
        }
        self._undo: list[Callable[[], None]] = []

    @property
    def reloads(self) -> bool:
        """Whether bringing the new configuration into force reloads Postfix."""
        return self._changes[self._last].step is Step.MAIN_CF

    def stage(self, live_target: Path) -> None:
        """Write everything that the steps will put in place. Raises OSError."""
        self._forget_sockets()  # of one that was undone: nobody listens there now
        self._master_cf.stage(
            self._current.master_cf,
            [
                master_cf_with(self._current.master_cf, {**change.services, **self._mark(n)})
                for n, change in enumerate(self._changes)
                if change.step is Step.MASTER_CF
            ],
        )
        main_cf = [c.main_cf for c in self._changes if c.step is Step.MAIN_CF]
        self._main_cf.stage(self._current.main_cf, main_cf)
        self._live.stage(live_target)

    def bring_into_force(self, heed: Callable[[], None]) -> None:
        """The steps that can be undone; `heed` may raise between them.

        Raises OSError, PostfixError or TryAgainError.
        """
        for number in range(self._last + 1):
            heed()
            self._carry_out(number, heed)
        heed()

    def clear_away(self) -> None:
        """The steps that remain, and what was staged. Raises as bring_into_force."""
        for number in range(self._last + 1, len(self._changes)):
            self._carry_out(number, _nothing)
        self.forget()
        self._forget_sockets()

    def undo(self) -> None:
        """Go back to what was, in the reverse order."""
        for go_back in reversed(self._undo):
            go_back()
        if self._undo and self._host.is_running():
            self._host.reload()
        self._undo.clear()
        self.forget()
        self._forget_sockets()

    def forget(self) -> None:
        """Remove what was staged or kept."""
        self._master_cf.forget()
        self._main_cf.forget()
        self._live.forget()

    def _forget_sockets(self) -> None:
        forget_sockets(self._private, without_ours(self._current.master_cf))

    def _mark(self, number: int) -> dict[str, str]:
        """A service that nobody uses: when its socket is there, master(8) has taken the file."""
        name = self._marks.get(number)
        return {} if name is None else {name: f"{name} unix - - - - 0 error\n"}

    def _carry_out(self, number: int, heed: Callable[[], None]) -> None:
        step = self._changes[number].step
        replaced: ReplacedFile | ReplacedLink
        match step:
            case Step.MASTER_CF:
                replaced = self._master_cf
            case Step.MAIN_CF:
                replaced = self._main_cf
            case Step.LIVE:
                replaced = self._live
        # Before it is done: a step that fails may be done all the same.
        self._undo.append(partial(replaced.go_back, replaced.at))
        replaced.advance()
        if step is not Step.LIVE and self._host.is_running():
            self._host.reload()
            if (mark := self._marks.get(number)) is not None:
                self._wait_for(self._private / mark, heed)

    def _wait_for(self, endpoint: Path, heed: Callable[[], None]) -> None:
        """master(8) makes the sockets of new services in the order of the file, the mark last."""
        deadline = time.monotonic() + _RELOAD_TIMEOUT
        while not endpoint.exists():
            heed()
            if time.monotonic() > deadline:
                raise PostfixError("Postfix did not start the new services; see its log")
            time.sleep(0.005)


def _nothing() -> None:
    """What is not to be interrupted any more."""


def forget_sockets(folder: Path, master_cf: str, prefix: str = STAND_IN_PREFIX) -> None:
    """Remove the sockets of services that are gone, which master(8) leaves: those of stand-ins, or
    with names that begin otherwise.

    `master_cf`: the file without ours, whose services keep theirs.
    """
    kept = set(entry_names(master_cf))
    for endpoint in folder.glob(f"{prefix}*"):
        if endpoint.name not in kept:
            endpoint.unlink(missing_ok=True)
