"""Text of tenants, servers and agents: what a reader sees is what is there."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ostiary_operator.console.hostile_text import (
    USUAL_LENGTH,
    ShownText,
    finalized,
    lines,
    one_line,
    web_link,
)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("get_users", "get_users"),
        ("Übersicht 日本", "Übersicht 日本"),
        ("\x1b[31mred", "\\u{1b}[31mred"),
        ("user\u202etxt.exe", "user\\u{202e}txt.exe"),
        ("pay\u200bpal", "pay\\u{200b}pal"),
        ("two\nlines", "two\\u{a}lines"),
        ("half\ud800", "half\\u{d800}"),
    ],
)
def test_what_the_eye_cannot_see_is_shown_as_an_escape(text: str, shown: str) -> None:
    assert one_line(text) == shown


def test_a_long_text_is_cut_and_says_so() -> None:
    shown = one_line("x" * 1_000_000)

    assert shown == f"{'x' * USUAL_LENGTH}…"


def test_a_text_of_several_lines_keeps_them() -> None:
    assert lines("a:\r\n\t- b\x07\n") == "a:\n\t- b\\u{7}\n"


@given(st.text(max_size=400))
def test_nothing_unseen_is_left_of_any_text(text: str) -> None:
    shown = one_line(text)

    assert all(unicodedata.category(char) not in {"Cc", "Cf", "Cs", "Zl", "Zp"} for char in shown)
    shown.encode()  # a page can be sent


def test_a_text_is_judged_once() -> None:
    shown = lines("a\nb")

    assert finalized(shown) is shown
    assert isinstance(finalized("a\nb"), ShownText)
    assert finalized(None) == ""
    assert finalized(7) == 7


@pytest.mark.parametrize("text", ["https://git.example/a/b?c=d#e", "http://localhost:8080/x"])
def test_a_web_address_is_a_link(text: str) -> None:
    assert web_link(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        "\x01javascript:alert(1)",
        "data:text/html,<script>",
        "//evil.example",
        "/relative",
        "https://",
        "https://user:secret@git.example/",
        "https://git.example/\u202e",
        'https://git.example/"onclick="x',
        "https://git.example:99999999/",
        "https://[half",
        f"https://git.example/{'a' * 3000}",
    ],
)
def test_everything_else_is_only_text(text: str) -> None:
    assert web_link(text) is None
