"""Guards for tests: of one policy, for every caller and name."""

import json
from types import SimpleNamespace
from typing import Any

from ostiary_core.content.guards.compiled_guard import CompiledGuard
from ostiary_core.content.guards.guard_set import Guarded, GuardSet
from ostiary_core.content.rule_scope import RuleScope
from ostiary_core.contract.content import Direction
from ostiary_core.contract.guards import GuardConfig
from ostiary_core.steps import run_steps

BOUNDARY = "b0bb1e"


def guard(*detect: str, is_shadow: bool = False, **members: Any) -> CompiledGuard:
    """A guard that detects something in results, at medium sensitivity, and annotates it."""
    document = {
        "name": "guard",
        "directions": [each.value for each in Direction],
        "sensitivity": "Medium",
        "action": "Annotate",
        **({"detect": list(detect)} if detect else {}),
        **members,
    }
    config = GuardConfig.model_validate_json(json.dumps(document))
    return CompiledGuard.build(config, RuleScope("crm/policy", config.name, is_shadow=is_shadow))


def guard_set(*guards: CompiledGuard) -> GuardSet:
    """The set of some guards."""
    rules: Any = SimpleNamespace(guards=guards)
    return GuardSet(rules)


def guarded(message: dict[str, Any], *guards: CompiledGuard, direction: Direction = Direction.RESULTS) -> Guarded:
    """Guard a message in place."""
    return run_steps(guard_set(*guards).guarding(message, direction, boundary=lambda: BOUNDARY))
