"""What an entry says of pinning, locks and overrides."""

from typing import Any

import pytest

from ostiary_core.contract.definitions import DefinitionsConfig, LockConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_operator.api.proxy import Catalogue
from ostiary_operator.compile.definitions import definitions_config, floor_of, with_floor


def _locks(*names: str) -> list[LockConfig]:
    return [LockConfig(name=name, uid=name, generation=1, server="calc") for name in names]


def _policy(pinning: str, *, tier: str = "platform", mode: str | None = None) -> PolicyDocument:
    fields: dict[str, Any] = {"namespace": "n", "name": "p", "uid": "u", "generation": 1, "tier": tier}
    return PolicyDocument.model_validate({**fields, "pinning": pinning, **({"mode": mode} if mode is not None else {})})


@pytest.mark.parametrize(
    ("own", "floor", "pinning"),
    [
        (None, None, None),
        ("Off", None, None),
        ("Off", "Warn", "Warn"),
        ("Warn", "Block", "Block"),
        ("Block", "Warn", "Block"),
        (None, "Block", "Block"),
    ],
)
def test_the_stricter_pinning_counts(own: str | None, floor: Any, pinning: str | None) -> None:
    catalogue = Catalogue.model_validate({"pinning": own}) if own is not None else None
    found = definitions_config(catalogue, floor, _locks("a"))
    assert (found.pinning if found is not None else None) == pinning
    assert found is None or [lock.name for lock in found.locks or ()] == ["a"]


def test_only_block_needs_a_recheck_and_it_has_a_default() -> None:
    block = definitions_config(Catalogue.model_validate({"pinning": "Block"}), None, ())
    warn = definitions_config(Catalogue.model_validate({"pinning": "Warn", "recheck": "5s"}), None, ())
    assert (block and block.recheck, warn and warn.recheck) == (60_000, None)


def test_a_policy_in_shadow_mode_demands_a_warning_at_most_and_one_of_an_owner_nothing() -> None:
    assert floor_of([_policy("Block", mode="Shadow")]) == "Warn"
    assert floor_of([_policy("Warn"), _policy("Block")]) == "Block"
    assert floor_of([_policy("Block", tier="owner")]) is None


def test_an_entry_that_is_kept_stays_as_strict_as_it_was_under_the_locks_of_today() -> None:
    before = DefinitionsConfig(pinning="Block", recheck=5_000, locks=_locks("old"))
    found = with_floor(before, "Warn", _locks("new"))
    assert found == DefinitionsConfig(pinning="Block", recheck=5_000, locks=_locks("new"))
    assert with_floor(None, None, []) is None
