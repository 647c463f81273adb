import pytest

from ostiary_core.contract.mac import sign, verify
from ostiary_core.contract.manifest import EntryReference, GatewayIdentity, Mac, Manifest, parse_manifest
from ostiary_core.errors import ContractError

KEY = b"k" * 32
MANIFEST = Manifest(
    gateway=GatewayIdentity(namespace="sys", name="gw"),
    revision=5,
    settings="s",
    parts=["p"],
    entries=[EntryReference(proxy="ns/a", uid="u", digest="d")],
)


def test_what_was_signed_is_verified_also_after_travelling() -> None:
    travelled = parse_manifest(sign(MANIFEST, key_name="mac-1", key=KEY).canonical())

    verify(travelled, {"mac-1": KEY, "mac-0": b"older"})


@pytest.mark.parametrize(
    "change",
    [
        {"revision": 6},
        {"settings": "t"},
        {"parts": []},
        {"entries": []},
        {"gateway": GatewayIdentity(namespace="sys", name="other")},
    ],
)
def test_any_change_of_content_breaks_the_mac(change: dict[str, object]) -> None:
    altered = sign(MANIFEST, key_name="mac-1", key=KEY).model_copy(update=change)

    with pytest.raises(ContractError, match="does not fit"):
        verify(altered, {"mac-1": KEY})


def test_a_manifest_without_a_mac_is_refused() -> None:
    with pytest.raises(ContractError, match="carries no MAC"):
        verify(MANIFEST, {"mac-1": KEY})


def test_a_mac_of_an_unknown_key_is_refused() -> None:
    with pytest.raises(ContractError, match="mac-9"):
        verify(sign(MANIFEST, key_name="mac-9", key=KEY), {"mac-1": KEY})


def test_a_key_of_the_secret_that_is_for_something_else_signs_nothing() -> None:
    with pytest.raises(ContractError, match="does not hold"):
        verify(sign(MANIFEST, key_name="session-1", key=KEY), {"session-1": KEY})


@pytest.mark.parametrize("value", ["", "0" * 64, "\u00e9" * 64, "\x00"])
def test_a_made_up_value_is_refused_whatever_its_characters(value: str) -> None:
    with pytest.raises(ContractError, match="does not fit"):
        verify(MANIFEST.model_copy(update={"mac": Mac(key="mac-1", value=value)}), {"mac-1": KEY})
