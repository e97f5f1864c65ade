"""On a host with many connectors, a small change is published without compiling all of them.

`plan` always compiles all, so that it finds nothing to do is what counts.
"""

import os
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from postconnector.cli.publication import MANY_CONNECTORS
from postconnector.postfix.host import PostfixHost, run_postfix_command
from tests.demo.journey import compose
from tests.lab.administrator import Administrator
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import plain_receiver
from tests.postfix.conftest import HostMaker
from tests.postfix.test_killed_apply import logged_calls, under_strace

CUSTOMERS = range(MANY_CONNECTORS)
CHANGED = 470
SMALL = "the change does not concern the others"
_TAKING_SPACE = "write,mkdir,symlink,link,linkat"


def customer(number: int, *, more: str = "", **other: str) -> str:
    """Customer 7 has the domain c7.test, and is u7 at relay7.test."""
    return (
        f"[[send_connector]]\nname = '{other.get('name', f'Customer {number}')}'\n"
        f"address_spaces = ['{other.get('domain', f'c{number}.test')}']\n"
        "dns_routing_enabled = false\n"
        f"smart_hosts = ['{other.get('host', f'relay{number}.test')}']\n"
        f"smart_host_auth_mechanism = 'BasicAuth'\n{more}"
        f"authentication_credential = {{ user_name = 'u{number}',"
        f" password_file = 'secrets/{other.get('secret', str(number))}' }}\n"
    )


class Provider:
    """A host with many customers, all of them published."""

    def __init__(self, administrator: Administrator) -> None:
        self.administrator = administrator
        self.connectors = [customer(number) for number in CUSTOMERS]
        for number in CUSTOMERS:
            administrator.store_password(str(number), f"password of {number}")
        assert SMALL not in self.apply()

    def write(self) -> None:
        self.administrator.write_connectors("\n".join(self.connectors))

    def apply(self) -> str:
        """Publish; what apply says."""
        self.write()
        result = self.administrator.run("apply")
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout + result.stderr

    def change(self, *become: str, number: int = CHANGED) -> str:
        """Put others in the place of a customer, and publish them."""
        self.connectors[number : number + 1] = become
        return self.apply()

    def is_planned(self) -> bool:
        """Whether compiling all finds anything that is not as it is to be."""
        plan = self.administrator.run("plan")
        assert plan.returncode in (0, 2), plan.stderr
        return plan.returncode == 2

    def tables_are_as_postmap_builds_them(self) -> bool:
        """Whether the live ones have what a table has that is built of their sources."""
        return all(map(self._is_as_built, self.live.rglob("*.lmdb")))

    def _is_as_built(self, built: Path) -> bool:
        host = PostfixHost(self.administrator.host.config_directory)
        source = self.administrator.folder / "built"
        source.write_bytes(built.with_suffix("").read_bytes())
        run_postfix_command("postmap", "-c", str(host.config_directory), f"lmdb:{source}")
        return host.entries(f"lmdb:{source}") == host.entries(f"lmdb:{built.with_suffix('')}")

    def transport(self, key: str) -> str | None:
        return self._lookup("transport", key)

    def login(self, next_hop: str) -> str | None:
        """What the shared service logs in with."""
        [table] = (self.live / "passwords").glob("*.lmdb")
        return self._lookup(f"passwords/{table.stem}", next_hop)

    def _lookup(self, table: str, key: str) -> str | None:
        host = PostfixHost(self.administrator.host.config_directory)
        return host.lookup(f"lmdb:{self.live}/{table}", key)

    @property
    def live(self) -> Path:
        return self.administrator.host.config_directory / "postconnector" / "live"


@pytest.fixture
def provider(new_host: HostMaker) -> Provider:
    return Provider(new_host())


