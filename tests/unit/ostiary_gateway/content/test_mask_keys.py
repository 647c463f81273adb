"""Hashes and tokens in place of values."""

import pytest
from compiled_masks import mask

from ostiary_core.content.detection.automaton import joined
from ostiary_core.content.detection.kinds import DETECTORS
from ostiary_core.content.masks.tokens import LONGEST_TOKEN, LONGEST_VALUE, Restoration
from ostiary_gateway.content.mask_keys import BoundKeys, ContentKeys

KEYS = {0: b"a" * 32, 1000: b"b" * 32, 5000: b"c" * 32}
CARD = "4111 1111 1111 1111"


def bound(
    *, proxy: str = "uid-1", principal: str = "agent", now: float = 2000, keys: dict[int, bytes] = KEYS
) -> BoundKeys:
    """The keys of a principal at a proxy."""
    found = ContentKeys(lambda: keys, clock=lambda: now).bound_to(proxy_uid=proxy, principal=principal)
    assert found is not None
    return found


def test_a_token_opens_for_its_principal_at_its_proxy_under_its_mask() -> None:
    token = bound().token(CARD, "team/privacy/cards")
    assert bound().opened(token, "team/privacy/cards") == CARD


@pytest.mark.parametrize(
    "other", [{"proxy": "uid-2"}, {"principal": "other"}, {"proxy": "uid-1agent", "principal": ""}]
)
def test_a_token_opens_for_nothing_else(other: dict[str, str]) -> None:
    token = bound().token(CARD, "mask")
    assert bound(**other).opened(token, "mask") is None  # type: ignore[arg-type]
    assert bound().opened(token, "other mask") is None


def test_the_same_value_has_the_same_token_and_hash() -> None:
    assert bound().token(CARD, "m") == bound().token(CARD, "m") != bound().token(CARD + "x", "m")
    assert bound().hash(CARD, "m") == bound(principal="other").hash(CARD, "m")
    assert bound().hash(CARD, "m") != bound(proxy="other").hash(CARD, "m")
    assert bound().hash(CARD, "m") != bound().hash(CARD, "n")


def test_the_newest_active_key_makes_tokens_and_older_ones_still_open_theirs() -> None:
    old = bound(now=500).token(CARD, "m")
    assert old != bound(now=2000).token(CARD, "m")
    assert bound(now=2000).opened(old, "m") == CARD
    assert bound(now=2000, keys={1000: KEYS[1000]}).opened(old, "m") is None


def test_without_an_active_key_there_are_no_keys() -> None:
    assert ContentKeys(lambda: {5000: KEYS[5000]}, clock=lambda: 10).bound_to(proxy_uid="u", principal="p") is None
    assert ContentKeys().bound_to(proxy_uid="u", principal="p") is None


def test_a_changed_token_does_not_open() -> None:
    token = bound().token(CARD, "m")
    for changed in (token.upper(), token[:-1], token + "a", "tk1" + "a" * 60):
        assert bound().opened(changed, "m") is None


@pytest.mark.parametrize("text", ["tk1", "", "tk1!", "tk1" + "a" * 100_000, "tk1aaaaaaaa"])
def test_what_is_no_token_does_not_open(text: str) -> None:
    assert bound().opened(text, "m") is None


def test_no_kind_of_value_is_found_in_hashes_and_tokens() -> None:
    automaton = joined(DETECTORS.values())
    for count in range(300):
        for made in (bound().token(f"value {count}", "m"), bound().hash(f"value {count}", "m")):
            assert automaton.find(f"token: {made} phone {made}".encode()) == []


def test_the_longest_value_has_a_token_that_opens() -> None:
    value = "\U0001f511" * LONGEST_VALUE
    token = bound().token(value, "m")
    assert len(token) <= LONGEST_TOKEN
    assert bound().opened(token, "m") == value


def test_keys_are_not_printed() -> None:
    assert "bbbb" not in repr(bound())


def test_a_token_becomes_the_value_in_tools_that_may_have_it() -> None:
    rule = mask({"kind": "CardNumber"}, action="Tokenise", restore_in={"names": ["pay"]})
    token = bound().token(CARD, "team/privacy/mask")
    arguments = {"card": token, "note": f"charge {token} twice", "other": ["x", 1]}
    restoration = Restoration([rule], "pay", bound())
    assert restoration.restored(arguments) == {"card": CARD, "note": f"charge {CARD} twice", "other": ["x", 1]}
    assert [(finding.detector, finding.action, finding.count) for finding in restoration.findings] == [
        ("Token", "Restore", 2)
    ]
    assert arguments["card"] == token, "the caller's own arguments are not changed"


def test_a_token_stays_in_other_tools_and_of_other_principals() -> None:
    rule = mask({"kind": "CardNumber"}, action="Tokenise", restore_in={"names": ["pay"]})
    arguments = {"card": bound().token(CARD, "team/privacy/mask")}
    assert Restoration([rule], "mail", bound()).restored(arguments) is arguments
    assert Restoration([rule], "pay", bound(principal="other")).restored(arguments) is arguments
    assert Restoration([rule], "pay", None).restored(arguments) is arguments
