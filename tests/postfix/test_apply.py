"""Publishing to hosts that have a life of their own: nothing is lost, half-applied or leaked."""

import datetime
import fcntl
import json
import os
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest
from cryptography import x509

from tests.demo.journey import compose
from tests.demo.world import PASSWORD, World
from tests.lab.administrator import Administrator
from tests.lab.certificates import CertificateAuthority, IssuedCertificate
from tests.lab.loopback import free_address, free_port, wait_until
from tests.lab.peers import Peer, plain_receiver
from tests.postfix.conftest import HostMaker

UNLIMITED = 'max_message_size = "unlimited"\n'
"""Nothing then depends on the delivery agent."""

FABRIKAM = f'[[send_connector]]\nname = "Fabrikam"\naddress_spaces = ["fabrikam.test"]\n{UNLIMITED}'
GOOD = f'[[send_connector]]\nname = "Internet"\naddress_spaces = ["*"]\n{UNLIMITED}'


def state(administrator: Administrator) -> dict[str, bytes]:
    """Every file of the host's configuration, ours included."""
    folder = administrator.host.config_directory
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "lock"
    }


def send(administrator: Administrator, *recipients: str) -> None:
    with administrator.smtp() as session:
        session.sendmail(
            "alice@contoso.test", recipients, compose(recipients[0], 1000, "<apply@contoso.test>")
        )


def receiver(root: Path, enter: ExitStack, name: str, *domains: str, port: int = 0) -> Peer:
    port = port or free_port()
    return enter.enter_context(
        plain_receiver(root, name, domains, address=free_address(port), port=port)
    )


def smart_host(name: str, space: str, peer: Peer) -> str:
    return (
        f'[[send_connector]]\nname = "{name}"\naddress_spaces = ["{space}"]\n'
        f'dns_routing_enabled = false\nsmart_hosts = ["{peer.address}"]\nport = {peer.port}\n'
    )


def certificate_subject(certificate: IssuedCertificate) -> str:
    """The subject as TlsCertificateName has it."""
    [leaf, *_] = x509.load_pem_x509_certificates(certificate.chain_file.read_bytes())
    return ", ".join(part.rfc4514_string() for part in reversed(leaf.subject.rdns))


# --- the commands


def test_plan_then_apply_then_nothing_to_do(new_host: HostMaker) -> None:
    administrator = new_host()
    administrator.write_connectors(GOOD)
    before = state(administrator)
    plan = administrator.run("plan")
    assert plan.returncode == 2
    assert "+ main.cf: default_transport = pc-internet" in plan.stdout
    assert state(administrator) == before
    assert administrator.run("apply").returncode == 0
    applied = state(administrator)
    again = administrator.run("apply")
    assert (again.returncode, again.stdout) == (
        0,
        "nothing to change: Postfix has these connectors\n",
    )
    assert state(administrator) == applied
    plan = administrator.run("plan")
    assert plan.returncode == 0
    assert "Nothing to change" in plan.stdout


def test_plan_and_apply_show_no_secret(contoso: World) -> None:
    """Neither before nor after publishing, for people or machines."""
    administrator = contoso.administrator
    for arguments in (["plan"], ["plan", "--json"], ["show"], ["show", "--json"], ["apply"]):
        result = administrator.run(*arguments)
        shown = result.stdout + result.stderr
        assert "PRIVATE KEY" not in shown
        assert PASSWORD not in shown
    json.loads(administrator.run("plan", "--json").stdout)


def test_secrets_are_for_root_alone(contoso: World) -> None:
    live = contoso.host.config_directory / "postconnector" / "live"
    secrets = [p for name in ("passwords", "certificates") for p in (live / name).iterdir()]
    assert len(secrets) == 3  # a table, its source, a certificate
    for path in secrets:
        assert (path.stat().st_uid, stat.S_IMODE(path.stat().st_mode)) == (0, 0o600), path
    for name in ("main.cf", "master.cf"):
        assert PASSWORD not in (contoso.host.config_directory / name).read_text()


