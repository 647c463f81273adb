import pytest

from ostiary_core.content.guards.other_tools import OtherTools
from ostiary_core.content.places import PlaceKind, ReadablePlace
from ostiary_core.exposed_names import Owned

CATALOGUE = [
    ("mail_send_email", Owned(0, "send_email")),
    ("mail_search", Owned(0, "search")),
    ("calc_add", Owned(1, "add")),
    ("calc_getRate", Owned(1, "getRate")),
]


def mentioned(text: str, server: int, kind: PlaceKind = PlaceKind.PROSE) -> list[str]:
    place = ReadablePlace({}, "description", kind, text, ("result", "tools", 0))
    return [text[part.start : part.end] for part in OtherTools(CATALOGUE).mentioned(place, Owned(server, "x"))]


@pytest.mark.parametrize("name", ["send_email", "mail_send_email", "mail_search"])
def test_a_name_of_another_server_is_found_by_both_of_its_names(name: str) -> None:
    assert mentioned(f"Call {name} first.", 1) == [name]
    assert mentioned(f"Call {name} first.", 0) == []


def test_a_name_in_camel_case_is_found() -> None:
    assert mentioned("Use getRate.", 0) == ["getRate"]


def test_a_name_that_is_one_plain_word_is_none() -> None:
    assert mentioned("You can search and add things.", 1) == []


def test_only_language_is_looked_at() -> None:
    assert mentioned("send_email", 1, PlaceKind.NAME) == []
    assert mentioned("send_email", 1, PlaceKind.VALUE) == []


def test_the_place_is_that_of_the_original_text() -> None:
    assert mentioned("\u200bs\u0435nd_email", 1) == ["s\u0435nd_email"]
