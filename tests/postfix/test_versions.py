"""Hosts without lmdb: all of an apply's life with the table type that there is."""

from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.demo.journey import compose
from tests.lab.administrator import Administrator
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import Peer, auth_smart_host
from tests.postfix.conftest import HostMaker

SUFFIXES = {"hash": ".db", "cdb": ".cdb"}
LOADED = {"lmdb", "cdb"}
"""Types that Debian has in packages of their own; hash is compiled in."""


def skip_without(kind: str, administrator: Administrator) -> None:
    if kind not in administrator.host.postconf("-m").split():
        pytest.skip(f"this machine's Postfix has no {kind} (Debian: postfix-{kind})")


def without(kinds: set[str], administrator: Administrator) -> None:
    """Take table types out of an instance, as if their packages were not installed."""
    directory = administrator.host.config_directory
    table = directory / "dynamicmaps.cf"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(line for line in lines if line.split()[0] not in kinds))
    for extra in (directory / "dynamicmaps.cf.d").glob("*"):
        if extra.stem in kinds:
            extra.unlink()


def connectors(peer: Peer, comment: str) -> str:
    return (
        '[[send_connector]]\nname = "Isp"\naddress_spaces = ["fabrikam.test"]\n'
        f'dns_routing_enabled = false\nsmart_hosts = ["{peer.address}"]\nport = {peer.port}\n'
        f'smart_host_auth_mechanism = "BasicAuth"\ncomment = "{comment}"\n'
        'max_message_size = "unlimited"\n'
        'authentication_credential = { user_name = "contoso", password_file = "secrets/isp" }\n'
    )


@pytest.fixture
def isp(root: Path, enter: ExitStack) -> Peer:
    port = free_port()
    return enter.enter_context(
        auth_smart_host(
            root,
            "isp",
            ["fabrikam.test"],
            user="contoso",
            password="secret",
            certificate=None,
            auth_only_with_tls=False,
            address=free_address(port),
            port=port,
        )
    )


@pytest.mark.parametrize("kind", ["hash", "cdb"])
def test_a_host_without_lmdb(new_host: HostMaker, root: Path, isp: Peer, kind: str) -> None:
    administrator = new_host({"meta_directory": str(root / "host" / "etc")})
    skip_without(kind, administrator)
    without(LOADED - {kind}, administrator)
    administrator.store_password("isp", "secret")
    administrator.write_connectors(connectors(isp, "first"))
    main_cf = (administrator.host.config_directory / "main.cf").read_bytes()

    plan = administrator.run("plan")
    assert f"+ main.cf: transport_maps = {kind}:" in plan.stdout, plan.stderr
    administrator.publish(connectors(isp, "first"))
    live = administrator.host.config_directory / "postconnector" / "live"
    assert {p.suffix for p in (live / "passwords").iterdir()} == {"", SUFFIXES[kind]}

    with administrator.smtp() as session:
        session.sendmail(
            "alice@contoso.test",
            ["bob@fabrikam.test"],
            compose("bob@fabrikam.test", 1000, "<kind@contoso.test>"),
        )
    [message] = wait_until(lambda: isp.received() or None, "the message")
    assert message.authenticated_sender == "contoso@isp"

    assert administrator.run("status").returncode == 0
    assert administrator.run("apply").stdout.startswith("nothing to change")
    administrator.publish(connectors(isp, "second"))
    assert administrator.run("rollback").returncode == 0
    assert administrator.run("remove").returncode == 0
    assert (administrator.host.config_directory / "main.cf").read_bytes() == main_cf


def test_lmdb_is_taken_before_hash(new_host: HostMaker) -> None:
    """Both are there on Debian with postfix-lmdb."""
    administrator = new_host(policy_service=False)
    skip_without("lmdb", administrator)
    administrator.write_connectors('[[send_connector]]\nname = "X"\naddress_spaces = ["x.test"]\n')
    assert "+ main.cf: transport_maps = lmdb:" in administrator.run("plan").stdout
