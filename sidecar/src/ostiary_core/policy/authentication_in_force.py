"""Which policies of a proxy authenticate its callers.

If a platform policy sets authentication, only the methods of platform policies count: an owner can then neither add a
key nor admit anonymous callers. Otherwise a caller may use any method of any owner policy. A policy in shadow mode
never counts, since it changes nothing.
"""

from collections.abc import Mapping

from ostiary_core.contract.authentication import AuthenticationConfig
from ostiary_core.policy.compiled_policy import CompiledPolicy


def in_force(policies: Mapping[str, CompiledPolicy]) -> dict[str, AuthenticationConfig]:
    """Return the authentication that applies, by the keys of ``policies``; empty for none."""
    found = {key: policy for key, policy in policies.items() if policy.authentication is not None}
    tier = "platform" if any(policy.tier == "platform" for policy in found.values()) else "owner"
    return {
        key: policy.authentication
        for key, policy in sorted(found.items())
        if policy.tier == tier and policy.authentication is not None
    }
