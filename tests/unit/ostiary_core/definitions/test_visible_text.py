"""Hidden characters become visible, and ordinary text stays as it is."""

import pytest

from ostiary_core.definitions.visible_text import is_visible, visible, visible_name


@pytest.mark.parametrize(
    "hidden",
    ["\u200b", "\u200d", "\u202e", "\U000e0041", "\ufe0f", "\u3164", "\xa0", "\x1b", "\xad"],
)
def test_a_character_that_cannot_be_seen_is_shown_as_its_code_point(hidden: str) -> None:
    assert not is_visible(f"a{hidden}b")
    assert visible(f"a{hidden}b") == f"a<U+{ord(hidden):04X}>b"


@pytest.mark.parametrize("text", ["plain", "Größe", "日本語", "سلام", "emoji 😀", "line\nbreak"])
def test_ordinary_text_stays(text: str) -> None:
    assert visible(text) == text


def test_a_letter_of_another_alphabet_is_visible_in_a_name() -> None:
    assert visible_name("\u0430dd") == "<U+0430>dd"
    assert visible_name("add-2") == "add-2"