# --- wrong input changes nothing


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[send_connector]]\nname = 'X'\nadress_spaces = ['*']\n", "did you mean address_spaces?"),
        ("[[send_connector\n", "this is not TOML"),
        (
            GOOD + 'tls_certificate_name = "<I>CN=Nobody<S>CN=nothing"\n',
            "no certificate with this issuer and subject",
        ),
        (
            GOOD + 'dns_routing_enabled = false\nsmart_hosts = ["127.0.0.1"]\n'
            'smart_host_auth_mechanism = "BasicAuth"\n'
            'authentication_credential = { user_name = "u", password_file = "secrets/none" }\n',
            "secrets/none: No such file or directory; write the password alone into it",
        ),
    ],
)
def test_a_file_that_cannot_be_published_changes_nothing(
    new_host: HostMaker, text: str, message: str
) -> None:
    administrator = new_host()
    administrator.publish(GOOD)
    before = state(administrator)
    administrator.write_connectors(text)
    result = administrator.run("apply")
    assert result.returncode == os.EX_CONFIG
    assert message in result.stderr
    assert state(administrator) == before


def test_a_password_that_others_can_read_is_refused(new_host: HostMaker) -> None:
    administrator = new_host()
    administrator.store_password("isp", "secret")
    (administrator.folder / "secrets" / "isp").chmod(0o640)
    administrator.write_connectors(
        GOOD + 'dns_routing_enabled = false\nsmart_hosts = ["127.0.0.1"]\n'
        'smart_host_auth_mechanism = "BasicAuth"\n'
        'authentication_credential = { user_name = "u", password_file = "secrets/isp" }\n'
    )
    result = administrator.run("apply")
    assert result.returncode == os.EX_CONFIG
    assert ":8: error:" in result.stderr
    assert "can be read by others" in result.stderr


def test_without_the_policy_service_nothing_is_published(new_host: HostMaker) -> None:
    administrator = new_host(policy_service=False)
    administrator.write_connectors(GOOD)
    before = state(administrator)
    result = administrator.run("apply")
    assert result.returncode == os.EX_UNAVAILABLE
    assert "systemctl start postconnector-policy" in result.stderr
    assert state(administrator) == before


def test_an_apply_that_was_killed_is_finished_by_the_next(new_host: HostMaker) -> None:
    """Killed after the swap: the files are new, but Postfix was not told (test_killed_apply)."""
    administrator = new_host()
    administrator.publish(GOOD)
    (administrator.host.config_directory / "postconnector" / "unfinished").touch()
    assert administrator.run("plan").returncode == 2

    def reloads() -> int:
        return sum(line.text.startswith("reload") for line in administrator.host.log.lines())

    before = reloads()
    result = administrator.run("apply")
    assert result.returncode == 0
    assert "did not finish" in result.stdout
    assert reloads() == before + 1
    assert administrator.run("plan").returncode == 0


def test_two_at_once(new_host: HostMaker) -> None:
    administrator = new_host()
    administrator.publish(GOOD)
    administrator.write_connectors(GOOD + "port = 26\n")
    lock = administrator.host.config_directory / "postconnector" / "lock"
    with lock.open() as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert administrator.run("apply").returncode == os.EX_TEMPFAIL
    assert administrator.run("apply").returncode == 0


def test_what_fails_after_the_swap_is_put_back(new_host: HostMaker) -> None:
    """The live tables can't be asked (a postmap -q that fails): nothing of it stays."""
    administrator = new_host()
    administrator.publish(GOOD)
    before = state(administrator)
    administrator.write_connectors(GOOD + FABRIKAM)
    live = administrator.host.config_directory / "postconnector" / "live"
    assert live.readlink().name == "000001"
    postmap = administrator.folder / "postmap"
    postmap.write_text(
        '#!/bin/sh\ncase "$*" in *-q*) exit 75;; esac\nexec /usr/sbin/postmap "$@"\n'
    )
    postmap.chmod(0o755)
    result = administrator.run("apply", path=f"{administrator.folder}:{os.environ['PATH']}")
    assert result.returncode != 0, result.stdout
    assert state(administrator) == before
    assert live.readlink().name == "000001"
    assert "pc-fabrikam" not in administrator.host.postconf("-M")


def test_symbolic_links_stay(new_host: HostMaker) -> None:
    """main.cf may be kept elsewhere; its owner and rights are kept too."""
    administrator = new_host()
    main_cf = administrator.host.config_directory / "main.cf"
    kept = administrator.folder / "main.cf"
    main_cf.rename(kept)
    kept.chmod(0o640)
    main_cf.symlink_to(kept)
    administrator.publish(GOOD)
    assert main_cf.is_symlink()
    assert "default_transport = pc-internet" in kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o640
    assert sorted(p.name for p in administrator.folder.iterdir() if p.name[0] == ".") == []


