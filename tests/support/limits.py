"""Limits of policies, compiled as the gateway compiles them."""

from typing import Any

from ostiary_core.contract.documents import PolicyDocument
from ostiary_core.contract.limits import LimitConfig
from ostiary_core.limits.charge import Charge
from ostiary_core.limits.compiled_limit import CompiledLimit

#: A moment for counters, in epoch seconds: Monday 2026-11-30, 12:00 UTC.
NOW = 1_796_040_000.0
DAY_MS = 86_400_000


def limit_config(name: str = "l", **members: Any) -> dict[str, Any]:
    """A limit as a policy document holds it: 3 requests a day of each principal, unless ``members`` say otherwise."""
    given = {"per": ["Principal"], "onStoreFailure": "Local", "whenExhausted": "Show", **members}
    if not given.keys() & {"requests", "budget", "concurrency", "requestBytes", "responseBytes"}:
        given |= {"requests": 3}
    if given.keys() & {"requests", "budget"} and not given.keys() & {"window", "period"}:
        given |= {"window": DAY_MS}
    return {"name": name, **given}


def compiled_limit(name: str = "l", *, policy: str = "p", shadow: bool = False, **members: Any) -> CompiledLimit:
    """The compiled limit of a policy in the namespace ``ns``."""
    config = LimitConfig.model_validate(limit_config(name, **members), strict=False)
    document = PolicyDocument.model_validate(
        {"namespace": "ns", "name": policy, "uid": f"uid-{policy}", "generation": 1, "tier": "owner"}
        | ({"mode": "Shadow"} if shadow else {}),
        strict=False,
    )
    return CompiledLimit.build(config, document)


def charge(limit: CompiledLimit, who: str = "a", units: int = 1) -> Charge:
    """A charge of one caller."""
    return Charge(limit, f"{limit.uid}/{limit.name}/{who}", units)


def limiting(*limits: dict[str, Any], name: str = "limits", **members: Any) -> PolicyDocument:
    """A policy with these limits (:func:`limit_config`), as the compiler would write it."""
    configs = [LimitConfig.model_validate(each, strict=False) for each in limits]
    given = {"tier": "owner", "generation": 1, **members}
    return PolicyDocument(namespace="default", name=name, uid=f"uid-{name}", limits=configs, **given)
