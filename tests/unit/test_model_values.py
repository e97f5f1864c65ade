"""The smaller grammars: time spans, error policies, X.400 and encapsulated addresses, versions."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from postconnector.model.error_policies import ErrorPolicies
from postconnector.model.exchange_form import exchange_form
from postconnector.model.exchange_version import ExchangeVersion
from postconnector.model.imcea import ForeignAddress, decapsulate, encapsulated
from postconnector.model.send_connector import Usage
from postconnector.model.time_span import TimeSpan
from postconnector.model.versions import default_max_message_size
from postconnector.model.x400 import parse_x400, x400_attributes
from tests.unit.connectors import connector

MB = 1024**2


@pytest.mark.parametrize(
    ("text", "seconds", "shown"),
    [
        ("00:10:00", 600, "00:10:00"),
        ("0:10", 600, "00:10:00"),
        ("00:00:01", 1, "00:00:01"),
        ("1.00:00:00", 86400, "1.00:00:00"),
        ("23:59:59", 86399, "23:59:59"),
        (" 00:01:00 ", 60, "00:01:00"),
        ("00:00:01.5", 1.5, "00:00:01.5000000"),
        ("00:00:00.0000001", 1e-7, "00:00:00.0000001"),
        ("30", 30 * 86400, "30.00:00:00"),
    ],
)
def test_time_spans(text: str, seconds: float, shown: str) -> None:
    span = TimeSpan.parse(text)
    assert (span.seconds, str(span)) == (seconds, shown)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("24:00:00", "one day is written 1.00:00:00"),
        ("25:00", "hours go from 0 to 23"),
        ("00:60:00", "minutes and seconds from 0 to 59"),
        ("00:00:60", "minutes and seconds from 0 to 59"),
        ("", "no time span"),
        ("-00:10:00", "no time span"),
        ("10 minutes", "no time span"),
        ("1:2:3:4", "no time span"),
        ("00:00:01.12345678", "no time span"),
        ("٣:00", "no time span"),
        ("9" * 5000, "no time span"),
    ],
)
def test_what_is_no_time_span(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TimeSpan.parse(text)


@given(st.integers(0, 10**15))
def test_time_spans_are_read_as_they_are_shown(ticks: int) -> None:
    assert TimeSpan.parse(str(TimeSpan(ticks))) == TimeSpan(ticks)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ([], "Default"),
        (["default"], "Default"),
        (["Default, DowngradeDnsFailures"], "DowngradeDnsFailures"),
        (
            ["upgradecustomfailures", "DowngradeDnsFailures"],
            "DowngradeDnsFailures, UpgradeCustomFailures",
        ),
    ],
)
def test_error_policies(names: list[str], shown: str) -> None:
    policies = ErrorPolicies.parse(names)
    assert str(policies) == shown
    assert ErrorPolicies.parse([shown]) == policies


@pytest.mark.parametrize(
    ("text", "attributes"),
    [
        ("c=US;a=Fabrikam", {("c", "us"), ("a", "fabrikam")}),
        (" C = us ; ADMD = ; PRMD=x;OU=y;", {("c", "us"), ("p", "x"), ("ou1", "y")}),
        ("dda:rfc-822=bob(a)x.com;c=de", {("dda:rfc-822", "bob(a)x.com"), ("c", "de")}),
    ],
)
def test_x400(text: str, attributes: set[tuple[str, str]]) -> None:
    assert parse_x400(text) == x400_attributes(text) == attributes


@pytest.mark.parametrize("text", ["", "anything", "c", "x=1", "a= ", "c=US;whatever", "=x"])
def test_what_is_no_x400_address(text: str) -> None:
    with pytest.raises(ValueError, match=r"X\.400"):
        parse_x400(text)


@pytest.mark.parametrize(
    ("local_part", "expected"),
    [
        ("IMCEAFAX-+2B1+20425+20555+200100", ForeignAddress("FAX", "+1 425 555 0100")),
        ("imceax400-c=US+3Ba=+20+3Bp=Contoso", ForeignAddress("X400", "c=US;a= ;p=Contoso")),
        (
            "IMCEAEX-_o=ExchangeLabs_ou=Exchange+20Administrative+20Group+20+28F+29_cn=x",
            ForeignAddress("EX", "/o=ExchangeLabs/ou=Exchange Administrative Group (F)/cn=x"),
        ),
        ("IMCEANOTES-a+2Bb", ForeignAddress("NOTES", "a+b")),
        ("IMCEAX-caf+C3+A9", ForeignAddress("X", "café")),
        ("IMCEAX-caf+E9", ForeignAddress("X", "café")),
        ("IMCEA-x", None),
        ("IMCEAFAX", None),
        ("bob", None),
        ("IMCEAFAX-" + "x" * 306, ForeignAddress("FAX", "x" * 306)),
        ("IMCEAFAX-" + "x" * 307, None),
    ],
)
def test_decapsulation(local_part: str, expected: ForeignAddress | None) -> None:
    assert decapsulate(local_part) == expected


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=30))
def test_what_is_encapsulated_comes_out_again(text: str) -> None:
    local_part = f"IMCEAFAX-{encapsulated(text)}"
    assert local_part.isascii()
    assert not set(local_part) - set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789+-=_"
    )
    if len(local_part) <= 315:
        assert decapsulate(local_part) == ForeignAddress("FAX", text)


@pytest.mark.parametrize(
    ("version", "usage", "limit"),
    [
        ("2010", "Internet", 10 * MB),
        ("2010", "Internal", 10 * MB),
        ("2013", "Internal", 25 * MB),
        ("2016", "Custom", 35 * MB),
        ("2016", "Internal", None),
        ("2019", "Partner", 35 * MB),
        ("SE", "Internal", None),
    ],
)
def test_default_limits(version: str, usage: str, limit: int | None) -> None:
    assert default_max_message_size(ExchangeVersion(version), Usage(usage)).limit == limit


@pytest.mark.parametrize(
    ("version", "has", "lacks"),
    [
        ("2010", "IsCoexistenceConnector LinkedReceiveConnector", "FrontendProxyEnabled"),
        ("2010", "RequireOorg", "TlsCertificateName CloudServicesMailEnabled ConnectorType"),
        ("2013", "TlsCertificateName FrontendProxyEnabled", "ConnectorType LinkedReceiveConnector"),
        ("2016", "ConnectorType CloudServicesMailEnabled", "IsCoexistenceConnector"),
        ("SE", "ConnectorType", "LinkedReceiveConnector"),
    ],
)
def test_what_a_version_shows(version: str, has: str, lacks: str) -> None:
    shown = exchange_form(connector(), ExchangeVersion(version))
    assert set(has.split()) <= set(shown)
    assert not set(lacks.split()) & set(shown)