def test_a_host_whose_postfix_refuses_the_result_stays(new_host: HostMaker) -> None:
    """A table type that this Postfix does not have, which nothing but Postfix can know."""
    administrator = new_host()
    master = administrator.host.config_directory / "master.cf"
    master.write_text(master.read_text() + "broken line\n")
    before = state(administrator)
    administrator.write_connectors(GOOD)
    result = administrator.run("apply")
    assert result.returncode != 0
    assert "master.cf" in result.stderr
    assert state(administrator) == before


# --- an existing host


def test_the_hosts_own_routes_stay(new_host: HostMaker, root: Path, enter: ExitStack) -> None:
    port = free_port()
    own = receiver(root, enter, "own", "own.test", port=port)
    relay = receiver(root, enter, "relay", "relayed.test", port=port)
    ours = receiver(root, enter, "ours", "fabrikam.test", port=port)
    administrator = new_host(
        {
            "transport_maps": f"inline:{{ {{ own.test = smtp:[{own.address}]:{port} }} }}",
            "relay_domains": "relayed.test",
            "relayhost": f"[{relay.address}]:{port}",
        }
    )
    administrator.publish(
        GOOD + f"port = {port}\n" + smart_host("Fabrikam", "*.fabrikam.test", ours)
    )
    expected = {
        "a@own.test": ("smtp", own),
        "b@relayed.test": ("relay/smtp", relay),
        "c@fabrikam.test": ("pc-fabrikam/smtp", ours),
        "d@contoso.test": ("virtual", None),
    }
    send(administrator, *expected)
    for recipient, (service, peer) in expected.items():
        delivery = administrator.host.log.wait_for_delivery(recipient)
        assert (delivery.service, delivery.status) == (service, "sent"), delivery
        if peer is not None:
            assert peer.address in delivery.relay


def test_a_wildcard_takes_no_domain_of_the_host(
    new_host: HostMaker, root: Path, enter: ExitStack
) -> None:
    """contoso.test and host.contoso.test are delivered here; *.contoso.test goes elsewhere."""
    peer = receiver(root, enter, "sub", "sub.contoso.test")
    table = root / "domains"
    table.write_text("shop.contoso.test x\n")
    administrator = new_host(
        {"virtual_mailbox_domains": f"contoso.test, host.contoso.test, lmdb:{table}"},
        policy_service=False,
    )
    command = f"postmap -c {administrator.host.config_directory} lmdb:{table}"
    assert os.system(command) == 0
    enter.enter_context(administrator.policy_service())
    administrator.publish(smart_host("Subsidiaries", "*.contoso.test", peer))
    local = ["a@contoso.test", "b@host.contoso.test", "c@shop.contoso.test"]
    send(administrator, *local, "d@sub.contoso.test")
    for recipient in local:
        assert administrator.host.log.wait_for_delivery(recipient).service == "virtual"
    assert administrator.host.log.wait_for_delivery("d@sub.contoso.test").relay.startswith(
        peer.address
    )


def test_plan_says_when_a_connector_names_a_domain_of_the_host(new_host: HostMaker) -> None:
    administrator = new_host()
    administrator.write_connectors(
        '[[send_connector]]\nname = "Mistaken"\naddress_spaces = ["contoso.test"]\n'
    )
    result = administrator.run("plan")
    assert 'connector "Mistaken" names contoso.test' in result.stderr


