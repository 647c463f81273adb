"""Guards for tests: of one policy, for every caller and name."""

import json
from types import SimpleNamespace
from typing import Any, Literal

from ostiary_core.content.guards.compiled_guard import CompiledGuard
from ostiary_core.content.guards.guard_set import Guarded, GuardSet
from ostiary_core.content.rule_scope import RuleScope
from ostiary_core.contract.content import Direction
from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.guards import GuardConfig
from ostiary_core.steps import run_steps

BOUNDARY = "b0bb1e"


def guard_config(**members: Any) -> GuardConfig:
    """The document of a guard that detects in every direction, at medium sensitivity, and annotates."""
    document = {
        "name": "guard",
        "directions": [each.value for each in Direction],
        "sensitivity": "Medium",
        "action": "Annotate",
        **members,
    }
    return GuardConfig.model_validate_json(json.dumps(document))


def guard(*detect: str, is_shadow: bool = False, **members: Any) -> CompiledGuard:
    """A compiled guard that detects something."""
    config = guard_config(**({"detect": list(detect)} if detect else {}), **members)
    return CompiledGuard.build(config, RuleScope("crm/policy", config.name, is_shadow=is_shadow))


def guard_set(*guards: CompiledGuard) -> GuardSet:
    """The set of some guards."""
    rules: Any = SimpleNamespace(guards=guards)
    return GuardSet(rules)


def guarded(message: dict[str, Any], *guards: CompiledGuard, direction: Direction = Direction.RESULTS) -> Guarded:
    """Guard a message in place."""
    return run_steps(guard_set(*guards).guarding(message, direction, boundary=lambda: BOUNDARY))


def guard_policy(*guards: dict[str, Any], mode: Literal["Shadow"] | None = None) -> PolicyDocument:
    """A policy document with guards: each of these members over those of a guard that annotates everything."""
    return PolicyDocument(
        namespace="default",
        name="guards",
        uid="uid-guards",
        generation=1,
        tier="owner",
        mode=mode,
        guards=[guard_config(**each) for each in guards],
    )
