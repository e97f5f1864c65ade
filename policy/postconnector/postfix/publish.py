"""Publishing to a Postfix host: build beside, let Postfix check, swap step by step, verify.

Everything is written, tables and all versions of main.cf and master.cf, before the first step;
the steps (see `transition`) only rename, so that a full disk is noticed while nothing has changed.
Whatever fails later is undone in the reverse order. Killed anywhere, the host has the old or the
new configuration, whole; a mark says that it is unfinished, and doing it again finishes it.
"""

import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from postconnector.postfix.chain_users import chain_users, wait_until_gone
from postconnector.postfix.compiled import Compiled
from postconnector.postfix.configuration_files import entries_in, folder_in_force
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.generation_folder import (
    build_folder,
    built_tables,
    forget_old_generations,
    generation_folder,
    make_directory,
    next_number,
)
from postconnector.postfix.generations import LIVE, About, live_folder
from postconnector.postfix.host import ConfigurationFiles, PostfixError, PostfixHost
from postconnector.postfix.interruption import Interruption
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.lock import TryAgainError, publication_lock
from postconnector.postfix.plan import Live, only_tables_differ, read_live, routes_differ
from postconnector.postfix.progress import Progress
from postconnector.postfix.references import broken_references
from postconnector.postfix.register import Register
from postconnector.postfix.rendered import PUBLISHED_CONNECTORS, Rendered, render
from postconnector.postfix.staged_check import CheckFailedError, check_staged
from postconnector.postfix.stand_ins import STAND_IN_FOLDER, stand_ins
from postconnector.postfix.swap import Swap
from postconnector.postfix.table_names import CERTIFICATE_STATES
from postconnector.postfix.table_users import tables_are_released
from postconnector.postfix.transition import Configuration, transition
from postconnector.postfix.unfinished import (
    Unfinished,
    clear_unfinished,
    mark_unfinished,
    read_unfinished,
)
from postconnector.postfix.verification import verify
from postconnector.postfix.withheld_certificates import withheld_services, withholding
from postconnector.sources.writing.files import replace_file


@dataclass(frozen=True, slots=True)
class Publication:
    """What is to be published, and where; `local` is what was compiled for it, if only in part.

    `before`: what is in force now. `live`: its folder as it was before anything was read; None if
    there is none. `has_limits`: some connector has a MaxMessageSize. `register`: what is to be
    noted for small changes, if anything; only asked for when it is.
    """

    host: PostfixHost
    facts: PostfixFacts
    compiled: Compiled
    rendered: Rendered
    before: Live
    live: Path | None
    local: LocalRouting
    has_limits: bool
    register: Callable[[], Register | None]


def publish(publication: Publication, about: About, progress: Progress) -> int:
    """Publish, in five steps; return the number of the new generation; `about` is kept with it.

    Raises CheckFailedError, TryAgainError, PostfixError or OSError. The host is then as before,
    unless the mark of the unfinished is there.
    """
    facts = publication.facts
    make_directory(facts.own_directory, 0o755)
    with publication_lock(facts.own_directory):
        if publication.host.read_files() != (current := publication.before.configuration):
            raise TryAgainError("main.cf or master.cf was changed meanwhile; try again")
        if live_folder(facts.own_directory) != publication.live:
            raise TryAgainError("other connectors were published meanwhile; try again")
        if broken := list(broken_references(publication.compiled, publication.rendered, facts)):
            raise CheckFailedError("\n".join(broken))
        if publication.rendered.configuration != current:
            progress.begins("Postfix checks main.cf and master.cf")
            check_staged(publication.rendered.configuration, current)
            progress.says("Postfix has checked main.cf and master.cf")
        number = next_number(facts)
        _Publishing(publication, number, progress).run(about)
        return number


def _configuration(files: ConfigurationFiles, *, is_live: bool) -> Configuration:
    return Configuration(files.main_cf, files.master_cf, entries_in(files.master_cf), is_live)


