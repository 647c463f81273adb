"""The visibility of one proxy, built from rules as the gateway builds it from a config entry."""

from typing import Any

from gateways import policy

from ostiary_core.catalogue_names import CatalogueNames
from ostiary_core.contract.documents import CatalogueConfig, PolicyDocument
from ostiary_core.policy.access import AccessEvaluator
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.visibility import Visibility


def visibility_of(
    *policies: PolicyDocument,
    catalogue: dict[str, Any] | None = None,
    default: str = "Allow",
    invalid: bool = False,
    names: CatalogueNames | None = None,
) -> Visibility:
    """What a proxy with these policies shows."""
    access = AccessEvaluator([CompiledPolicy.build(each) for each in policies])
    made = CatalogueConfig.model_validate(catalogue) if catalogue is not None else None
    return Visibility.build(made, access, default=default, invalid=invalid, names=names)


def visibility_by_rules(*rules: dict[str, Any]) -> Visibility:
    """What a proxy with one policy of these rules shows."""
    return visibility_of(policy("p", *rules))
