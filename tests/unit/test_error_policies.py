"""ErrorPolicies as a connector says them: a list, one string with commas, in any case and order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from postconnector.model.error_policies import ErrorPolicies, ErrorPolicy
from postconnector.model.exchange_form import exchange_form
from tests.unit.connectors import connector

NAMES = ["Default", *ErrorPolicy]


def shown(value: object) -> object:
    return exchange_form(connector(error_policies=value))["ErrorPolicies"]


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ([], "Default"),
        ("Default", "Default"),
        ("DEFAULT, default", "Default"),
        (["Default", "DowngradeDnsFailures"], "DowngradeDnsFailures"),
        (
            "upgradecustomfailures,DowngradeDnsFailures",
            "DowngradeDnsFailures, UpgradeCustomFailures",
        ),
        (["DowngradeAuthFailures", " Default "], "DowngradeAuthFailures"),
        (["DowngradeDnsFailures"] * 3, "DowngradeDnsFailures"),
        (ErrorPolicies(), "Default"),
    ],
)
def test_accepted(value: object, expected: str) -> None:
    assert shown(value) == expected


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("", "not one of Default, DowngradeDnsFailures"),
        ([""], "not one of Default, DowngradeDnsFailures"),
        ("Default,", "not one of"),
        ("None", "not one of"),
        ("DowngradeDnsFailures UpgradeCustomFailures", "not one of"),
        (["DowngradeDnsFailures;Default"], "not one of"),
        (0, "not a list of strings"),
        (True, "not a list of strings"),
        ({"Default": True}, "not a list of strings"),
        ([0], "not a string"),
        ([["Default"]], "not a string"),
        ("Default\n", "unprintable character U+000A"),
    ],
)
def test_refused(value: object, message: str) -> None:
    with pytest.raises(ValidationError) as refused:
        connector(error_policies=value)
    [problem] = refused.value.errors()
    assert message in problem["msg"]


@given(st.lists(st.sampled_from(NAMES), max_size=8), st.booleans())
def test_order_case_and_repetition_do_not_count(names: list[str], in_one: bool) -> None:
    written = [name.swapcase() for name in names]
    value = shown(", ".join(written) if in_one and written else written)
    assert value == (", ".join(name for name in ErrorPolicy if name in names) or "Default")
    assert shown(value) == value