class _Publishing:
    def __init__(self, publication: Publication, number: int, progress: Progress) -> None:
        self._publication = publication
        self._facts = publication.facts
        self._host = publication.host
        self._number = number
        self._progress = progress
        self._generation = generation_folder(self._facts, number)
        self._beside = self._facts.own_directory / STAND_IN_FOLDER
        self._stand_in: Rendered | None = None
        self._withheld: Mapping[str, tuple[str, ...]] = {}

    def run(self, about: About) -> None:
        with Interruption() as interruption:
            self._run(about, interruption.heed)

    def _run(self, about: About, heed: Callable[[], None]) -> None:
        now, wanted = self._now(), self._wanted()
        changes = transition(now, wanted, self._with_stand_ins)
        current = self._publication.before.configuration
        live = read_live(current, self._facts.live_directory)  # somebody may have edited it since
        swap = Swap(self._host, self._facts, current, changes, self._number)
        own, before = self._facts.own_directory, self._publication.live
        earlier = read_unfinished(own)
        tables_only = earlier is None and only_tables_differ(live, self._publication.rendered)
        self._withheld = withheld_services(
            self._publication.compiled, live.files, datetime.now(UTC), finishing=earlier is not None
        )
        try:
            self._progress.begins("building the tables")
            self._build(about)
            self._progress.begins("bringing them into force")
            swap.stage(self._generation.relative_to(own))
            mark_unfinished(own, self._number, about)
            swap.bring_into_force(heed)
            self._progress.begins("asking the live tables")
            verify(self._host, self._facts, self._publication.compiled)
        except BaseException as error:
            self._put_back(swap, earlier, error)
            if isinstance(error, PostfixError):
                raise PostfixError(f"{error}; everything was put back as it was") from None
            raise
        self._progress.says("the live tables answer for every connector")
        try:
            if not swap.reloads and self._host.is_running():
                self._have_tables_taken(before, live, tables_only=tables_only)
            swap.clear_away()
            self._show_withheld()
            shutil.rmtree(self._beside, ignore_errors=True)
            if earlier is not None:
                self._forget_unless(before, earlier.generation)
            clear_unfinished(own)
            forget_old_generations(self._facts)
        except (OSError, PostfixError, TryAgainError) as error:
            raise PostfixError(f"the new connectors are in force, unfinished: {error}") from None

    def _put_back(self, swap: Swap, earlier: Unfinished | None, error: BaseException) -> None:
        own = self._facts.own_directory
        try:
            swap.undo()
            self._forget_built()
            clear_unfinished(own)
            if earlier is not None:
                mark_unfinished(own, earlier.generation, earlier.about)
        except (OSError, PostfixError) as failure:
            raise PostfixError(
                f"{error}; and not all could be put back: {failure}; postconnector status says what"
                " is in force"
            ) from None

    def _now(self) -> Configuration:
        current = self._publication.before.configuration
        in_force = folder_in_force(current.main_cf, self._facts.own_directory)
        return _configuration(current, is_live=in_force == LIVE)

    def _wanted(self) -> Configuration:
        return _configuration(self._publication.rendered.configuration, is_live=True)

    def _with_stand_ins(self) -> Configuration:
        published = self._publication
        self._stand_in = render(
            stand_ins(published.compiled, self._facts),
            self._facts,
            published.before.configuration,
            published.rendered.files[PUBLISHED_CONNECTORS].data,
        )
        return _configuration(self._stand_in.configuration, is_live=False)

    def _build(self, about: About) -> None:
        files = dict(self._publication.rendered.files)
        if self._withheld:
            states = files[CERTIFICATE_STATES]
            files[CERTIFICATE_STATES] = replace(
                states, data=withholding(states.data, self._withheld)
            )
        register, live = self._publication.register, self._publication.live
        build_folder(self._facts, self._generation, files, about, register, live)
        if self._stand_in is not None:
            build_folder(self._facts, self._beside, self._stand_in.files, about)
        self._progress.says(f"built generation {self._number} and its tables")

    def _forget_built(self) -> None:
        shutil.rmtree(self._generation, ignore_errors=True)
        if self._stand_in is not None:
            shutil.rmtree(self._beside, ignore_errors=True)

    def _forget_unless(self, live: Path | None, number: int) -> None:
        """A generation that never came into force is no part of the history."""
        folder = generation_folder(self._facts, number)
        if folder not in (live, self._generation):  # somebody may have deleted it: then ours has it
            shutil.rmtree(folder, ignore_errors=True)

    def _show_withheld(self) -> None:
        """Let mail go on that waited for a certificate, once nobody holds the one before."""
        if not self._withheld:
            return
        if self._host.is_running():
            users = chain_users(self._facts.queue_directory, self._withheld)
            self._host.reload()
            wait_until_gone(users)
        states = self._publication.rendered.files[CERTIFICATE_STATES]
        replace_file(self._generation / CERTIFICATE_STATES, states.data.decode())

    def _have_tables_taken(self, before: Path | None, live: Live, *, tables_only: bool) -> None:
        """Processes start anew when a table of theirs is deleted; those of before are not needed,
        as going back to them would build them again. Patterns and certificates want a reload.
        """
        if before is not None and tables_only:
            for table in built_tables(before):
                table.unlink(missing_ok=True)
            self._progress.begins("Postfix takes the new tables, within ten seconds")
            same_routes = not routes_differ(live, self._publication.rendered)
            if same_routes or tables_are_released(before):
                self._progress.says("Postfix has taken the new tables, without a reload")
                return
        self._host.reload()
        self._progress.says("Postfix has reloaded")