def test_plan_says_what_on_the_host_works_against_connectors(new_host: HostMaker) -> None:
    listener, other, silent = (f"127.0.0.1:{free_port()}" for _ in range(3))
    administrator = new_host(
        {
            "message_size_limit": "10240000",
            "content_filter": "smtp:[127.0.0.1]:10025",
            "sender_dependent_default_transport_maps": "inline:{ a@b.test=smtp: }",
            "smtp_tls_CAfile": "",
        },
        master_cf=f"{listener} inet n - y - - smtpd\n"
        "  -o smtpd_recipient_restrictions=permit_sasl_authenticated,reject\n"
        f"{other} inet n - y - - smtpd\n  -o smtpd_end_of_data_restrictions=\n"
        f"{silent} inet n - y - - smtpd\n  -o smtpd_end_of_data_restrictions=\n"
        "  -o smtpd_recipient_restrictions=permit_mynetworks,reject\n",
        policy_service=False,
    )
    administrator.write_connectors(
        GOOD + 'require_tls = true\ntls_auth_level = "DomainValidation"\n'
    )
    result = administrator.run("plan")
    warnings = [line for line in result.stderr.splitlines() if "warning:" in line]
    for part in (
        "message_size_limit = 10240000: Postfix refuses larger messages before a connector is"
        ' asked, whatever MaxMessageSize of connector "Internet" says',
        "mail that its size moves to another connector passes the content filter"
        " smtp:[127.0.0.1]:10025 by (FILTER)",
        'sender_dependent_default_transport_maps of main.cf wins over connector "Internet"',
        f"master.cf gives {listener}/inet restrictions of its own (smtpd_recipient_restrictions):"
        " MaxMessageSize is judged there when a message has come, not at RCPT TO",
        f"master.cf gives {other}/inet restrictions of its own (smtpd_end_of_data_restrictions):"
        " MaxMessageSize is judged there by the size that the client declares alone",
        f"master.cf gives {silent}/inet restrictions of its own (smtpd_end_of_data_restrictions,"
        " smtpd_recipient_restrictions): what comes in there is routed by the connectors, but the"
        " policy service does not see it",
        'certificates are verified for connector "Internet", but main.cf has neither smtp_tls_CA',
    ):
        assert sum(part in warning for warning in warnings) == 1, (part, warnings)
    assert len(warnings) == 7


def test_apply_warns_of_a_dead_policy_service_even_where_nothing_is_to_change(
    new_host: HostMaker,
) -> None:
    administrator = new_host(policy_service=False)
    with administrator.policy_service():
        administrator.publish(GOOD)
        assert "policy service" not in administrator.run("apply").stderr
    result = administrator.run("apply")
    assert (result.returncode, result.stdout[:17]) == (0, "nothing to change")
    assert "warning: the policy service does not answer" in result.stderr


def test_plan_knows_what_apply_refuses(new_host: HostMaker) -> None:
    administrator = new_host({"sender_dependent_relayhost_maps": "inline:{ a@b.test=[192.0.2.1] }"})
    administrator.write_connectors(GOOD)
    plan, apply = administrator.run("plan"), administrator.run("apply")
    assert (plan.returncode, apply.returncode) == (os.EX_CONFIG, os.EX_CONFIG)
    for result in (plan, apply):
        assert "sender_dependent_relayhost_maps" in result.stderr
    assert plan.stdout.splitlines()[-1].endswith(", but apply refuses: see the errors above.")


def test_a_connector_that_goes_is_gone(new_host: HostMaker, root: Path, enter: ExitStack) -> None:
    port = free_port()
    first = receiver(root, enter, "first", "fabrikam.test", port=port)
    second = receiver(root, enter, "second", "fabrikam.test", port=port)
    administrator = new_host()
    everything = smart_host("All", "*", second)
    administrator.publish(everything + smart_host("Fabrikam", "fabrikam.test", first))
    send(administrator, "a@fabrikam.test")
    assert administrator.host.log.wait_for_delivery("a@fabrikam.test").relay.startswith(
        first.address
    )
    administrator.publish(everything)
    assert "pc-fabrikam" not in administrator.host.postconf("-M")
    send(administrator, "b@fabrikam.test")
    assert administrator.host.log.wait_for_delivery("b@fabrikam.test").relay.startswith(
        second.address
    )


# --- history and rollback


def history(administrator: Administrator) -> list[dict[str, object]]:
    result = administrator.run("history", "--json")
    assert result.returncode == 0, result.stderr
    found: list[dict[str, object]] = json.loads(result.stdout)
    return found


