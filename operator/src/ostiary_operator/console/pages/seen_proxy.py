"""The MCPProxy of a page, for the viewers who may see it."""

import re
from typing import Final

from ostiary_operator.api.labels import is_dns_label
from ostiary_operator.api.objects import ReadOnlyObject
from ostiary_operator.console.access.rights import Right
from ostiary_operator.console.errors import PageNotFound
from ostiary_operator.console.page import PageContext
from ostiary_operator.local.governed_proxy import GovernedProxy, UnknownProxy

_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


async def seen_proxy(context: PageContext, identity: str) -> ReadOnlyObject:
    """Return an MCPProxy (``namespace/name``).

    Raises:
        PageNotFound: there is none, or the viewer may not see it; which of both is not said.
    """
    namespace, _, name = identity.partition("/")
    missing = PageNotFound(f"there is no MCPProxy {identity}, or you may not see it")
    if not is_dns_label(namespace) or _NAME.fullmatch(name) is None:
        raise missing
    if not await context.rights.may(Right.PROXY, namespace=namespace, name=name):
        raise missing
    found = await context.sources.objects.proxy(identity)
    if found is None:
        raise missing
    return found


def identity_in_path(context: PageContext) -> str:
    """Return ``namespace/name`` from the path of a page."""
    return f"{context.parameters['namespace']}/{context.parameters['name']}"


async def delivered(context: PageContext, identity: str) -> GovernedProxy | str:
    """Return a proxy with its policies as a gateway got them, or why there is none."""
    try:
        return await context.sources.objects.governed(identity)
    except UnknownProxy as error:
        return str(error)


async def readable_policies(context: PageContext, proxy: GovernedProxy) -> frozenset[str]:
    """Return those policies of a proxy (``namespace/name``) whose text the viewer may read.

    The others are named where they decide, and nothing of their text is shown.
    """
    return await context.rights.visible(Right.POLICY, [policy.identity for policy in proxy.policies])
