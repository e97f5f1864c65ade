"""ErrorPolicies on real mail: what bounces, what waits, and what the sender is told."""

from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.maillog import Delivery
from tests.lab.peers import Peer, auth_smart_host
from tests.postfix.conftest import HostMaker
from tests.postfix.test_properties import send

LISTS = """\
[organization]
downgraded_failures = ["5.7.1", "5.2.*"]
upgraded_failures = ["4.2.1", "4.4.1", "4.4.3", "4.7.4"]
"""
BOTH = ("DowngradeCustomFailures", "UpgradeCustomFailures")


def connector(domain: str, route: str, *policies: str) -> str:
    shown = ", ".join(f'"{policy}"' for policy in policies)
    return (
        f'[[send_connector]]\nname = "{domain}"\naddress_spaces = ["{domain}"]\n{route}'
        f"error_policies = [{shown}]\n"
    )


def smart_host(port: int, *addresses: str) -> str:
    hosts = ", ".join(f'"{address}"' for address in addresses)
    return f"dns_routing_enabled = false\nsmart_hosts = [{hosts}]\nport = {port}\n"


def receiver(root: Path, enter: ExitStack, main_cf: Mapping[str, str]) -> Peer:
    port, domains = free_port(), [f"{name}.test" for name in ("both", "down", "up", "default")]
    return enter.enter_context(
        Peer(root, "strict", domains, address=free_address(port), port=port, main_cf=main_cf)
    )


def refusing(answers: Mapping[str, str]) -> dict[str, str]:
    """For a receiver: what it says at RCPT TO to each user of whatever domain."""
    table = ", ".join(f"{{ {user}@ = {answer} }}" for user, answer in answers.items())
    return {"smtpd_recipient_restrictions": f"check_recipient_access inline:{{ {table} }}"}


def became(delivery: Delivery) -> tuple[str, str]:
    return delivery.status, delivery.dsn


@pytest.fixture
def host(new_host: HostMaker) -> Administrator:
    return new_host()


def test_the_lists_say_what_becomes_temporary_and_permanent(
    host: Administrator, root: Path, enter: ExitStack
) -> None:
    answers = {
        "policy": "550 5.7.1 not from you",
        "ten": "550 5.7.10 another code",
        "disabled": "550 5.2.1 no longer here",
        "full": "554 5.2.33 of the same class",
        "slow": "450 4.2.1 not now",
        "slower": "450 4.2.10 another code",
    }
    peer = receiver(root, enter, refusing(answers))
    route = smart_host(peer.port, peer.address)
    host.publish(LISTS + connector("both.test", route, *BOTH))
    found = {user: send(host, f"{user}@both.test") for user in (*answers, "fine")}
    assert {user: became(delivery) for user, delivery in found.items()} == {
        "policy": ("deferred", "4.7.1"),
        "ten": ("bounced", "5.7.10"),
        "disabled": ("deferred", "4.2.1"),
        "full": ("deferred", "4.2.33"),
        "slow": ("bounced", "5.2.1"),
        "slower": ("deferred", "4.2.10"),
        "fine": ("sent", "2.0.0"),
    }
    for user, answer in answers.items():
        reply, code, text = answer.split(maxsplit=2)
        rejected = f"<{user}@both.test>: Recipient address rejected: {text}"
        assert f"said: {reply} {code} {rejected} (in reply to RCPT TO command)" in found[user].text


def test_the_sender_reads_what_the_next_hop_said(
    host: Administrator, root: Path, enter: ExitStack
) -> None:
    peer = receiver(root, enter, refusing({"slow": "450 4.2.1 not now"}))
    host.publish(LISTS + connector("up.test", smart_host(peer.port, peer.address), BOTH[1]))
    send(host, "slow@up.test")
    report = wait_until(lambda: next(iter(host.host.mail()), None), "the report").decode()
    assert "\nAction: failed\nStatus: 5.2.1\n" in report
    assert "\nDiagnostic-Code: smtp; 450 4.2.1 <slow@up.test>: " in report


def test_each_policy_has_its_own_list(host: Administrator, root: Path, enter: ExitStack) -> None:
    peer = receiver(root, enter, refusing({"a": "550 5.7.1 no", "b": "450 4.2.1 not now"}))
    route = smart_host(peer.port, peer.address)
    policies = {"default.test": (), "down.test": BOTH[:1], "up.test": BOTH[1:]}
    host.publish(LISTS + "".join(connector(name, route, *said) for name, said in policies.items()))
    found = {
        (user, domain): became(send(host, f"{user}@{domain}"))
        for domain in policies
        for user in ("a", "b")
    }
    bounced, deferred = ("bounced", "5.7.1"), ("deferred", "4.2.1")
    assert found == {
        ("a", "default.test"): bounced,
        ("b", "default.test"): deferred,
        ("a", "down.test"): ("deferred", "4.7.1"),
        ("b", "down.test"): deferred,
        ("a", "up.test"): bounced,
        ("b", "up.test"): ("bounced", "5.2.1"),
    }