def test_what_changes_is_published_without_compiling_all(provider: Provider) -> None:
    assert SMALL in provider.change(customer(CHANGED, domain="new.test"))
    relay = provider.transport("c469.test")
    assert relay is not None
    assert provider.transport("new.test") == relay.replace("469", str(CHANGED))
    assert provider.transport(f"c{CHANGED}.test") is None
    assert not provider.is_planned()

    assert SMALL in provider.change(customer(CHANGED, more="max_message_size = '1 MB'\n"))
    assert SMALL in provider.change(customer(CHANGED, host="other.test"))
    assert provider.login("other.test:25") == f"u{CHANGED}:password of {CHANGED}"
    assert provider.login(f"relay{CHANGED}.test:25") is None
    assert SMALL in provider.change(customer(CHANGED, host="other.test", secret="3"))
    assert provider.login("other.test:25") == f"u{CHANGED}:password of 3"
    [table] = (provider.live / "passwords").glob("*.lmdb")
    assert f"u{CHANGED}:password of {CHANGED}".encode() not in table.read_bytes(), "of old"
    assert SMALL in provider.change(customer(CHANGED, name="Another name"))
    assert not provider.is_planned()

    added = customer(CHANGED, name="Added", domain="added.test", host="added.test")
    assert SMALL in provider.change(customer(CHANGED), added)
    assert provider.transport("added.test") == relay.replace("relay469", "added")
    assert SMALL in provider.change(number=CHANGED)
    assert provider.transport(f"c{CHANGED}.test") is None
    assert not provider.is_planned()
    assert provider.tables_are_as_postmap_builds_them()
    assert "nothing to change" in provider.apply()


def test_domains_that_are_the_same_to_postfix(provider: Provider) -> None:
    """Postfix makes strasse.test of straße.test, which is another domain."""
    ascii_alike = customer(CHANGED, domain="strasse.test")
    provider.change(ascii_alike, customer(CHANGED, name="B", domain="xn--strae-oqa.test", host="b"))
    before = provider.transport("strasse.test")
    assert provider.transport("xn--strae-oqa.test") != before is not None
    assert provider.transport("stra\u00dfe.test") == before
    other = customer(CHANGED, name="B", domain="xn--strae-oqa.test", host="other.test")
    said = provider.change(other, number=CHANGED + 1)
    assert "stra\u00dfe.test, written so (SMTPUTF8), is mail to strasse.test for Postfix" in said
    assert provider.transport("strasse.test") == before
    provider.change(number=CHANGED + 1)
    assert provider.transport("strasse.test") == before
    assert provider.tables_are_as_postmap_builds_them()


def test_mail_takes_the_new_way(provider: Provider, root: Path, enter: ExitStack) -> None:
    port = free_port()
    address = free_address(port)
    peer = enter.enter_context(
        plain_receiver(root, "partner", ["partner.test"], address=address, port=port)
    )
    partner = (
        "[[send_connector]]\nname = 'Partner'\naddress_spaces = ['partner.test']\n"
        f"dns_routing_enabled = false\nsmart_hosts = ['{address}']\nport = {port}\n"
    )
    assert SMALL not in provider.change(partner), "it has a service of its own"
    assert SMALL in provider.change(partner.replace("'partner.test'", "'partner.test', 'x.test'"))
    with provider.administrator.smtp() as session:
        message = compose("bob@partner.test", 1000, "<small@contoso.test>")
        session.sendmail("alice@contoso.test", ["bob@partner.test"], message)
    wait_until(lambda: peer.received() or None, "the message at the partner")


def new_password(provider: Provider) -> None:
    provider.administrator.store_password("3", "another password")


def drift(provider: Provider) -> None:
    with (provider.live / "transport").open("a") as source:
        source.write("drift.test\tlocal:\n")


def host_entry(provider: Provider) -> None:
    folder = provider.administrator.folder
    (folder / "routes").write_text("c3.test local:\n")
    main_cf = provider.administrator.host.config_directory / "main.cf"
    text = main_cf.read_text()
    main_cf.write_text(f"virtual_alias_domains = c3.test\n{text}")


