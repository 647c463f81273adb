"""Reads an MCPProxy with the policies in force from the config of its gateway.

The manifest's MAC is not checked, since users may not read its key; ``ostiary doctor`` checks it if they may. Each
document is compared with its digest.
"""

from typing import Final, NoReturn

from pydantic import ValidationError

from ostiary_core.contract.bundle import OpenedBundle, open_parts
from ostiary_core.contract.documents import EntryDocument, PolicyDocument
from ostiary_core.contract.parts import config_map_name
from ostiary_core.errors import ContractError
from ostiary_operator.delivery import reader
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import CONFIG_MAP, PROXY
from ostiary_operator.kube.read_only_client import ReadOnlyClient
from ostiary_operator.local.governed_proxy import GovernedProxy, UnknownProxy
from ostiary_operator.view.cluster_reader import read_manifest, serving_gateways

_FILES_INSTEAD: Final = "ask for the right to get ConfigMaps there, or name YAML files instead"


async def read(cluster: ReadOnlyClient, *, namespace: str, name: str) -> GovernedProxy:
    """Return an MCPProxy as the first gateway of its status serves it.

    Raises:
        ClusterError: the API server cannot be read.
        UnknownProxy: there is no such proxy, no gateway serves it, or its config cannot be read.
    """
    identity = f"{namespace}/{name}"
    try:
        proxy = await cluster.get(PROXY, namespace=namespace, name=name)
    except NotFound:
        raise UnknownProxy(f"there is no MCPProxy {identity}: correct the name or -n") from None
    gateways = serving_gateways(proxy)
    if not gateways:
        _fail(identity, "no gateway serves it; `ostiary status` says why")
    manifest, problem = await read_manifest(cluster, gateways[0])
    if manifest is None:
        _fail(identity, problem or f"gateway {gateways[0]} has no config yet")
    try:
        return governed(open_parts(manifest, await read_parts(cluster, gateways[0], len(manifest.parts))), identity)
    except Forbidden:
        _fail(identity, f"you may not read the config of gateway {gateways[0]}; {_FILES_INSTEAD}")
    except ContractError as error:
        _fail(identity, f"the config of gateway {gateways[0]} cannot be read: {error}")


def _fail(identity: str, problem: str) -> NoReturn:
    raise UnknownProxy(f"MCPProxy {identity}: {problem}")


async def read_parts(cluster: ReadOnlyClient, gateway: str, parts: int) -> dict[str, bytes]:
    """Return the files of a config; parts that are missing fail when they are opened."""
    namespace, _, name = gateway.partition("/")
    found: dict[str, bytes] = {}
    for number in range(parts + 1):
        try:
            found |= reader.files_of(
                await cluster.get(CONFIG_MAP, namespace=namespace, name=config_map_name(name, number))
            )
        except NotFound:
            continue
    return found


def governed(config: OpenedBundle, identity: str) -> GovernedProxy:
    """Return an MCPProxy (``namespace/name``) of a gateway's config, with its policies.

    Raises:
        UnknownProxy: it is not in the config, or not in a form that this version can read.
    """
    manifest = config.manifest
    digest = next((each.digest for each in manifest.entries if each.proxy == identity), None)
    if digest is None:
        _fail(identity, f"it is not in the config of gateway {manifest.gateway.identity}")
    try:
        entry = EntryDocument.model_validate_json(config.take(digest))
        policies = tuple(PolicyDocument.model_validate_json(config.take(key)) for key in entry.policies)
    except (ContractError, ValidationError) as error:
        _fail(identity, f"the config of gateway {manifest.gateway.identity} cannot be read: {error}")
    return GovernedProxy(entry, policies)
