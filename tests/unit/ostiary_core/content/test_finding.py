"""Findings: what a rule about content found, without the value."""

from dataclasses import replace

from ostiary_core.content.finding import ContentFinding, Direction, summed

CARDS = ContentFinding("sales/pii", "cards", "CardNumber", "Mask", Direction.RESULTS, 2)


def test_findings_of_several_messages_are_one_with_all_their_places() -> None:
    once = summed(None, [CARDS, replace(CARDS, count=1)])
    assert summed(once, [CARDS]) == {replace(CARDS, count=1): 5}
    assert once == {replace(CARDS, count=1): 3}


def test_what_is_found_in_shadow_mode_stays_apart() -> None:
    shadow = replace(CARDS, is_shadow=True)
    assert list(summed({}, [CARDS, shadow]).values()) == [2, 2]
    assert (CARDS.mode, shadow.mode) == ("Enforce", "Shadow")


def test_an_origin_names_the_rule_where_there_is_one() -> None:
    assert CARDS.origin == "sales/pii/cards"
    assert replace(CARDS, rule="").origin == "sales/pii"
