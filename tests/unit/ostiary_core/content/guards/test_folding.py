import pytest

from ostiary_core.content.guards.folding import fold, folded_places, skeleton


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("plain ASCII stays", "plain ASCII stays"),
        ("\u0406gn\u043er\u0435", "Ignore"),  # Cyrillic
        ("\uff49\uff47\uff4e\uff4f\uff52\uff45", "ignore"),  # full width
        ("\U0001d5f6\U0001d5f4\U0001d5fb\U0001d5fc\U0001d5ff\U0001d5f2", "ignore"),  # mathematical
        ("précédentes", "precedentes"),
        ("ig\u200bno\u2060re", "ignore"),
        ("".join(chr(0xE0000 + ord(each)) for each in "obey"), "obey"),
        ("i\u0336g\u0336n\u0336", "ign"),
        ("\u201cx\u201d \u2014 y", '"x" - y'),
        ("日本語", "日本語"),
    ],
)
def test_a_text_is_folded_to_what_a_reader_takes_it_for(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_each_folded_character_has_its_place_in_the_original() -> None:
    text = "a\u200b\ufb01\u0435"  # nothing for the space of no width, two letters for the ligature
    assert fold(text) == "afie"
    assert list(folded_places(text)) == [0, 2, 2, 3, 4]


def test_a_text_may_be_folded_in_pieces() -> None:
    text = "Ігнор\u0301 é\u0301ﬁ 日本"
    assert "".join(map(fold, text)) == fold(text)


@pytest.mark.parametrize(
    ("one", "other"),
    [("add", "\u0430dd"), ("list_files", "Iist_fi1es"), ("format", "forrnat"), ("read-note", "read_note"), ("O", "0")],
)
def test_names_that_look_the_same_have_one_skeleton(one: str, other: str) -> None:
    assert skeleton(one) == skeleton(other)


@pytest.mark.parametrize(("one", "other"), [("add", "sub"), ("get_user", "get_users"), ("дом", "том")])
def test_names_that_look_different_have_two(one: str, other: str) -> None:
    assert skeleton(one) != skeleton(other)