def test_rollback_brings_the_earlier_routes_and_passwords_back(
    new_host: HostMaker, root: Path, enter: ExitStack
) -> None:
    old, new = (receiver(root, enter, name, "fabrikam.test") for name in ("old", "new"))
    administrator = new_host()
    administrator.store_password("isp", "first secret")
    login = (
        'smart_host_auth_mechanism = "BasicAuth"\n'
        'authentication_credential = { user_name = "contoso", password_file = "secrets/isp" }\n'
    )
    isp = smart_host("Isp", "isp.test", old) + login
    administrator.publish(smart_host("Fabrikam", "fabrikam.test", old) + isp)
    first = state(administrator)
    administrator.store_password("isp", "second secret")
    administrator.publish(smart_host("Fabrikam", "fabrikam.test", new) + isp + GOOD)
    send(administrator, "bob@fabrikam.test")
    wait_until(lambda: new.received() or None, "the message at the new receiver")

    result = administrator.run("rollback")

    assert result.returncode == 0, result.stderr
    assert "published generation 3" in result.stdout
    assert "secret" not in result.stdout + result.stderr
    send(administrator, "bob@fabrikam.test")
    wait_until(lambda: old.received() or None, "the message at the old receiver")
    now = state(administrator)
    kept = "postconnector/generations/{:06}/passwords/pc-isp"
    assert now[kept.format(3)] == first[kept.format(1)]
    assert (now["main.cf"], now["master.cf"]) == (first["main.cf"], first["master.cf"])
    assert administrator.run("plan").returncode == 2, "the connectors file was not changed"

    lines = history(administrator)
    assert [line["generation"] for line in lines] == [1, 2, 3]
    assert [line["live"] for line in lines] == [False, False, True]
    assert [line["command"] for line in lines] == ["apply", "apply", "rollback to 1"]
    assert [line["connectors"] for line in lines] == [2, 3, 2]
    assert lines[1]["changes"] == ["+Internet", "~Fabrikam"]
    assert lines[2]["changes"] == ["-Internet", "~Fabrikam"]
    assert all(line["by"] and str(line["time"]).endswith("+00:00") for line in lines)


def test_rollback_to_a_certificate_that_has_expired_since_is_refused(
    new_host: HostMaker, authority: CertificateAuthority
) -> None:
    administrator = new_host()
    certificate = authority.issue("own", common_name="smtp.contoso.test")
    administrator.store_certificate("own", certificate)
    named = 'tls_certificate_name = "<I>CN=Contoso Test CA, O=Contoso<S>CN=smtp.contoso.test"\n'
    subject = certificate_subject(certificate)
    administrator.publish(GOOD + named.replace("CN=smtp.contoso.test", subject))
    administrator.publish(GOOD)
    before = state(administrator)
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)
    expired = authority.issue(
        "expired", common_name="smtp.contoso.test", not_before=now - 9 * day, not_after=now - day
    )
    folder = administrator.host.config_directory / "postconnector" / "generations" / "000001"
    (published,) = (folder / "certificates").glob("*.pem")
    published.write_bytes(expired.chain_file.read_bytes())
    before = state(administrator)
    result = administrator.run("rollback", "1")
    assert result.returncode == 78
    assert "tls_certificate_name" in result.stderr
    assert state(administrator) == before


def test_history_and_rollback_without_generations(new_host: HostMaker) -> None:
    administrator = new_host()
    assert administrator.run("history").stdout == "nothing was published yet\n"
    result = administrator.run("rollback")
    assert (result.returncode, "kept are none" in result.stderr) == (78, True)
    administrator.publish(GOOD)
    result = administrator.run("rollback", "7")
    assert (result.returncode, "no generation 7; kept are 1" in result.stderr) == (78, True)
    again = administrator.run("rollback", "1")
    assert (again.returncode, "nothing to change" in again.stdout) == (0, True)


# --- status


def test_status_of_a_host_where_all_is_well(new_host: HostMaker) -> None:
    administrator = new_host()
    nothing = administrator.run("status")
    assert (nothing.returncode, "nothing is published" in nothing.stdout) == (1, True)
    administrator.publish(GOOD)
    before = state(administrator)
    status = administrator.run("status")
    assert status.returncode == 0, status.stdout + status.stderr
    assert status.stdout.startswith("Generation 1, published 20")
    assert "All is as published." in status.stdout
    assert state(administrator) == before


