"""Whether an address may become another: asked of the installed postconf(1) and postmap(1)."""

from pathlib import Path

import pytest

from postconnector.postfix.host import PostfixError, PostfixHost, write_text
from postconnector.postfix.rewritten_addresses import RewrittenAddresses


def rewritten(folder: Path, main_cf: str) -> RewrittenAddresses:
    main = f"compatibility_level = 3.6\nmyhostname = mail.contoso.test\n{main_cf}\n"
    write_text(folder / "main.cf", main)
    (folder / "master.cf").write_text("")
    return RewrittenAddresses(PostfixHost(folder))


BOB = "virtual_alias_maps = inline:{ bob@contoso.test=eve@x.test }"
PATTERN = "virtual_alias_maps = pcre:{ {/^bob@old/ eve@new.test} }"


@pytest.mark.parametrize(
    ("main_cf", "address", "expected"),
    [
        ("", "bob@contoso.test", False),
        (BOB, "bob@contoso.test", True),
        (BOB, "Bob@Contoso.test", True),
        (BOB, "eve@contoso.test", False),
        (BOB, "bob+a@contoso.test", False),
        (BOB, "a\nbob@contoso.test", True),
        (BOB, "b@tight", True),
        ("", "bob", True),
        (BOB, "tight.test!b", True),
        (BOB, "b%tight.test", True),
        (BOB, "@relay.test:b@tight.test", True),
        (BOB, '"a b"@contoso.test', True),
        (BOB, "a b@contoso.test", True),
        (f"content_filter = smtp:[127.0.0.1]:10024\n{BOB}", "bob@contoso.test", False),
        (f"receive_override_options = no_address_mappings\n{BOB}", "bob@contoso.test", False),
        (f"recipient_delimiter = +-\n{BOB}", "bob-list+a@contoso.test", True),
        (BOB.replace("eve@x.test", "bob@contoso.test"), "Bob@contoso.test", False),
        (BOB.replace("inline", "proxy:inline"), "bob@contoso.test", True),
        (f"own = {BOB.partition('=')[2]}\nvirtual_alias_maps = $own", "bob@contoso.test", True),
        ("virtual_alias_maps = inline:{ { b@x.y = b@x.y, c@x.y } }", "b@x.y", True),
        ("virtual_alias_maps = inline:{ @x.y=eve@x.test }", "any@x.y", True),
        ("virtual_alias_maps = inline:{ bob=eve@x.test }", "bob@contoso.test", True),
        ("virtual_alias_maps = inline:{ bob=eve@x.test }", "bob", True),
        ("virtual_alias_maps = inline:{ a=b }, inline:{ bob@x.y=e@x.y }", "bob@x.y", True),
        (PATTERN, "bob@old.test", True),
        (PATTERN, "bob@new.test", False),
        ("canonical_maps = inline:{ bob@x.y=eve@x.y }", "bob@x.y", True),
        ("recipient_canonical_maps = inline:{ bob@x.y=eve@x.y }", "bob@x.y", True),
        ("sender_canonical_maps = inline:{ bob@x.y=eve@x.y }", "bob@x.y", False),
    ],
)
def test_addresses(tmp_path: Path, main_cf: str, address: str, expected: bool) -> None:
    found = rewritten(tmp_path, main_cf)
    answer = frozenset({address} if expected else ())
    assert found.remembered([address]) is None
    assert found.among([address]) == answer
    assert found.remembered([address]) == answer
    assert found.remembered([address, "other@contoso.test"]) is None


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("content_filter=smtp:[127.0.0.1]:10024", False),
        ("receive_override_options=no_milters,no_address_mappings", False),
        ("content_filter=", True),
    ],
)
def test_a_listener_with_a_content_filter(tmp_path: Path, setting: str, expected: bool) -> None:
    found = rewritten(tmp_path, BOB)
    (tmp_path / "master.cf").write_text(
        f"smtp inet n - n - - smtpd\n  -o {setting}\n"
        "pc-agent-return unix n - n - - smtpd\n  -o receive_override_options=no_address_mappings\n"
    )
    assert bool(found.among(["bob@contoso.test"])) is expected


def test_many_at_once(tmp_path: Path) -> None:
    found = rewritten(tmp_path, BOB)
    others = [f"other{number}@contoso.test" for number in range(1000)]
    assert found.among([*others, "bob@contoso.test"]) == {"bob@contoso.test"}
    assert found.remembered(others) == frozenset()


def test_of_a_table_that_cant_be_asked_any_address_may_be_an_alias(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Mail takes the agent path then, where nothing is got around."""
    found = rewritten(tmp_path, f"virtual_alias_maps = hash:{tmp_path}/nowhere")
    assert found.among(["a@contoso.test", "b@contoso.test"]) == {"a@contoso.test", "b@contoso.test"}
    assert found.among(["c@contoso.test"]) == {"c@contoso.test"}
    assert caplog.text.count("any address may be an alias") == 1


def test_without_a_configuration_nothing_is_said(tmp_path: Path) -> None:
    found = RewrittenAddresses(PostfixHost(tmp_path / "nowhere"))
    for _ in range(2):
        with pytest.raises(PostfixError):
            found.among(["bob@contoso.test"])
