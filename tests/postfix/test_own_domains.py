"""Postfix' own domains: asked for together, each is what it is by itself."""

from pathlib import Path

import pytest

from postconnector.postfix.host import PostfixHost
from postconnector.postfix.own_domains import OwnDomains
from tests.postfix.conftest import HostMaker

DOMAINS = [
    *("local.test", "sub.local.test", "hosted.test", "not.hosted.test", "alias.test"),
    *("relayed.test", "sub.relayed.test", "a.b.relayed.test", "dotted.test", "x.dotted.test"),
    *("listed.test", "x.listed.test", "other.test", "größe.test", "[192.0.2.1]"),
]


@pytest.mark.parametrize("parents", ["relay_domains", "debug_peer_list"])
def test_asked_for_together(new_host: HostMaker, root: Path, parents: str) -> None:
    tables = {
        "hosted": "hosted.test x\nnot.hosted.test x\n",
        "relayed": "relayed.test x\n.dotted.test x\n",
        "aliases": "alias.test x\nall@alias.test a@other.test\ngröße.test x\n",
    }
    for name, text in tables.items():
        (root / name).write_text(text)
    (root / "file").write_text("listed.test\n")
    administrator = new_host(
        {
            "mydestination": "local.test",
            "virtual_mailbox_domains": f"!not.hosted.test, texthash:{root}/hosted",
            "virtual_alias_domains": f"texthash:{root}/aliases",
            "relay_domains": f"texthash:{root}/relayed, {root}/file",
            "parent_domain_matches_subdomains": parents,
        },
        policy_service=False,
    )
    host = PostfixHost.at(str(administrator.host.config_directory))
    together, alone = OwnDomains(host), OwnDomains(host)
    together.find_out(DOMAINS)
    for relayed_too in (False, True):
        found = {each: together.remembered(each, relayed_too=relayed_too) for each in DOMAINS}
        assert found == {each: alone.holds(each, relayed_too=relayed_too) for each in DOMAINS}
    kept = {each for each in DOMAINS if together.remembered(each)}
    assert kept == {"local.test", "hosted.test", "alias.test", "größe.test"}
    relayed = {each for each in DOMAINS if together.remembered(each, relayed_too=True)} - kept
    below = parents == "relay_domains"
    assert relayed == {
        *("relayed.test", "listed.test"),
        *(
            ("sub.relayed.test", "a.b.relayed.test", "x.listed.test")
            if below
            else ["x.dotted.test"]
        ),
    }
