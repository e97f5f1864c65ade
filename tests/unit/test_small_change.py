"""A small change, compiled by itself, gives what compiling everything gives, or is not taken."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from postconnector.postfix.compile import compile_organization
from postconnector.postfix.facts import PostfixFacts
from postconnector.postfix.host import ConfigurationFiles
from postconnector.postfix.host_entries import HostEntries
from postconnector.postfix.local_routing import LocalRouting
from postconnector.postfix.own_domains import OwnNames
from postconnector.postfix.part import Part, Published, Whole, whole_after
from postconnector.postfix.plan import Live
from postconnector.postfix.register import Register, entry_of, register_of
from postconnector.postfix.rendered import PUBLISHED_CONNECTORS, Rendered, render
from postconnector.postfix.small_change import NeedsAllError, cut_out, small_change
from postconnector.selection.standpoint import local_server
from postconnector.sources.connectors_file import parse_connectors
from postconnector.sources.entry_texts import Entries

FACTS = PostfixFacts(
    config_directory=Path("/etc/postfix"),
    queue_directory=Path("/var/spool/postfix"),
    version=(3, 7),
    map_type="lmdb",
    table_types=frozenset({"lmdb", "regexp", "socketmap", "pipemap"}),
    parameters={"smtp_tls_CAfile": "/etc/ssl/certs/ca-certificates.crt"},
)
HOST = ConfigurationFiles(
    "myhostname = host.example\n", "smtp inet n - y - - smtpd\nsmtp unix - - y - - smtp\n"
)
HEADS = (
    "",
    "[host]\nunmatched = 'unreachable'\n",
    "[organization]\nexchange_version = '2019'\n\n"
    "[[organization.accepted_domain]]\ndomain_name = 'b.a.example'\n",
)
NO_NAMES = OwnNames()
OWN = (NO_NAMES, OwnNames(frozenset({"own.a.example", "c1.example", "elsewhere.example"})))
ENTRIES = (
    HostEntries(),
    HostEntries(
        transport={"own.a.example": "local:", "x.a.example": ":[bare]", "c2.example": "other:"},
        bare_next_hops={"x.a.example": "smtp:[bare]"},
    ),
)


@dataclass(frozen=True)
class World:
    """All that is around the connectors."""

    head: str = ""
    facts: PostfixFacts = FACTS
    own: OwnNames = NO_NAMES
    entries: HostEntries = field(default_factory=HostEntries)

    def routing(self, text: str) -> LocalRouting:
        file = parse_connectors(text.encode(), Path("connectors.toml"))
        assert file.organization is not None, file.problems
        return LocalRouting(file.organization, local_server(file.organization, "host.example"))

    def part(self, text: str) -> Part:
        local = self.routing(text)
        passwords = {
            c.name: f"secret of {c.authentication_credential.password_file}"
            for c in local.organization.connectors
            if c.authentication_credential is not None
        }
        compiled = compile_organization(local, self.facts, self.own, passwords, {}, self.entries)
        return Part(local, compiled)

    def everything(self, text: str, current: ConfigurationFiles) -> tuple[Rendered, Register]:
        """What compiling all gives."""
        whole = self.part(text)
        rendered = render(whole.compiled, self.facts, current, text.encode())
        register = register_of(
            "this", self.facts, self.own, self.entries, whole.local, whole.compiled, rendered
        )
        if register is None:
            raise NeedsAllError("nothing is noted")
        return rendered, register

    def change(
        self, old: str, new: str, drifted: tuple[bytes, bytes] = (b"", b"")
    ) -> tuple[Whole, Rendered]:
        """What compiling the change gives; also what was published before.

        `drifted`: what somebody has put in the place of what.
        """
        rendered, register = self.everything(old, HOST)
        files = {name: file.data.replace(*drifted) for name, file in rendered.files.items()}
        live = Live(rendered.configuration, files)
        published = Published(live, Register.parse(register.data()))
        before = Entries(files[PUBLISHED_CONNECTORS], published.register.starts)
        changed, after = small_change(before, new.encode())
        coming = [after.text(changed.start + number) for number in range(changed.new)]
        entries = []
        if coming:
            text = after.with_entries(coming)
            if parse_connectors(text, Path()).problems:
                raise NeedsAllError("there is something to say")
            local = self.routing(text.decode())
            entries = [entry_of(c, local) for c in local.organization.connectors]
        cut = cut_out(register, changed, entries)
        parts = (self.part(cut.before(before).decode()), self.part(cut.after(after).decode()))
        return whole_after(cut, *parts, published, self.facts, self.own, after), rendered


def connector(
    name: str,
    spaces: Sequence[str],
    hosts: Sequence[str] = ("relay.example",),
    user: str = "",
    secret: str = "",
    more: Sequence[str] = (),
) -> str:
    """One connector of a file."""
    lines = ["[[send_connector]]", f"name = {name!r}", f"address_spaces = {[*spaces]}"]
    if hosts:
        lines += ["dns_routing_enabled = false", f"smart_hosts = {[*hosts]}"]
    if user:
        lines.append("smart_host_auth_mechanism = 'BasicAuthRequireTLS'")
    lines += more
    if user:
        lines += [
            "[send_connector.authentication_credential]",
            f"user_name = {user!r}",
            f"password_file = {secret or user!r}",
        ]
    return "\n".join((*lines, "", ""))


def limited(text: str, limit: str) -> str:
    """The same with a MaxMessageSize; it has to log in."""
    return text.replace("\nsmart_host_a", f"\nmax_message_size = '{limit}'\nsmart_host_a")


CUSTOMERS = [
    connector(f"Customer {n}", [f"c{n}.example", f"*.c{n}.example"], [f"r{n}.example"], f"u{n}")
    for n in range(60)
]
"""Each with a smart host and a login of its own, as those of a provider."""

ALWAYS_IN_PART = 40
"""The first ones, as some are in it in any case."""

DOMAINS = (
    "a.example",
    "b.a.example",
    "own.a.example",
    "c1.example",
    "c2.example",
    "xn--mnchen-3ya.de",
)
SPACES = tuple(
    f"{form}{domain}{cost}" for form in ("", "*.") for domain in DOMAINS for cost in ("", ";2")
)
ORDINARY: Sequence[str] = ()
MORE = (
    *(ORDINARY for _ in range(20)),
    ("enabled = false",),
    ("max_message_size = '1 MB'",),
    ("max_message_size = '0'",),
    ("max_message_size = 'unlimited'",),
    ("comment = 'a comment'",),
    ("fqdn = 'other.example'",),
    ("require_tls = true",),
    ("require_tls = true", "tls_auth_level = 'DomainValidation'", "tls_domain = 'a.example'"),
    ("usage = 'Internal'",),
    ("port = 587",),
)


@st.composite
def connectors(draw: st.DrawFn, number: int) -> str:
    """One that gets into the way of others, now and then of the customers."""
    name = draw(st.sampled_from((f"Odd {number}", f"Odd {number}", f"odd. {number % 50 - 1}")))
    spaces = draw(st.lists(st.sampled_from(SPACES), min_size=1, max_size=3, unique=True))
    if draw(st.integers(0, 19)) == 0:
        spaces = ["*"]
    hosts = draw(
        st.sampled_from(
            (*((f"r{n}.example",) for n in range(1, 9)), ("r2.example", "r3.example"), ())
        )
    )
    user = draw(st.sampled_from(("u1", "u2", "u3", "u4", "u99", ""))) if hosts else ""
    secret = draw(st.sampled_from(("", "other")))
    return connector(name, spaces, hosts, user, secret, draw(st.sampled_from(MORE)))


@st.composite
def edits(draw: st.DrawFn) -> tuple[list[str], list[str]]:
    """The connectors of a file, and what becomes of them."""
    odd = [draw(connectors(number)) for number in range(draw(st.integers(2, 8)))]
    place = draw(st.integers(ALWAYS_IN_PART, len(CUSTOMERS)))
    old = [*CUSTOMERS[:place], *odd, *CUSTOMERS[place:]]
    start = draw(st.integers(max(0, place - 2), min(len(old), place + len(odd) + 2)))
    end = min(len(old), start + draw(st.integers(0, 2)))
    new = [
        draw(connectors(number + 50)) for number in range(draw(st.integers(int(start == end), 2)))
    ]
    if end - start == 1 and draw(st.booleans()):
        new = [old[start].replace("']\n", f"', {draw(st.sampled_from(SPACES))!r}]\n", 1)]
    return old, [*old[:start], *new, *old[end:]]


@settings(max_examples=50)
@given(
    edit=edits(),
    head=st.sampled_from(HEADS),
    own=st.sampled_from(OWN),
    entries=st.sampled_from(ENTRIES),
)
def test_a_change_by_itself_gives_what_everything_gives(
    edit: tuple[list[str], list[str]], head: str, own: OwnNames, entries: HostEntries
) -> None:
    world = World(head, own=own, entries=entries)
    old, new = ("\n".join((head, *connectors)) for connectors in edit)
    if any(parse_connectors(t.encode(), Path()).organization is None for t in (old, new)):
        return
    try:
        whole, published = world.change(old, new)
    except NeedsAllError:
        return
    assert_as_everything(world, new, whole, published)


def assert_as_everything(world: World, new: str, whole: Whole, published: Rendered) -> None:
    rendered, register = world.everything(new, published.configuration)
    assert whole.rendered == rendered
    assert whole.register == Register.parse(register.data())
    assert whole.compiled.warnings == world.part(new).compiled.warnings


def changed(number: int, *become: str, before: Sequence[str] = CUSTOMERS) -> tuple[str, str]:
    """A file, and the same with others in the place of one connector."""
    return "\n".join(before), "\n".join((*before[:number], *become, *before[number + 1 :]))


LAST = len(CUSTOMERS) - 1
UNLIMITED = [limited(text, "unlimited") for text in CUSTOMERS]
ONE_LIMITED = [*UNLIMITED, CUSTOMERS[LAST].replace("Customer", "Limited").replace("c59", "d59")]
LOSER = connector("Loser", ["rival.example;9"], ["loser.example"], "loser")
WINNER = connector(
    "Winner",
    ["rival.example"],
    ["winner.example"],
    "winner",
    more=["max_message_size = 'unlimited'"],
)
RIVAL = connector("Rival", ["c50.example;9", "*.c50.example"], ["rival.example"], "rival")
TWIN = connector("Twin", ["twin.example"], ["r50.example"], "u50")
EVERYTHING = connector("Everything", ["*"], ["relay.example"], "everything")
SECOND_LOGINS = [
    *(
        connector(f"{side} {n}", [f"{side}{n}.example"], [f"s{n}.example"], f"{side}{n}")
        for side in ("First", "Second")
        for n in range(3)
    ),
    *(connector(f"Alone {n}", [f"alone{n}.example"], [f"a{n}.example"], f"a{n}") for n in range(3)),
    *(
        connector(f"Both {n}", [f"both{n}.example"], [f"a{n}.example", f"b{n}.example"], f"b{n}")
        for n in range(3)
    ),
]
"""Whoever has another login than somebody before, at the same smart host, has a second service."""
IN_TURN = connector("In turn", ["turn.example"], ["t1.example", "t2.example"], "turn")
BY_DNS = connector("By DNS", ["dns.example"], [])


@pytest.mark.parametrize(
    ("number", "become", "before"),
    [
        pytest.param(50, [CUSTOMERS[50].replace("'c50", "'new.c50")], CUSTOMERS, id="a domain"),
        pytest.param(
            50,
            [connector("Customer 50", ["c50.example"], ["r50.example"], "u50")],
            CUSTOMERS,
            id="a domain less",
        ),
        pytest.param(
            50,
            [
                connector(
                    "Customer 50",
                    ["c50.example", "*.c50.example"],
                    ["r50.example"],
                    "u50",
                    more=["max_message_size = '1 MB'"],
                )
            ],
            CUSTOMERS,
            id="a limit",
        ),
        pytest.param(50, [f"{CUSTOMERS[50]}# a comment\n"], CUSTOMERS, id="a comment"),
        pytest.param(50, [], CUSTOMERS, id="one less"),
        pytest.param(50, [CUSTOMERS[50]], CUSTOMERS, id="nothing"),
        pytest.param(LAST, [], CUSTOMERS, id="the last less"),
        pytest.param(50, [CUSTOMERS[50], RIVAL], CUSTOMERS, id="one more"),
        pytest.param(LAST, [CUSTOMERS[LAST], RIVAL], CUSTOMERS, id="one more, behind the last"),
        pytest.param(0, [RIVAL, CUSTOMERS[0]], CUSTOMERS, id="one more, before the first"),
        pytest.param(
            50, [CUSTOMERS[50].replace("Customer", "Client")], CUSTOMERS, id="another name"
        ),
        pytest.param(50, [CUSTOMERS[50].replace("'r50", "'s50")], CUSTOMERS, id="a smart host"),
        pytest.param(50, [CUSTOMERS[50].replace("'u50'", "'v50'")], CUSTOMERS, id="a login"),
        pytest.param(
            50,
            [CUSTOMERS[50].replace("['r50", "['s50.example', 'r50")],
            [*CUSTOMERS, IN_TURN],
            id="a second smart host",
        ),
        pytest.param(50, [], [*CUSTOMERS, RIVAL], id="another takes the domain"),
        pytest.param(50, [], [*CUSTOMERS, TWIN], id="another keeps the password"),
        pytest.param(
            50,
            [CUSTOMERS[50].replace("'r50.example'", "'b1.example'")],
            [*CUSTOMERS, *SECOND_LOGINS],
            id="beside a second service",
        ),
        pytest.param(
            LAST + 5,
            [CUSTOMERS[LAST].replace(f"'r{LAST}.example'", "'s2.example'")],
            [*SECOND_LOGINS[:5], *CUSTOMERS],
            id="into a second service",
        ),
        pytest.param(50, [], ONE_LIMITED, id="one has a limit, and is not in the part"),
        pytest.param(LAST + 1, [], ONE_LIMITED, id="the only one with a limit less"),
        pytest.param(
            LAST + 2,
            [],
            [LOSER, *ONE_LIMITED, WINNER],
            id="the only one with a limit that wins less",
        ),
        pytest.param(50, [], [*CUSTOMERS, EVERYTHING], id="beside the one for everything"),
        pytest.param(50, [], [*CUSTOMERS, BY_DNS], id="beside one that routes by DNS"),
        pytest.param(
            50,
            [CUSTOMERS[50].replace("'c50.ex", "'xn--mnchen-3ya.ex")],
            CUSTOMERS,
            id="an international domain",
        ),
    ],
)
def test_of_a_small_change_only_what_it_concerns_is_compiled(
    number: int, become: list[str], before: list[str]
) -> None:
    world = World()
    old, new = changed(number, *become, before=before)
    whole, published = world.change(old, new)
    assert len(whole.compiled.services[0].connectors) < len(CUSTOMERS)
    assert_as_everything(world, new, whole, published)


PLACED_BY_ANOTHER = [
    connector("Gone", ["gone.example"], ["h.example"], "gone"),
    connector("Keeping", ["keeping.example"], ["k.example"], "keeping"),
    *(connector(f"Again {n}", [f"again{n}.example"], [f"r{n}.example"], f"a{n}") for n in range(3)),
    connector("First", ["first.example"], ["h.example", "k.example"], "common"),
    connector("Second", ["second.example"], ["h.example", "k.example"], "common"),
    connector("Third", ["third.example"], ["h.example"], "common"),
]
"""Where Gone is gone, Third can share with the customers; First and Second can't."""
CLEAR = connector("Clear", ["clear.example"], ["clear.example"], more=["require_tls = true"])


