"""What a viewer may see of what exists: rivals for a path, gateways, policies."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from ostiary_operator.api.objects import ReadOnlyObject, identity_of
from ostiary_operator.console.access.rights import Right
from ostiary_operator.console.page import PageContext
from ostiary_operator.local.proxy_drafts.draft_verdict import Surroundings
from ostiary_operator.view.cluster_reader import serving_gateways

#: Policies that are judged with a draft: more than a namespace has, and few enough to judge at once.
_MOST_POLICIES: Final = 500


async def surroundings(context: PageContext, namespace: str) -> Surroundings:
    """Return what exists and the viewer may see: nothing else may change what the wizard says.

    Policies are those of the draft's namespace and of the platform: no others govern it.

    Raises:
        SourceUnavailable: the resources cannot be read.
        ClusterError: the rights cannot be judged.
    """
    objects = context.sources.objects
    proxies = await _visible(context, Right.PROXY, await objects.proxies())
    near = sorted({namespace, context.sources.operator_namespace})
    governing = [each for found in near for each in await objects.policies(found)]
    policies = await _visible(context, Right.POLICY, governing)
    known = await objects.gateways()
    return Surroundings(
        context.sources.operator_namespace,
        proxies=tuple(proxies),
        policies=tuple(policies[:_MOST_POLICIES]),
        gateways=tuple(_gateways(known, proxies, context.sources.operator_namespace)),
    )


async def _visible(context: PageContext, right: Right, objects: Sequence[ReadOnlyObject]) -> list[ReadOnlyObject]:
    identities = {identity_of(each): each for each in objects}
    visible = await context.rights.visible(right, list(identities))
    return [each for identity, each in identities.items() if identity in visible]


def _gateways(known: Mapping[str, object], proxies: Sequence[Mapping[str, Any]], platform: str) -> list[str]:
    """Return the shared gateways, and those that serve an MCPProxy of the viewer."""
    shared = {identity for identity in known if identity.startswith(f"{platform}/")}
    return sorted(shared | {identity for each in proxies for identity in serving_gateways(each)})
