"""Rules that may be for one message are found, whatever way names are written."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.contract.access import SelectionConfig
from ostiary_core.contract.content import SelectedContentConfig
from ostiary_core.policy.name_matcher import NameMatcher
from ostiary_operator.compile.name_overlap import SelectedMessages


def tools(*names: str, patterns: list[str] | None = None, **more: Any) -> SelectedMessages:
    selection = SelectionConfig(names=list(names) or None, patterns=patterns)
    return SelectedMessages(SelectedContentConfig(tools=selection, **more))


EVERYTHING = SelectedMessages(SelectedContentConfig())
MERGED = (("crm", "crm_"), ("erp", "erp_"))


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        (tools("get"), tools("get"), True),
        (tools("get"), tools("put"), False),
        (tools("get_*"), tools("get_user"), True),
        (tools("get_*"), tools("*_user"), True),
        (tools("get_*"), tools("put_*"), False),
        (tools("*_a"), tools("*_b"), False),
        (tools("a*z"), tools("ab*yz"), True),
        (tools(patterns=["get_.*"]), tools("get_user"), True),
        (tools(patterns=["get_.*"]), tools("put_user"), False),
        (tools(patterns=["get_.*"]), tools(patterns=["put_.*"]), True),  # expressions are not compared
        (tools("get"), EVERYTHING, True),
        (tools("get"), SelectedMessages(SelectedContentConfig(prompts=SelectionConfig())), False),
        (tools("get", servers=["crm"]), tools("get", servers=["erp"]), False),
    ],
)
def test_names_of_one_server_are_compared(first: SelectedMessages, second: SelectedMessages, is_one: bool) -> None:
    assert first.may_overlap(second, None) is is_one
    assert second.may_overlap(first, None) is is_one


@pytest.mark.parametrize(
    ("first", "second", "is_one"),
    [
        (tools("get"), tools("crm_get"), True),
        (tools("get"), tools("hr_get"), False),
        (tools("g*"), tools("erp_get*"), True),
        (tools("crm_*"), tools("erp_*"), True),  # a server may have a tool named erp_x, exposed as crm_erp_x
        (tools("crm_get"), tools("erp_get"), False),
        (tools("get", servers=["crm"]), tools("get", servers=["crm", "erp"]), True),
        (tools("get", servers=["crm"]), tools("get", servers=["erp"]), False),
    ],
)
def test_a_name_of_merged_servers_is_read_with_its_prefix_and_without(
    first: SelectedMessages, second: SelectedMessages, is_one: bool
) -> None:
    assert first.may_overlap(second, MERGED) is is_one
    assert second.may_overlap(first, MERGED) is is_one


def test_two_spellings_of_one_uri_overlap() -> None:
    first, second = (
        SelectedMessages(SelectedContentConfig(resources=SelectionConfig(names=[name])))
        for name in ("http://a/%62", "http://a/b")
    )
    assert first.may_overlap(second, None)


_GLOBS = st.text("ab*", min_size=1, max_size=5)


@given(first=_GLOBS, second=_GLOBS, name=st.text("ab", max_size=8))
def test_a_name_that_both_select_is_never_missed(first: str, second: str, name: str) -> None:
    if all(NameMatcher.build([each], None).matches(name) for each in (first, second)):
        assert tools(first).may_overlap(tools(second), None)