@pytest.mark.parametrize(
    ("number", "become", "before", "why"),
    [
        pytest.param(
            50, [EVERYTHING], CUSTOMERS, "Everything reaches further", id="one for everything"
        ),
        pytest.param(
            50, [BY_DNS], CUSTOMERS, "By DNS reaches further", id="one that routes by DNS"
        ),
        pytest.param(
            60, [], [*CUSTOMERS, EVERYTHING], "Everything reaches further", id="none for everything"
        ),
        pytest.param(50, [CLEAR], CUSTOMERS, "main.cf and master.cf", id="a service of its own"),
        pytest.param(
            50, [CUSTOMERS[4]], CUSTOMERS, "Customer 4 is there already", id="a name twice"
        ),
        pytest.param(
            50,
            [CUSTOMERS[50].replace("'r50.example'", "'r2.example'")],
            CUSTOMERS,
            "main.cf and master.cf",
            id="two logins for one smart host",
        ),
        pytest.param(
            50,
            [CUSTOMERS[50].replace("'r50.example'", "'b2.example'")],
            [*CUSTOMERS, *SECOND_LOGINS],
            "does not give Both 2 the service",
            id="a service for a reason that is not in the part",
        ),
        pytest.param(5, [], CUSTOMERS[:31], "few", id="few are left"),
        pytest.param(50, CUSTOMERS[:55], CUSTOMERS, "many of", id="many"),
        pytest.param(
            len(CUSTOMERS),
            [],
            [*CUSTOMERS, *PLACED_BY_ANOTHER],
            "does not give Third the service",
            id="one that another has kept from a service",
        ),
        pytest.param(
            50,
            [],
            [CUSTOMERS[0].replace("[[send_connector]]", '[["send_connector"]]'), *CUSTOMERS[1:]],
            "nothing is noted",
            id="a header in quotes",
        ),
        pytest.param(50, ["[host]\n"], CUSTOMERS, "told apart", id="a table behind connectors"),
        pytest.param(50, ["x = '''\n'''"], CUSTOMERS, "told apart", id="a string of several lines"),
    ],
)
def test_what_may_concern_others_needs_everything(
    number: int, become: list[str], before: list[str], why: str
) -> None:
    with pytest.raises(NeedsAllError, match=why):
        World().change(*changed(number, *become, before=before))