def test_status_shows_what_somebody_changed(new_host: HostMaker) -> None:
    administrator = new_host()
    administrator.publish(GOOD)
    main_cf = administrator.host.config_directory / "main.cf"
    main_cf.write_text(main_cf.read_text().replace("pc-internet", "smtp"))
    administrator.host.settle()
    table = administrator.host.config_directory / "postconnector" / "live" / "transport"
    table.write_text("fabrikam.test smtp:[192.0.2.1]\n")
    status = administrator.run("status")
    assert status.returncode == 1
    assert "-default_transport = smtp" in status.stdout
    assert "+default_transport = pc-internet" in status.stdout
    assert "-fabrikam.test smtp:[192.0.2.1]" in status.stdout
    assert "! not as published: main.cf, transport" in status.stdout


def test_status_says_what_does_not_answer(new_host: HostMaker) -> None:
    administrator = new_host(policy_service=False)
    with administrator.policy_service():
        administrator.publish(GOOD)
    administrator.host.stop()
    found = json.loads(administrator.run("status", "--json").stdout)
    assert found["postfix_running"] is False
    assert "Postfix is not running" in found["problems"]
    assert any("policy service does not answer" in text for text in found["problems"])


def test_a_table_that_the_policy_service_may_not_read_is_said(new_host: HostMaker) -> None:
    administrator = new_host({"virtual_mailbox_domains": "texthash:$config_directory/domains"})
    domains = administrator.host.config_directory / "domains"
    domains.write_text("contoso.test x\n")
    domains.chmod(0o600)
    administrator.write_connectors(GOOD.replace(UNLIMITED, 'max_message_size = "10 KB"\n'))
    applied = administrator.run("apply")
    assert applied.returncode == 0, applied.stderr
    assert "warning: the policy service can't ask Postfix for its domains" in applied.stderr
    status = administrator.run("status")
    assert status.returncode == 1
    assert "Permission denied" in status.stdout
    with administrator.smtp() as session:
        session.mail("alice@contoso.test")
        assert session.rcpt("bob@fabrikam.test")[0] == 250
        assert session.data(b"x" * 30_000)[0] == 451
    [line] = [each for each in administrator.policy_log.read_text().splitlines() if "ERROR" in each]
    assert "Postfix can't be asked, mail whose size matters is deferred: postmap" in line
    domains.chmod(0o644)
    assert "can't ask Postfix" not in administrator.run("status").stdout


def test_a_table_that_is_gone_is_noticed_and_built_again(new_host: HostMaker) -> None:
    administrator = new_host()
    administrator.publish(GOOD + FABRIKAM)
    live = administrator.host.config_directory / "postconnector" / "live"
    (live / "transport.lmdb").unlink()
    status = administrator.run("status")
    assert status.returncode == 1
    assert "transport" in status.stdout.splitlines()[-1]
    assert "postconnector apply puts it right" in status.stdout
    assert administrator.run("apply").returncode == 0
    assert (live / "transport.lmdb").exists()
    assert administrator.run("status").returncode == 0


def test_a_service_that_postfix_did_not_start_is_noticed(new_host: HostMaker) -> None:
    administrator = new_host()
    administrator.publish(GOOD)
    (administrator.host.queue_directory / "private" / "pc-internet").unlink()
    status = administrator.run("status")
    assert status.returncode == 1
    assert "Postfix has not started the service pc-internet" in status.stdout


def test_status_counts_who_waits_by_connector_and_why(
    new_host: HostMaker, authority: CertificateAuthority
) -> None:
    administrator = new_host()
    day = datetime.timedelta(days=1)
    now = datetime.datetime.now(datetime.UTC)
    certificate = authority.issue(
        "own", common_name="smtp.contoso.test", not_after=now + 10 * day + day / 2
    )
    administrator.store_certificate("own", certificate)
    dead = f'["{free_address(25)}"]'
    administrator.publish(
        f"{FABRIKAM}dns_routing_enabled = false\nsmart_hosts = {dead}\n"
        f'tls_certificate_name = "<I>CN=Contoso Test CA, O=Contoso<S>'
        f'{certificate_subject(certificate)}"\n'
    )
    for name in ("bob", "eve"):
        send(administrator, f"{name}@fabrikam.test")
        administrator.host.log.wait_for_delivery(f"{name}@fabrikam.test")
    administrator.host.wait_idle()
    found = json.loads(administrator.run("status", "--json").stdout)
    [waiting] = found["waiting"]
    assert (waiting["connector"], waiting["recipients"]) == ("Fabrikam", 2)
    assert "Connection refused" in waiting["reason"]
    assert [(c["connector"], c["days"]) for c in found["certificates"]] == [("Fabrikam", 10)]
    assert 'the certificate of connector "Fabrikam" ends in 10 days; renew it' in found["problems"]


