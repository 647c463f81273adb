"""The checks of a policy whose fields are valid: does it govern something, and may it?"""

from typing import Final

from ostiary_core.contract.documents import Tier
from ostiary_operator.api.reasons import AcceptedReason
from ostiary_operator.compile.model import ResourceRejection
from ostiary_operator.compile.resource_parser import ParsedPolicy, PolicyContent
from ostiary_operator.compile.targets import Targeting, Targets
from ostiary_operator.compile.token_issuers import authentication_is_usable


def names_a_target(
    subject: ParsedPolicy, content: PolicyContent, _tier: Tier, _targets: Targets
) -> ResourceRejection | None:
    """A policy without any target is a mistake."""
    if not Targeting.of_content(content).is_empty:
        return None
    remedy = "set one of them; targetSelector: {} selects every MCPProxy that the policy reaches"
    message = f"{subject.title}: spec: has neither targetRefs nor targetSelector, so it governs nothing; {remedy}"
    return ResourceRejection(AcceptedReason.NO_TARGET, message)


def selects_only_where_it_may(
    subject: ParsedPolicy, content: PolicyContent, tier: Tier, _targets: Targets
) -> ResourceRejection | None:
    """Only the platform tier reaches other namespaces."""
    if tier == "platform" or content.target_selector is None or content.target_selector.namespace_selector is None:
        return None
    message = (
        f"{subject.title}: spec.targetSelector.namespaceSelector: only policies in the operator's namespace may select "
        "namespaces; remove it, or ask the platform team to place the policy"
    )
    return ResourceRejection(AcceptedReason.SELECTOR_NOT_PERMITTED, message)


def pins_only_where_it_may(
    subject: ParsedPolicy, content: PolicyContent, tier: Tier, _targets: Targets
) -> ResourceRejection | None:
    """Only the platform sets a floor; an owner writes what it wants into its MCPProxy."""
    if tier == "platform" or content.content.pinning is None:
        return None
    message = (
        f"{subject.title}: spec.pinning: only policies in the operator's namespace may demand a pinning; remove it, "
        "and set catalogue.pinning of the MCPProxy"
    )
    return ResourceRejection(AcceptedReason.PINNING_NOT_PERMITTED, message)


def finds_a_target(
    subject: ParsedPolicy, content: PolicyContent, _tier: Tier, targets: Targets
) -> ResourceRejection | None:
    """At least one named target must exist; a selector may match proxies created later."""
    if targets.found or not targets.missing:
        return None
    index = next(i for i, name in enumerate(content.target_names) if name in targets.missing)
    names = ", ".join(f"{subject.key.namespace}/{name}" for name in targets.missing)
    correct = f"did you mean {targets.nearest}? Correct" if targets.nearest else "correct"
    message = (
        f"{subject.title}: spec.targetRefs[{index}]: there is no MCPProxy {names}; "
        f"{correct} the name, or create the MCPProxy in the policy's namespace"
    )
    return ResourceRejection(AcceptedReason.TARGET_NOT_FOUND, message)


CHECKS: Final = (
    names_a_target,
    selects_only_where_it_may,
    pins_only_where_it_may,
    finds_a_target,
    authentication_is_usable,
)
"""Each returns why a policy is not accepted; the first reason counts."""