def test_the_hosts_own_domains_need_everything() -> None:
    world = World(own=OwnNames(frozenset({"own.c50.example"})))
    narrower = CUSTOMERS[50].replace(", '*.c50.example'", "")
    wide = connector("Wide", ["*.example"], ["wide.example"], "wide")
    with pytest.raises(NeedsAllError, match="own domains"):
        world.change(*changed(50, narrower, before=[*CUSTOMERS, wide]))


def test_what_warns_of_the_host_needs_everything() -> None:
    world = World(entries=HostEntries(transport={"new.c50.example": "local:"}))
    with pytest.raises(NeedsAllError, match="other warnings"):
        world.change(*changed(50, CUSTOMERS[50].replace("'c50", "'new.c50")))


ON_EDGE = """[host]
server = 'edge'
[organization]
server = [
    { name = 'edge', server_role = 'Edge' },
    { name = 'mb1', fqdn = 'mb1.example', site = 'S' },
]
site = [{ name = 'S' }]
edge_subscription = [{ name = 'edge', site = 'S' }]
"""


def test_the_smart_host_of_the_subscribed_site_is_known_by_its_names() -> None:
    inside = connector(
        "Inside", ["inside.example"], ["--"], "both", more=["source_transport_servers = ['edge']"]
    )
    leaving = connector("Leaving", ["leaving.example"], ["mb1.example"], "both")
    world = World(ON_EDGE)
    old, new = changed(len(CUSTOMERS) + 1, before=[ON_EDGE, *CUSTOMERS, leaving, inside])
    whole, published = world.change(old, new)
    assert_as_everything(world, new, whole, published)
    [logins] = (file for name, file in whole.rendered.files.items() if name.startswith("passwords"))
    assert b"mb1.example:25\tboth:" in logins.data


