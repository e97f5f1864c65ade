"""ConnectionInactivityTimeOut: which of .NET's time spans are in its range (V18), how it is shown.

The grammar itself is tested in test_model_values.
"""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from postconnector.model.exchange_form import exchange_form
from postconnector.model.time_span import TimeSpan
from tests.unit.connectors import connector


def shown(text: object) -> object:
    return exchange_form(connector(connection_inactivity_time_out=text))[
        "ConnectionInactivityTimeOut"
    ]


def refusal(text: object) -> str:
    with pytest.raises(ValidationError) as refused:
        connector(connection_inactivity_time_out=text)
    [problem] = refused.value.errors()
    return str(problem["msg"])


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("00:00:01", "00:00:01"),
        ("00:00:01.0000000", "00:00:01"),
        ("00:00:01.1", "00:00:01.1000000"),
        ("00:30", "00:30:00"),
        ("23:59:59.9999999", "23:59:59.9999999"),
        ("1", "1.00:00:00"),
        ("1.00:00", "1.00:00:00"),
        ("01.00:00:00", "1.00:00:00"),
        ("0.00:10:00", "00:10:00"),
        (" 0:1:2 ", "00:01:02"),
    ],
)
def test_in_range(text: str, expected: str) -> None:
    assert shown(text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("00:00:00", "outside 00:00:01 to 1.00:00:00"),
        ("00:00:00.9999999", "outside 00:00:01 to 1.00:00:00"),
        ("1.00:00:00.0000001", "outside 00:00:01 to 1.00:00:00"),
        ("1.00:00:01", "outside 00:00:01 to 1.00:00:00"),
        ("0", "a bare number is days"),
        ("2", "a bare number is days"),
        ("600", "a bare number is days"),
        ("99999999", "a bare number is days"),
        ("24:00:00", "one day is written 1.00:00:00"),
        ("24:00", "one day is written 1.00:00:00"),
        ("0.24:00:00", "hours go from 0 to 23"),
        ("-00:10:00", "no time span"),
        ("1.5", "no time span"),
        ("1:00:00:00", "no time span"),
        ("00:10:00.", "no time span"),
        ("PT10M", "no time span"),
        ("²:00", "no time span"),
        (600, "not a string"),
        (timedelta(minutes=10), "not a string"),
    ],
)
def test_refused(text: object, message: str) -> None:
    assert message in refusal(text)


@given(st.timedeltas(timedelta(seconds=1), timedelta(days=1)))
def test_as_dotnet_writes_them(span: timedelta) -> None:
    """TimeSpan's constant format c: [d.]hh:mm:ss[.fffffff]."""
    hours, rest = divmod(span.seconds, 3600)
    text = f"{hours:02}:{rest // 60:02}:{rest % 60:02}"
    text += f".{span.microseconds:06}0" if span.microseconds else ""
    text = f"{span.days}.{text}" if span.days else text
    assert shown(text) == text
    assert TimeSpan.parse(text).seconds == span.total_seconds()
