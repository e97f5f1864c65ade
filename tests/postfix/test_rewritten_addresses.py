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
        (f"recipient_delimiter = +-\n{BOB}", "bob-list+a@contoso.test", True),
        (BOB.replace("eve@x.test", "bob@contoso.test"), "Bob@contoso.test", False),
        (BOB.replace("inline", "proxy:inline"), "bob@contoso.test", True),
        (f"own = {BOB.partition('=')[2]}\nvirtual_alias_maps = $own", "bob@contoso.test", True),
        ("virtual_alias_maps = inline:{ { b@x.y = b@x.y, c@x.y } }", "b@x.y", True),
        ("virtual_alias_maps = inline:{ @x.y=eve@x.test }", "any@x.y", True),
        ("virtual_alias_maps = inline:{ bob=eve@x.test }", "bob@contoso.test", True),
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
    assert found.remembered([address], in_doubt=True) is None
    assert found.among([address], in_doubt=True) == answer
    assert found.remembered([address], in_doubt=True) == answer
    assert found.remembered([address, "other@contoso.test"], in_doubt=True) is None


@pytest.mark.parametrize(
    ("stands_for", "expected"),
    [("eve@x.test", True), ("eve@x.test joe@x.test", True), ("bob@contoso.test eve@x.test", False)],
)
def test_who_stays_beside_the_others_is_in_doubt(
    tmp_path: Path, stands_for: str, expected: bool
) -> None:
    maps = f"virtual_alias_maps = inline:{{ {{ bob@contoso.test = {stands_for} }} }}"
    found = rewritten(tmp_path, maps)
    assert bool(found.among(["bob@contoso.test"], in_doubt=False)) is expected
    assert found.among(["bob@contoso.test"], in_doubt=True)


def test_many_at_once(tmp_path: Path) -> None:
    found = rewritten(tmp_path, BOB)
    others = [f"other{number}@contoso.test" for number in range(1000)]
    assert found.among([*others, "bob@contoso.test"], in_doubt=True) == {"bob@contoso.test"}
    assert found.remembered(others, in_doubt=True) == frozenset()


def test_of_a_table_that_cant_be_asked_any_address_may_be_an_alias(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """In doubt mail takes the agent path, where nothing is got around."""
    found = rewritten(tmp_path, f"virtual_alias_maps = hash:{tmp_path}/nowhere")
    both = {"a@contoso.test", "b@contoso.test"}
    assert found.among(both, in_doubt=True) == both
    assert found.among(["c@contoso.test"], in_doubt=True) == {"c@contoso.test"}
    assert found.among(both, in_doubt=False) == frozenset()
    assert caplog.text.count("any address may be an alias") == 1


def test_without_a_configuration_nothing_is_said(tmp_path: Path) -> None:
    found = RewrittenAddresses(PostfixHost(tmp_path / "nowhere"))
    for _ in range(2):
        with pytest.raises(PostfixError):
            found.among(["bob@contoso.test"], in_doubt=True)
