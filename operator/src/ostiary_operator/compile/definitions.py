"""Compiles pinning, locks and overrides of definitions."""

from collections.abc import Iterable, Sequence
from typing import Final, get_args

from ostiary_core.contract.definitions import (
    DefinitionsConfig,
    LockConfig,
    OverrideConfig,
    OverridesConfig,
    PinningName,
)
from ostiary_core.contract.documents import PolicyDocument
from ostiary_operator.api.definitions import DefinitionOverride, Overrides, PromptOverride
from ostiary_operator.api.proxy import Catalogue
from ostiary_operator.compile.content_rules import pinning_name

#: Milliseconds that a gateway relies on a definition where the proxy does not say.
_RECHECK: Final = 60_000
_STRENGTH: Final[tuple[PinningName, ...]] = get_args(PinningName)
_NOTHING: Final = DefinitionsConfig()


def floor_of(policies: Iterable[PolicyDocument]) -> PinningName | None:
    """Return the least pinning that the policies of a proxy demand.

    Only those of the platform count. One in Shadow mode blocks nothing, so its floor is Warn.
    """
    return _stricter([each for each in map(_demanded, policies) if each is not None])


def _demanded(policy: PolicyDocument) -> PinningName | None:
    if policy.tier != "platform" or policy.pinning is None:
        return None
    return "Warn" if policy.mode == "Shadow" else policy.pinning


def definitions_config(
    catalogue: Catalogue | None, floor: PinningName | None, locks: Sequence[LockConfig] = ()
) -> DefinitionsConfig | None:
    """Return what gateways read of `spec.catalogue` about definitions.

    ``floor`` is that of the platform's policies, and ``locks`` are those of the proxy.
    """
    if catalogue is None:
        return _compiled(None, floor, _NOTHING, locks)
    own = pinning_name(catalogue.pinning)
    recheck = catalogue.recheck.milliseconds if catalogue.recheck is not None else None
    given = DefinitionsConfig(recheck=recheck, overrides=_overrides(catalogue.overrides))
    return _compiled(own, floor, given, locks)


def with_floor(
    config: DefinitionsConfig | None, floor: PinningName | None, locks: Sequence[LockConfig] = ()
) -> DefinitionsConfig | None:
    """Return the definitions of a kept entry under today's floor and locks.

    What was stricter stays so.
    """
    kept = config if config is not None else _NOTHING
    return _compiled(kept.pinning, floor, kept, locks)


def _compiled(
    own: PinningName | None, floor: PinningName | None, given: DefinitionsConfig, locks: Sequence[LockConfig]
) -> DefinitionsConfig | None:
    pinning = _stricter([each for each in (own, floor) if each is not None])
    recheck = (given.recheck or _RECHECK) if pinning == "Block" else None
    used = list(locks) if locks and pinning is not None else None
    found = DefinitionsConfig(pinning=pinning, recheck=recheck, locks=used, overrides=given.overrides)
    return found if found != _NOTHING else None


def _stricter(found: Sequence[PinningName]) -> PinningName | None:
    return max(found, key=_STRENGTH.index, default=None)


def _overrides(overrides: Overrides | None) -> OverridesConfig | None:
    if overrides is None:
        return None
    return OverridesConfig(
        tools=_listed(overrides.tools), resources=_listed(overrides.resources), prompts=_listed(overrides.prompts)
    )


def _listed(overrides: Sequence[DefinitionOverride] | None) -> list[OverrideConfig] | None:
    return [_override(each) for each in overrides] if overrides is not None else None


def _override(override: DefinitionOverride) -> OverrideConfig:
    annotations = None if isinstance(override, PromptOverride) else override.document().get("annotations")
    return OverrideConfig(
        name=override.name, title=override.title, description=override.description, annotations=annotations
    )