def test_warnings_that_name_others_need_everything() -> None:
    """Whom they name first goes by services, of which the part has but some of the connectors."""
    parameters = {**FACTS.parameters, "message_size_limit": "10000000"}
    world = World(facts=replace(FACTS, parameters=parameters))
    small = [limited(text, "1 MB") for text in (*CUSTOMERS, *SECOND_LOGINS[:6])]
    large = [connector(n, [f"{n}.example"], [f"{n}.example"], n) for n in ("a", "y", "b")]
    become = large[1].replace("['y.example']\nsmart_host_a", "['r5.example']\nsmart_host_a")
    with pytest.raises(NeedsAllError, match="warnings may name others"):
        world.change(*changed(len(small) + 1, become, before=[*small, *large]))


NO_BLANKS = [c for c in map(chr, range(0x3001)) if c.isspace() and c not in " \t\n\r"]
"""Of TOML; Python's strip() takes them off."""


@pytest.mark.parametrize(
    ("behind", "odd"),
    [
        ("", "\ufeff"),
        *(("'u50'", odd) for odd in NO_BLANKS),
        *((behind, "\u00a0") for behind in ("", "'u59'\n\n")),
        ("'u59'\n\n", "\r"),
    ],
)
def test_what_is_no_toml_is_not_overlooked(behind: str, odd: str) -> None:
    old, new = changed(50, CUSTOMERS[50].replace("'c50", "'new.c50"))
    place = new.rindex(behind) + len(behind) if behind else 0
    broken = f"{new[:place]}{odd}{new[place:]}"
    assert parse_connectors(broken.encode(), Path()).organization is None
    with pytest.raises((NeedsAllError, AssertionError)):
        World().change(old, broken)


