import pytest

from ostiary_core.content.guards.folding import fold
from ostiary_core.content.guards.signatures import (
    Signature,
    ascii_bytes,
    built_in,
    check_signature,
    compile_built_in,
    compile_signature,
    expression_of,
)
from ostiary_core.errors import PatternError

SIGNATURES = built_in().signatures


@pytest.mark.parametrize("signature", SIGNATURES, ids=lambda each: each.name)
def test_a_signature_finds_its_example_and_not_its_counter_example(signature: Signature) -> None:
    pattern = compile_built_in([signature])
    assert pattern.search(ascii_bytes(fold(signature.example)))
    assert not pattern.search(ascii_bytes(fold(signature.counter_example)))
    assert signature.reason.endswith(".")


def test_no_signature_finds_the_counter_example_of_another_one_at_the_same_sensitivity() -> None:
    found = [
        (signature.name, other.name)
        for signature in SIGNATURES
        for other in SIGNATURES
        if compile_built_in([signature]).search(ascii_bytes(fold(other.counter_example)))
    ]
    assert found == []


def test_names_are_unique_and_the_file_has_a_version() -> None:
    assert len({each.name for each in SIGNATURES}) == len(SIGNATURES)
    assert built_in().version


def test_a_space_in_a_pattern_is_any_light_gap() -> None:
    pattern = compile_signature("obey me")
    assert all(pattern.search(text) for text in ("obey me", "OBEY\n\n  me", "obey **me**", "obey_me"))
    assert not pattern.search("obeyme")
    assert expression_of("[ a]\\ b") == "(?i:[ a]\\ b)"


def test_letters_of_an_owners_pattern_are_folded_as_the_text_is() -> None:
    assert compile_signature("précédent").search(fold("PRÉCÉDENT"))
    assert compile_signature("忽略").search(fold("请忽略"))


@pytest.mark.parametrize(
    ("pattern", "example", "counter", "words"),
    [
        ("(", "x", "y", "is not a valid RE2 expression"),
        ("abc", "xyz", "y", "does not find its own example"),
        ("a", "a", "banana", "finds its own counterExample"),
        ("obey", "\u043ebey", "hello", ""),
    ],
)
def test_a_signature_of_an_owner_is_checked(pattern: str, example: str, counter: str, words: str) -> None:
    problem = check_signature(pattern, example=example, counter_example=counter)
    assert (words in problem) if words else problem == ""


def test_a_signature_that_needs_too_much_memory_is_refused() -> None:
    with pytest.raises(PatternError, match="RE2"):
        compile_signature("(?:[^ ]{1,200}x){1,5}" * 9)
