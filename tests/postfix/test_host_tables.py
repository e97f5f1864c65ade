"""What the host's own tables say against connectors: plan names it, and says which wins."""

import json
import os
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
from tests.lab.command import run_command
from tests.lab.host_configurations import TlsPolicyServer
from tests.lab.loopback import free_port
from tests.postfix.conftest import HostMaker

CONNECTORS = """\
[[send_connector]]
name = "Fabrikam"
address_spaces = ["fabrikam.test", "*.fabrikam.test"]

[[send_connector]]
name = "Adatum"
address_spaces = ["adatum.test"]
require_tls = true
"""


def warnings(administrator: Administrator) -> list[str]:
    administrator.write_connectors(CONNECTORS)
    plan = administrator.run("plan", "--json")
    assert plan.returncode == 2, plan.stderr
    found: list[str] = json.loads(plan.stdout)["warnings"]
    return found


@pytest.mark.parametrize(
    ("table", "said"),
    [
        (
            "inline:{ fabrikam.test=smtp:[127.0.0.9] }",
            'send fabrikam.test to smtp:[127.0.0.9], but connector "Fabrikam" (fabrikam.test) wins',
        ),
        (
            "inline:{ vip@fabrikam.test=smtp:[127.0.0.9] }",
            "send vip@fabrikam.test to smtp:[127.0.0.9], which is more precise than",
        ),
        (
            "inline:{ .eu.fabrikam.test=smtp:[127.0.0.9] }",
            "send .eu.fabrikam.test to smtp:[127.0.0.9], which is more precise than",
        ),
        ("static:smtp:[127.0.0.9]", "sends every address to smtp:[127.0.0.9]: no connector gets"),
        ("socketmap:inet:127.0.0.1:1:routes", "socketmap:inet:127.0.0.1:1:routes can't be asked"),
        ("nosuch:/etc/nowhere", "nosuch:/etc/nowhere can't be asked"),
    ],
)
def test_transport_maps(new_host: HostMaker, table: str, said: str) -> None:
    administrator = new_host(
        {"our_tables": table, "transport_maps": "$our_tables"}, policy_service=False
    )
    [found] = [text for text in warnings(administrator) if "[127.0.0.9]" in text or "asked" in text]
    assert said in found


def test_a_table_of_patterns_is_asked_for_whole_addresses(new_host: HostMaker, root: Path) -> None:
    patterns = root / "patterns"
    patterns.write_text("/@adatum\\.test$/ smtp:[127.0.0.9]\n")
    administrator = new_host({"transport_maps": f"regexp:{patterns}"}, policy_service=False)
    [found] = warnings(administrator)
    assert 'wins over connector "Adatum"' in found


def test_policies_of_the_host_for_what_a_connector_demands(new_host: HostMaker) -> None:
    with TlsPolicyServer({"adatum.test": "none", "fabrikam.test": "none"}) as server:
        administrator = new_host(
            {"smtp_tls_policy_maps": f"socketmap:inet:127.0.0.1:{server.port}:postfix"},
            policy_service=False,
        )
        [found] = warnings(administrator)
    assert "say 'none' for adatum.test, but connector \"Adatum\" demands 'encrypt'" in found
    assert set(server.asked) == {"adatum.test"}, "where a connector demands nothing, theirs counts"


def test_a_route_of_the_hosts_own_that_is_not_known_is_not_taken_away(
    new_host: HostMaker,
) -> None:
    administrator = new_host(
        {
            "virtual_mailbox_domains": "shop.fabrikam.test",
            "transport_maps": "socketmap:inet:127.0.0.1:1:routes",
        }
    )
    administrator.write_connectors(CONNECTORS)
    applied = administrator.run("apply")
    assert applied.returncode == os.EX_CONFIG
    assert "can't be asked for shop.fabrikam.test, a domain of the host's own" in applied.stderr


def test_a_host_without_tables_is_asked_nothing(new_host: HostMaker) -> None:
    listener = f"127.0.0.1:{free_port()}"
    administrator = new_host(master_cf=f"{listener} inet n - y - - smtpd\n", policy_service=False)
    assert warnings(administrator) == []


def routes(administrator: Administrator) -> dict[str, str]:
    """The transport table as apply writes it."""
    administrator.publish(CONNECTORS)
    live = administrator.host.config_directory / "postconnector" / "live" / "transport"
    return dict(line.split("\t") for line in live.read_text().splitlines())


def test_one_host_however_its_directory_is_spelled(
    new_host: HostMaker, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Tables of ours are no tables of the host's, whatever path leads to them."""
    administrator = new_host(
        {"transport_maps": "inline:{ b.test=smtp: }", "mydestination": "own.fabrikam.test"}
    )
    before = routes(administrator)
    assert before["own.fabrikam.test"] == ":"
    link = root / "link"
    link.symlink_to(administrator.host.config_directory)
    monkeypatch.chdir(root)
    for spelled in ("link", str(link), f"{administrator.host.config_directory}/../etc"):
        result = run_command(
            ["-c", str(administrator.connectors_file), "--config-directory", spelled, "apply"],
            os.environ,
        )
        assert result.stdout == "nothing to change: Postfix has these connectors\n", result
        assert "transport_maps" not in result.stderr


def test_an_address_among_the_hosts_domains_is_none(new_host: HostMaker, root: Path) -> None:
    """virtual_alias_domains are $virtual_alias_maps by default."""
    aliases = root / "aliases"
    aliases.write_text("vip@sub.fabrikam.test vip@sub.fabrikam.test\nalias.test x\n")
    administrator = new_host(
        {
            "virtual_alias_maps": f"texthash:{aliases}",
            "virtual_alias_domains": "$virtual_alias_maps",
        }
    )
    assert not [key for key in routes(administrator) if "@" in key]


@pytest.mark.parametrize("in_file", [True, False])
def test_a_comment_behind_a_domain_names_none(
    new_host: HostMaker, root: Path, in_file: bool
) -> None:
    """Postfix warns of it, and ends there."""
    listed = "hosted.test # moved here from, fabrikam.test"
    domains = root / "domains"
    domains.write_text(f"# all\n{listed}\nother.test\n")
    administrator = new_host({"virtual_alias_domains": str(domains) if in_file else listed})
    assert routes(administrator)["fabrikam.test"] == "pc-fabrikam:"


def test_a_next_hop_alone_for_all_goes_by_the_hosts_own_transport(new_host: HostMaker) -> None:
    administrator = new_host(
        {
            "transport_maps": "inline:{ {*=:[192.0.2.1]}, {.contoso.test=:[192.0.2.2]} }",
            "mydestination": "contoso.test",
        }
    )
    administrator.publish('[[send_connector]]\nname = "All"\naddress_spaces = ["*"]\n')
    live = administrator.host.config_directory / "postconnector" / "live" / "transport"
    assert dict(line.split("\t") for line in live.read_text().splitlines()) == {
        "*": "smtp:[192.0.2.1]",
        ".contoso.test": "smtp:[192.0.2.2]",
    }


def test_a_file_beside_main_cf_is_found(new_host: HostMaker) -> None:
    administrator = new_host({"smtp_tls_CAfile": "$config_directory/ca.pem"})
    (administrator.host.config_directory / "ca.pem").write_text("")
    administrator.write_connectors(CONNECTORS + 'tls_auth_level = "DomainValidation"\n')
    assert "which is not there" not in administrator.run("plan").stderr