def test_what_is_published_must_be_as_the_part_has_it() -> None:
    world = World()
    old, new = changed(50)
    drifted = (b"\nc9.example\t", b"\nc9.example\tdrift\nnew.c50.example\t")
    with pytest.raises(NeedsAllError, match="is there already"):
        world.change(*changed(50, CUSTOMERS[50].replace("'c50", "'new.c50")), drifted=drifted)
    with pytest.raises(NeedsAllError, match="not there as the part has it"):
        world.change(old, new, drifted=(b"\nc50.example\t", b"\nc50.examples\t"))


@pytest.mark.parametrize(
    "data", [b"", b"{", b"[]", b"{}", b"\xff", b'{"entries": [[1]], "warnings": []}']
)
def test_a_broken_register_is_none(data: bytes) -> None:
    with pytest.raises(ValueError):
        Register.parse(data)


@pytest.mark.parametrize(
    ("own", "entries"),
    [
        (OwnNames(unlisted=("mysql:/etc/postfix/domains.cf",)), HostEntries()),
        (NO_NAMES, HostEntries(depends_on_questions=True)),
        (NO_NAMES, HostEntries(failing={"hash:/etc/postfix/transport": "no such file"})),
    ],
)
def test_nothing_is_noted_where_the_host_can_only_be_asked(
    own: OwnNames, entries: HostEntries
) -> None:
    with pytest.raises(NeedsAllError, match="nothing is noted"):
        World(own=own, entries=entries).everything("\n".join(CUSTOMERS), HOST)
