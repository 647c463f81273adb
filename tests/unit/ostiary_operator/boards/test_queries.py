"""What callers and clusters choose is data in a query, never a part of it."""

import pytest
import re2
from hypothesis import given
from hypothesis import strategies as st

from ostiary_operator.boards.queries import EVERYTHING, BoardSelection, escaped, filled, quoted, selected


def test_a_query_reads_the_selected_proxies() -> None:
    selection = BoardSelection(proxies=("sales/crm", "it/a.b"), matchers={"cluster": "eu"})
    assert selected("sum(x{$proxies}[$range])", selection, seconds=3600, step_seconds=60) == (
        r'sum(x{cluster="eu",ostiary_proxy=~"sales/crm|it/a\\.b"}[3600s])'
    )


def test_without_a_selection_it_reads_everything_also_requests_without_a_proxy() -> None:
    assert EVERYTHING.of_gateways() == 'job=~".*"'
    assert EVERYTHING.of_proxies() == 'job=~".*",ostiary_proxy=~".+"'


def test_a_selection_of_no_proxy_is_an_error_and_not_everything() -> None:
    with pytest.raises(ValueError, match="at least one proxy"):
        BoardSelection(proxies=())


@pytest.mark.parametrize("name", ["", "a-b", "a b", 'x="1",y', "__näme"])
def test_only_names_of_labels_can_be_matched(name: str) -> None:
    with pytest.raises(ValueError, match="no name of a label"):
        BoardSelection(matchers={name: "x"})


@pytest.mark.parametrize(("seconds", "step"), [(0, 60), (60, 0), (-5, 60)])
def test_a_duration_is_positive(seconds: int, step: int) -> None:
    with pytest.raises(ValueError, match="at least one second"):
        selected("x[$range]", EVERYTHING, seconds=seconds, step_seconds=step)


def test_an_unknown_placeholder_is_named() -> None:
    with pytest.raises(ValueError, match=r"\$rnage is no placeholder"):
        filled("x[$rnage]", proxies="", gateways="", range_="", step="")


@given(st.text())
def test_an_expression_matches_its_text_and_nothing_else(text: str) -> None:
    text = text.encode(errors="ignore").decode().replace("\0", "")
    assert re2.compile(escaped(text)).fullmatch(text)
    assert not re2.compile(escaped(text)).fullmatch(text + "x")


@given(st.text())
def test_a_literal_ends_where_it_ends(text: str) -> None:
    inner = quoted(text)[1:-1]
    assert "\n" not in inner
    assert not inner.replace("\\\\", "").replace('\\"', "").count('"')
