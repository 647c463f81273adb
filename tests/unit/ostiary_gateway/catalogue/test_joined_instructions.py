"""Each server's instructions stand under its name, and none is too long."""

import pytest

from ostiary_gateway.catalogue.joined_instructions import LONGEST, ServerInstructions, join

CRM = ServerInstructions("crm", "crm_", "Use get_users.\n")


def test_instructions_stand_under_the_name_and_prefix_of_their_server() -> None:
    found = join([CRM, ServerInstructions("web", "", "Search first.")])
    assert found == ("# crm (its tools and prompts have the prefix crm_)\nUse get_users.\n\n# web\nSearch first.")


@pytest.mark.parametrize("text", [None, "", "  \n", 5, ["x"]])
def test_a_server_without_instructions_is_not_named(text: object) -> None:
    assert join([CRM._replace(text=text)]) is None
    assert join([CRM._replace(text=text), CRM]) == join([CRM])


@pytest.mark.parametrize("letter", ["x", "é", "漢", "😀"])
def test_long_instructions_are_cut_at_a_character(letter: str) -> None:
    found = join([CRM._replace(text=letter * 5000)])
    assert found is not None
    heading, _, text = found.partition("\n")
    assert heading.startswith("# crm")
    assert len(text.encode()) <= LONGEST
    assert text.endswith(f"{letter}\n[…]")


def test_half_a_surrogate_pair_does_not_end_a_handshake() -> None:
    assert join([CRM._replace(text="a\ud800b")]) == join([CRM._replace(text="a?b")])