def broken_register(provider: Provider) -> None:
    (provider.live / "register").write_text("{")


@pytest.mark.parametrize("become", [customer(CHANGED), customer(CHANGED, domain="new.test")])
def test_a_table_that_somebody_has_built_is_built_anew(provider: Provider, become: str) -> None:
    directory = str(provider.administrator.host.config_directory)
    before = provider.transport("c3.test")
    table = f"lmdb:{provider.live}/transport"
    run_postfix_command("postmap", "-c", directory, "-d", "c3.test", table)
    assert provider.transport("c3.test") is None
    provider.change(become)
    assert provider.transport("c3.test") == before
    assert provider.tables_are_as_postmap_builds_them()


@pytest.mark.parametrize("happens", [new_password, drift, host_entry, broken_register])
def test_where_more_has_changed_all_is_compiled(
    provider: Provider, happens: Callable[[Provider], None]
) -> None:
    happens(provider)
    assert SMALL not in provider.change(customer(CHANGED, domain="new.test"))
    assert not provider.is_planned()
    expected = "another password" if happens is new_password else "password of 3"
    assert provider.login("relay3.test:25") == f"u3:{expected}"
    assert provider.transport("drift.test") is None
    assert SMALL in provider.change(customer(CHANGED, domain="newer.test"))
    assert not provider.is_planned()


@pytest.mark.parametrize("call", [1, 2])
def test_killed_in_a_small_change_the_next_apply_finishes(provider: Provider, call: int) -> None:
    """At the first rename, that of the built generation, and when the link to it is replaced."""
    before = provider.transport(f"c{CHANGED}.test")
    provider.connectors[CHANGED] = customer(CHANGED, domain="new.test")
    provider.write()
    fault = f"inject=rename:signal=KILL:when={call}"
    killed = under_strace(provider.administrator, "apply", "rename", "-e", fault)
    assert killed.returncode != 0
    assert SMALL in killed.stdout
    assert provider.transport("new.test") in (None, before)
    provider.apply()
    assert provider.transport("new.test") == before
    assert not provider.is_planned()


def test_a_full_disk_leaves_everything_as_it_was(provider: Provider, tmp_path: Path) -> None:
    administrator = provider.administrator
    log = tmp_path / "strace"
    provider.connectors[CHANGED] = customer(CHANGED, domain="new0.test")
    provider.write()
    assert under_strace(administrator, "apply", _TAKING_SPACE, log=log).returncode == 0
    below = f"{administrator.host.config_directory}/"
    calls = [call for call in logged_calls(log) if below in call.text and " = -1 " not in call.text]
    assert {"write", "mkdir", "symlink"} <= {call.name for call in calls}
    assert any("transport.lmdb" in call.text for call in calls)
    live = provider.live.readlink()
    provider.connectors[CHANGED] = customer(CHANGED, domain="new1.test")
    provider.write()
    for call in calls:
        fault = call.injection("error=ENOSPC")
        failed = under_strace(administrator, "apply", _TAKING_SPACE, *fault)
        assert (failed.returncode, SMALL in failed.stdout) == (os.EX_IOERR, True), call.text
        assert provider.live.readlink() == live, call.text
        assert provider.transport("new0.test") is not None
        assert not (provider.live.parent / "unfinished").exists(), call.text
    assert SMALL in provider.apply()
    assert provider.transport("new1.test") is not None


def test_what_is_wrong_is_said_as_ever(provider: Provider) -> None:
    provider.connectors[CHANGED] = customer(CHANGED, name="Customer 3")
    provider.write()
    refused = provider.administrator.run("apply")
    assert refused.returncode == 78
    assert "connector number 4 has this name too" in refused.stderr


def test_warnings_of_the_host_are_said_again(new_host: HostMaker) -> None:
    provider = Provider(new_host({"message_size_limit": "1000000"}))
    said = provider.change(customer(CHANGED, domain="new.test"))
    assert SMALL in said
    assert "message_size_limit = 1000000" in said
