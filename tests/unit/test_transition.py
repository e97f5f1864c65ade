"""From one configuration to another: whole at every step, whatever the two are."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.postfix.transition import Change, Configuration, Step, transition

NAMES = ("pc-a", "pc-b", "pc-c")


@dataclass(frozen=True)
class Host:
    """What a Postfix host is like: main.cf leads to tables, whose routes name services."""

    main_cf: str
    services: Mapping[str, str]
    live: Mapping[str, str]
    beside: Mapping[str, str]

    def effect(self) -> tuple[str, dict[str, str | None]]:
        """How mail is delivered: the settings of the service that each domain takes."""
        word, _, folder = self.main_cf.partition(" ")
        routes = {"live": self.live, "beside": self.beside}.get(folder, {})
        return word, {domain: self.services.get(name) for domain, name in routes.items()}


def written(services: Mapping[str, str]) -> str:
    """master.cf."""
    return " ".join(f"{name}={said}" for name, said in sorted(services.items()))


def stand_in(name: str) -> str:
    return name.replace("pc-", "pcn-")


@dataclass(frozen=True)
class Wanted:
    """What is to be published: a word for all else in main.cf, services, and routes to them."""

    word: str
    services: Mapping[str, str]
    routes: Mapping[str, str]

    def configuration(self) -> Configuration:
        return Configuration(
            f"{self.word} live", written(self.services), self.services, is_live=True
        )

    def beside(self) -> Configuration:
        services = {stand_in(name): said for name, said in self.services.items()}
        return Configuration(f"{self.word} beside", written(services), services, is_live=False)


@st.composite
def publications(draw: st.DrawFn) -> Wanted:
    services = draw(st.dictionaries(st.sampled_from(NAMES), st.sampled_from("123")))
    routes = draw(
        st.dictionaries(
            st.sampled_from(("x.com", "y.com")), st.sampled_from(sorted(services) or ["smtp"])
        )
    )
    return Wanted(draw(st.sampled_from(("m", "n"))), services, routes)


def as_it_is(host: Host) -> Configuration:
    return Configuration(
        host.main_cf, written(host.services), host.services, host.main_cf.endswith(" live")
    )


def after(host: Host, change: Change, wanted: Wanted) -> Host:
    match change.step:
        case Step.MASTER_CF:
            return replace(host, services=change.services)
        case Step.MAIN_CF:
            return replace(host, main_cf=change.main_cf)
        case Step.LIVE:
            return replace(host, live=wanted.routes)


def steps(host: Host, wanted: Wanted) -> Sequence[tuple[Host, Change]]:
    """The host after each step of the way to what is wanted."""
    asked: list[bool] = []

    def with_stand_ins() -> Configuration:
        asked.append(True)
        return wanted.beside()

    changes = transition(as_it_is(host), wanted.configuration(), with_stand_ins)
    if asked:
        routes = {domain: stand_in(name) for domain, name in wanted.routes.items()}
        assert not host.main_cf.endswith("beside"), "what is in force is not overwritten"
        host = replace(host, beside=routes)
    found = []
    for change in changes:
        host = after(host, change, wanted)
        found.append((host, change))
    return found


NOTHING = Host("m", {}, {}, {})


def published(wanted: Wanted, host: Host = NOTHING) -> Host:
    """The host when all is done."""
    return [host, *(reached for reached, _ in steps(host, wanted))][-1]


def way(host: Host, wanted: Sequence[tuple[Wanted, int]]) -> Iterator[tuple[Host, Host, Wanted]]:
    """Publish one after the other, each killed after some step; the host before and after it."""
    for publication, killed_after in wanted:
        before = host
        for reached, _ in steps(before, publication)[:killed_after]:
            yield before, reached, publication
            host = reached


@settings(max_examples=150)
@given(st.lists(st.tuples(publications(), st.integers(0, 9)), min_size=1, max_size=4))
def test_the_host_has_the_old_or_the_new_configuration_at_every_step(
    wanted: list[tuple[Wanted, int]],
) -> None:
    for before, host, publication in way(NOTHING, wanted):
        new = Host(f"{publication.word} live", publication.services, publication.routes, {})
        assert host.effect() in (before.effect(), new.effect())


@settings(max_examples=150)
@given(st.lists(st.tuples(publications(), st.integers(0, 9)), max_size=3), publications())
def test_publishing_again_finishes_it_wherever_it_was_killed(
    killed: list[tuple[Wanted, int]], last: Wanted
) -> None:
    reached = [host for _, host, _ in way(NOTHING, killed)]
    host = published(last, (reached or [NOTHING])[-1])
    assert host.main_cf == f"{last.word} live"
    assert host.services == last.services
    assert host.live == last.routes


@settings(max_examples=100)
@given(publications(), publications())
def test_no_service_in_use_changes_or_goes(first: Wanted, second: Wanted) -> None:
    """Processes go on with the old tables for a while: what these name has to be there."""
    before = published(first)
    routed = set(before.live.values())
    in_use = {name: said for name, said in before.services.items() if name in routed}
    for host, change in steps(before, second):
        if change.step is not Step.MASTER_CF:
            break
        assert host.services.items() >= in_use.items()


def test_a_change_of_tables_alone_replaces_the_link_alone() -> None:
    first = Wanted("m", {"pc-a": "1"}, {"x.com": "pc-a"})
    changed = replace(first, routes={"y.com": "pc-a"})
    assert [change.step for _, change in steps(published(first), changed)] == [Step.LIVE]


def test_a_service_that_comes_and_one_that_goes_need_no_stand_ins() -> None:
    first = Wanted("m", {"pc-a": "1", "pc-b": "1"}, {"x.com": "pc-a"})
    changed = Wanted("m", {"pc-b": "1", "pc-c": "1"}, {"x.com": "pc-c"})
    found = [change.step for _, change in steps(published(first), changed)]
    assert found == [Step.MASTER_CF, Step.LIVE, Step.MASTER_CF]


def test_services_that_are_no_longer_wanted_go_where_only_others_take_the_mail() -> None:
    """Another server's connectors: routes, but no service of ours."""
    first = Wanted("m", {"pc-a": "1"}, {"x.com": "pc-a"})
    second = Wanted("n", {}, {"x.com": "smtp"})
    assert published(second, published(first)).services == {}
    assert published(second, published(Wanted("m", {}, {}))).effect() == ("n", {"x.com": None})


def test_a_block_in_another_place_of_master_cf_is_put_right() -> None:
    wanted = Wanted("m", {"pc-a": "1"}, {"x.com": "pc-a"}).configuration()
    now = replace(wanted, master_cf="pc-a=1, and a service behind it")
    steps = transition(now, wanted, lambda: wanted)
    assert [change.step for change in steps] == [Step.LIVE, Step.MASTER_CF]
    assert steps[-1].services == wanted.services