# --- remove


@pytest.mark.parametrize("newline", ["\n", ""])
def test_apply_and_remove_leave_the_files_as_they_were(new_host: HostMaker, newline: str) -> None:
    administrator = new_host()
    main_cf = administrator.host.config_directory / "main.cf"
    main_cf.write_text(main_cf.read_text() + f"relayhost = [192.0.2.1]{newline}")
    administrator.host.settle()
    before = state(administrator)
    administrator.publish(GOOD)
    assert "pc-internet" in administrator.host.postconf("default_transport")
    shown = administrator.run("remove", "--what-if")
    assert "-default_transport = pc-internet" in shown.stdout
    assert "+relayhost = [192.0.2.1]" in shown.stdout
    assert state(administrator) != before

    assert administrator.run("remove").returncode == 0

    assert state(administrator) == before
    assert not (administrator.host.config_directory / "postconnector").exists()
    again = administrator.run("remove")
    assert (again.returncode, "nothing to remove" in again.stdout) == (0, True)


def test_after_remove_mail_takes_the_hosts_own_way(
    new_host: HostMaker, root: Path, enter: ExitStack
) -> None:
    own = receiver(root, enter, "own", "fabrikam.test")
    partner = receiver(root, enter, "partner", "fabrikam.test")
    administrator = new_host({"relayhost": f"[{own.address}]:{own.port}"})
    administrator.publish(smart_host("Fabrikam", "fabrikam.test", partner))
    send(administrator, "bob@fabrikam.test")
    wait_until(lambda: partner.received() or None, "the message at the partner")

    assert administrator.run("remove").returncode == 0
    send(administrator, "bob@fabrikam.test")

    assert wait_until(lambda: own.received() or None, "the message at the relay host")
    assert len(partner.received()) == 1


def test_remove_leaves_what_was_edited_meanwhile(new_host: HostMaker) -> None:
    administrator = new_host()
    main_cf = administrator.host.config_directory / "main.cf"
    before = main_cf.read_text()
    administrator.publish(GOOD)
    main_cf.write_text("# mine\n" + main_cf.read_text() + "disable_vrfy_command = yes\n")
    administrator.host.settle()
    assert administrator.run("remove").returncode == 0
    assert main_cf.read_text() == f"# mine\n{before}disable_vrfy_command = yes\n"


def test_remove_waits_for_an_apply_at_work(new_host: HostMaker) -> None:
    administrator = new_host()
    administrator.publish(GOOD)
    before = state(administrator)
    folder = administrator.host.config_directory / "postconnector"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert administrator.run("remove").returncode == os.EX_TEMPFAIL
    assert state(administrator) == before


def test_a_remove_that_was_killed_is_finished_by_the_next(new_host: HostMaker) -> None:
    administrator = new_host()
    before = state(administrator)
    administrator.publish(GOOD)
    folder = administrator.host.config_directory
    # as after the first rename, the second, and the reload
    (folder / "main.cf").write_bytes(before["main.cf"])
    administrator.host.settle()
    assert administrator.run("remove").returncode == 0
    assert state(administrator) == before
    administrator.publish(GOOD)
    (folder / "main.cf").write_bytes(before["main.cf"])
    administrator.host.settle()
    (folder / "master.cf").write_bytes(before["master.cf"])
    assert administrator.run("remove").returncode == 0
    assert state(administrator) == before


def test_taking_the_blocks_out_by_hand_restores_the_files(new_host: HostMaker) -> None:
    """As docs/operations.md says, with tools of the shell."""
    administrator = new_host({"relayhost": "[192.0.2.1]"})
    folder = administrator.host.config_directory
    before = {name: (folder / name).read_bytes() for name in ("main.cf", "master.cf")}
    administrator.publish(GOOD)
    assert before["main.cf"] != (folder / "main.cf").read_bytes()
    for name, content in before.items():
        command = (
            "sed -i -e '/^# BEGIN postconnector/,/^# END postconnector/d'"
            f" -e 's/^#postconnector replaces# //' {folder / name}"
        )
        assert os.system(command) == 0
        assert (folder / name).read_bytes() == content
