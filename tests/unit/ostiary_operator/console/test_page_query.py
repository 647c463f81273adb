"""Parameters of pages: bounded, typed, and refused with a message that names them."""

import enum
from collections.abc import Callable

import pytest

from ostiary_operator.console.errors import BadQuery
from ostiary_operator.console.page_query import PageQuery


class Colour(enum.StrEnum):
    RED = "red"
    BLUE = "blue"


def test_a_parameter_that_is_absent_has_its_default() -> None:
    query = PageQuery({})

    assert (query.text("q"), query.page, query.proxy, query.namespace) == ("", 1, "", "")
    assert query.choice("colour", Colour, Colour.RED) is Colour.RED


def test_a_parameter_is_read_by_its_type() -> None:
    query = PageQuery({"q": " pay ", "page": "3", "proxy": "default/tickets", "namespace": "crm", "colour": "blue"})

    assert (query.text("q"), query.page, query.proxy, query.namespace) == ("pay", 3, "default/tickets", "crm")
    assert query.choice("colour", Colour, Colour.RED) is Colour.BLUE


@pytest.mark.parametrize(
    ("values", "read", "message"),
    [
        ({"q": "x" * 3000}, lambda query: query.text("q"), "q has more than 2048 characters"),
        ({"page": "0"}, lambda query: query.page, "page must be a number from 1"),
        ({"page": "²"}, lambda query: query.page, "page must be a number from 1"),
        ({"page": "-1"}, lambda query: query.page, "page must be a number from 1"),
        ({"proxy": "tickets"}, lambda query: query.proxy, "proxy must be NAMESPACE/NAME"),
        ({"proxy": "a/b/c"}, lambda query: query.proxy, "proxy must be NAMESPACE/NAME"),
        ({"namespace": "../x"}, lambda query: query.namespace, "namespace must be the name"),
        ({"colour": "green"}, lambda query: query.choice("colour", Colour, Colour.RED), "one of red, blue"),
    ],
)
def test_a_parameter_that_is_not_valid_is_named(
    values: dict[str, str], read: Callable[[PageQuery], object], message: str
) -> None:
    with pytest.raises(BadQuery, match=message):
        read(PageQuery(values))


def test_links_keep_the_other_parameters() -> None:
    assert PageQuery({"q": "pay", "page": "2", "proxy": ""}).without("page") == {"q": "pay"}
