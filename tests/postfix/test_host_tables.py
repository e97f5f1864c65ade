"""What the host's own tables say against connectors: plan names it, and says which wins."""

import json
import os
from pathlib import Path

import pytest

from tests.lab.administrator import Administrator
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