def test_a_changed_list_counts_from_the_next_message(
    host: Administrator, root: Path, enter: ExitStack
) -> None:
    users = {"one": "", "two": '"4.2.1"', "three": '"4.2.2"', "four": '"4.2.2", "4.2.1"'}
    peer = receiver(root, enter, refusing(dict.fromkeys(users, "450 4.2.1 not now")))
    up = connector("up.test", smart_host(peer.port, peer.address), BOTH[1])
    found = []
    for user, codes in users.items():
        host.publish(f"[organization]\nupgraded_failures = [{codes}]\n{up}")
        found.append(send(host, f"{user}@up.test").status)
    assert found == ["deferred", "bounced", "deferred", "bounced"]


def test_failures_that_postfix_finds_itself(
    host: Administrator, root: Path, enter: ExitStack
) -> None:
    """Nobody listens (4.4.1), no TLS where it is demanded (4.7.4)."""
    peer = receiver(root, enter, {})
    dead = free_address(peer.port)
    host.publish(
        LISTS
        + connector("down.test", smart_host(peer.port, dead), *BOTH)
        + connector("up.test", smart_host(peer.port, peer.address) + "require_tls = true\n", *BOTH)
        + connector("both.test", smart_host(peer.port, dead, peer.address), *BOTH)
    )
    nobody, plain = send(host, "bob@down.test"), send(host, "bob@up.test")
    assert became(nobody) == ("bounced", "5.4.1")
    assert nobody.text.startswith(f"connect to {dead}[{dead}]:{peer.port}: Connection refused")
    assert became(plain) == ("bounced", "5.7.4")
    assert "TLS is required, but was not offered" in plain.text
    assert send(host, "bob@both.test").status == "sent", "the other smart host is tried first"


@pytest.mark.parametrize(
    ("main_cf", "where"),
    [
        ("smtpd_client_restrictions", "refused to talk to me: "),
        ("smtpd_sender_restrictions", "(in reply to MAIL FROM command)"),
        ("smtpd_end_of_data_restrictions", "(in reply to end of DATA command)"),
    ],
)
@pytest.mark.parametrize(
    ("answer", "wanted"),
    [("550 5.7.1", ("deferred", "4.7.1")), ("450 4.2.1", ("bounced", "5.2.1"))],
)
def test_wherever_in_the_session_it_fails(
    host: Administrator,
    root: Path,
    enter: ExitStack,
    main_cf: str,
    where: str,
    answer: str,
    wanted: tuple[str, str],
) -> None:
    """To Postfix itself a greeting with 5xx is temporary already (smtp_skip_5xx_greeting)."""
    access = f"check_client_access inline:{{ {{ 127.0.0.1 = {answer} not from there }} }}"
    peer = receiver(root, enter, {"smtpd_delay_reject": "no", main_cf: access})
    host.publish(LISTS + connector("both.test", smart_host(peer.port, peer.address), *BOTH))
    delivery = send(host, "bob@both.test")
    assert became(delivery) == wanted
    assert where in delivery.text
    assert answer in delivery.text


def test_what_dns_does_not_know_stays_temporary_whatever_the_lists_say(host: Administrator) -> None:
    """No DNS server answers this host: 4.4.3, which is in the list."""
    host.publish(
        LISTS
        + connector("both.test", "", *BOTH, "DowngradeDnsFailures")
        + connector("up.test", "", "UpgradeCustomFailures")
    )
    assert became(send(host, "bob@both.test")) == ("deferred", "4.4.3")
    assert became(send(host, "bob@up.test")) == ("bounced", "5.4.3")


@pytest.mark.parametrize("name", ["smtp_delivery_status_filter", "default_delivery_status_filter"])
def test_the_hosts_own_filter_is_asked_after_ours(
    new_host: HostMaker, root: Path, enter: ExitStack, name: str
) -> None:
    peer = receiver(root, enter, refusing({"a": "550 5.7.1 no", "b": "550 5.1.1 unknown"}))
    table = root / "filter"
    table.write_text("/^5(.7.1 .*)/ 5$1, says the host\n/^5(.1.1 .*)/ 4$1, says the host\n")
    host = new_host({name: f"regexp:{table}"})
    host.publish(LISTS + connector("both.test", smart_host(peer.port, peer.address), *BOTH))
    ours, theirs = send(host, "a@both.test"), send(host, "b@both.test")
    assert became(ours) == ("deferred", "4.7.1")
    assert became(theirs) == ("deferred", "4.1.1")
    assert theirs.text.endswith(", says the host")


def test_a_failed_login_waits_with_downgrade_auth_failures(
    new_host: HostMaker, root: Path, enter: ExitStack
) -> None:
    """Postfix' own way too, but this host has it otherwise."""
    port = free_port()
    peer = enter.enter_context(
        auth_smart_host(
            root,
            "isp",
            ["both.test"],
            user="contoso",
            password="secret",
            certificate=None,
            auth_only_with_tls=False,
            address=free_address(port),
            port=port,
        )
    )
    host = new_host({"smtp_sasl_auth_soft_bounce": "no"})
    host.store_password("isp", "wrong")
    route = (
        smart_host(port, peer.address) + 'smart_host_auth_mechanism = "BasicAuth"\n'
        'authentication_credential = { user_name = "contoso", password_file = "secrets/isp" }\n'
    )
    host.publish(
        '[organization]\nexchange_version = "2010"\n'
        + connector("default.test", route)
        + connector("down.test", route, "DowngradeAuthFailures")
    )
    assert became(send(host, "bob@default.test")) == ("bounced", "5.7.8")
    assert became(send(host, "bob@down.test")) == ("deferred", "4.7.8")
