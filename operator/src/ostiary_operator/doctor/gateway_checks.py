"""The checks of the gateways: Services, settings, the delivered config, and ready replicas."""

from collections.abc import Iterable, Iterator
from typing import Final

from ostiary_core.contract.key_names import secret_name
from ostiary_core.contract.manifest import Manifest
from ostiary_core.contract.parts import config_map_name
from ostiary_operator.api import labels
from ostiary_operator.api.conditions import ConditionType
from ostiary_operator.api.objects import Object, name_of
from ostiary_operator.api.reasons import ProgrammedReason
from ostiary_operator.compile import gateway_settings, gateways
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.model import DiscoveredGateway, GatewayProblem, Resources
from ostiary_operator.delivery import reader, secret
from ostiary_operator.doctor import nodes
from ostiary_operator.doctor.diagnosis import Case, CheckResult, Config, broken, ok, unknown, warning
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import CONFIG_MAP, ENDPOINT_SLICE, SECRET, SERVICE
from ostiary_operator.status import replicas
from ostiary_operator.view import rows
from ostiary_operator.view.cluster_reader import read_manifest
from ostiary_operator.view.rows import SHORT

_INSTALL: Final = "install the gateway (values `gateways` of the chart), or correct spec.gateways"
_UNSERVED: Final = "check that the operator watches this namespace (`watchNamespaces` of the chart), and see its log"
_HEAL: Final = "the operator repairs it by itself; if it does not, see its log"


async def services(case: Case) -> CheckResult:
    """Check that there is a gateway for the MCPProxy."""
    found: list[Object] = []
    places = sorted({case.options.operator_namespace, case.namespace})
    for namespace in places:
        try:
            found += await case.cluster.list(SERVICE, namespace=namespace, selector=labels.GATEWAY)
        except Forbidden:
            named = ", ".join(_named(case)) or "none yet"
            return unknown(f"you may not list the Services of namespace {namespace}; its status names: {named}")
    there = gateways.discover(found, ()).gateways
    elected = gateways.elected(there)
    references = case.proxy.get("spec", {}).get("gateways") or ()
    wanted = [f"{each.get('namespace') or case.options.operator_namespace}/{each['name']}" for each in references]
    missing = [identity for identity in wanted if identity not in elected]
    if missing:
        return broken(f"no Service is gateway {missing[0]}; there are {', '.join(elected) or 'none'}", _INSTALL)
    if not elected:
        where = " or ".join(places)
        what = f"no Service in namespace {where} has the label {labels.GATEWAY}"
        if case.elsewhere:
            detail = f"{what}; its status names {', '.join(_named(case))}"
            return broken(detail, f"run again with --operator-namespace {case.elsewhere}")
        return broken(what, _INSTALL)
    case.gateways = tuple(each for identity, each in elected.items() if not wanted or identity in wanted)
    detail = ", ".join(f"{each.identity} (Service {each.service})" for each in case.gateways)
    rivals = [each for each in there if each not in case.gateways and elected[each.identity] in case.gateways]
    if rivals:
        whose = f"{detail}; Service {rivals[0].namespace}/{rivals[0].service} claims to be {rivals[0].identity} too"
        return warning(f"{whose}: the older one is used", f"give that one another value of the label {labels.GATEWAY}")
    return ok(detail)


def _named(case: Case) -> Iterable[str]:
    return (f"{each.get('namespace')}/{each.get('name')}" for each in case.status.get("gateways") or ())


async def settings(case: Case) -> CheckResult:
    """Check that the settings of each gateway are valid."""
    if not case.gateways:
        return unknown("its gateways are not known")
    problems, superfluous = list[GatewayProblem](), list[str]()
    for namespace in sorted({each.namespace for each in case.gateways}):
        try:
            config_maps = await case.cluster.list(CONFIG_MAP, namespace=namespace, selector=labels.USAGE)
            found = await case.cluster.list(SERVICE, namespace=namespace, selector=labels.GATEWAY)
        except Forbidden:
            return unknown(f"you may not list the ConfigMaps of namespace {namespace}, where the settings are")
        there = gateways.discover(found, config_maps)
        elected = tuple(gateways.elected(there.gateways).values())
        resources = Resources(case.options.operator_namespace, gateways=elected)
        judged = gateway_settings.resolve_sites(resources, previous={}, cache=Cache())[1]
        problems += [each for each in judged if any(each.gateway == ours.identity for ours in case.gateways)]
        superfluous += _superfluous(case, there)
    if problems:
        # The last good settings are known only to the operator: without them the compiler says "it serves nothing".
        message = problems[0].message.removesuffix("; it serves nothing until then")
        return broken(
            f"{problems[0].gateway}: {message}; the last good settings stay in force, if there are any",
            "correct `settings` in the chart's values, or the ConfigMap; see docs/reference/gateway-settings.md",
        )
    if superfluous:
        what = f"valid; ConfigMap {superfluous[0]} has settings of a gateway that has an older ConfigMap with settings"
        return warning(f"{what}: it is ignored", "delete it, or remove its labels")
    return ok("valid")


def _superfluous(case: Case, there: gateways.Discovery) -> Iterator[str]:
    """Yield the ConfigMaps with settings of a gateway that has older ones."""
    ours = {gateway.identity for gateway in case.gateways}
    for each in there.ignored:
        if each.kind == CONFIG_MAP.name and f"{each.namespace}/{each.gateway}" in ours:
            yield f"{each.namespace}/{each.name}"


async def config(case: Case) -> CheckResult:
    """Check that the config of each gateway has this MCPProxy, and verify its MAC."""
    details, unread = [], ""
    written = rows.condition(case.proxy, ConditionType.PROGRAMMED)
    if written.reason == ProgrammedReason.WRITE_FAILED:
        return broken(written.message, written.remedy)
    for gateway in case.gateways:
        try:
            found, problem = await _config(case, gateway)
        except Forbidden:
            unread = f"you may not read the config of gateway {gateway.identity}"
            continue
        if problem:
            return broken(f"gateway {gateway.identity}: {problem}", _HEAL)
        if found is not None:
            case.configs[gateway.identity] = found
            digest = digest_of(found.manifest, case.identity)
            if digest is None and case.name:
                return broken(f"it is not in the config of gateway {gateway.identity}", _UNSERVED)
            details.append(_detail(gateway, found, digest))
    if unread or not details:
        return unknown(unread or "its gateways are not known", "a viewer of the gateway's namespace may read it")
    return ok("; ".join(details))


def _detail(gateway: DiscoveredGateway, found: Config, digest: str | None) -> str:
    what = f"digest {digest[:SHORT]}" if digest is not None else f"{len(found.manifest.entries)} MCPProxies"
    sealed = "" if found.keys is not None else ", MAC not checked: you may not read its Secret"
    return f"{gateway.identity} revision {found.manifest.revision}, {what}{sealed}"


async def _config(case: Case, gateway: DiscoveredGateway) -> tuple[Config | None, str]:
    """Return the delivered config of a gateway, or what is wrong with it."""
    found = await case.cluster.list(CONFIG_MAP, namespace=gateway.namespace, selector=f"{labels.CONFIG}={gateway.name}")
    numbered = reader.numbered(gateway.name, {name_of(each): each for each in found})
    if 0 not in numbered:
        return None, f"there is no ConfigMap {config_map_name(gateway.name, 0)} with its config"
    keys = await _keys(case, gateway)
    if keys is None:
        manifest, problem = await read_manifest(case.cluster, gateway.identity)
        return (Config(manifest), "") if manifest is not None else (None, problem)
    if not keys.mac:
        return None, f"its Secret {secret_name(gateway.name)} does not exist, or has no keys"
    delivered = reader.read(reader.all_files(numbered), keys.mac_keys(), gateway=gateway.identity)
    if delivered.manifest is None or delivered.problem:
        return None, f"{delivered.problem or 'it has no manifest'}; replicas keep their last good config"
    return Config(delivered.manifest, keys), ""


async def _keys(case: Case, gateway: DiscoveredGateway) -> secret.Keys | None:
    """Return the keys of a gateway; None where they may not be read."""
    try:
        found = await case.cluster.get(SECRET, namespace=gateway.namespace, name=secret_name(gateway.name))
    except Forbidden:
        return None
    except NotFound:
        return secret.Keys()
    return secret.parse_secret(found)


def digest_of(manifest: Manifest, proxy: str) -> str | None:
    """Return the digest of a proxy's entry."""
    return next((entry.digest for entry in manifest.entries if entry.proxy == proxy), None)


async def endpoints(case: Case) -> CheckResult:
    """Check that each gateway has a ready replica."""
    for gateway in case.gateways:
        given = case.options.gateway_replicas.get(gateway.identity)
        try:
            found = replicas.from_urls(given) if given else await _from_slices(case, gateway)
        except Forbidden:
            return unknown(f"you may not list the EndpointSlices of namespace {gateway.namespace}")
        if not found:
            return await _without_replicas(case, gateway)
        case.replicas[gateway.identity] = found
    counts = (f"{identity}: {len(found)}" for identity, found in case.replicas.items())
    return ok("ready replicas of " + "; ".join(counts)) if case.replicas else unknown("its gateways are not known")


async def _without_replicas(case: Case, gateway: DiscoveredGateway) -> CheckResult:
    usual = (
        "check why its Pods are not ready\n"
        f" kubectl -n {gateway.namespace} describe pods -l {labels.GATEWAY}={gateway.name}\n"
        f" kubectl -n {gateway.namespace} get endpointslices -l {labels.SERVICE_NAME}={gateway.service}"
    )
    remedy = await nodes.remedy(case, usual, arguments=f"--gateway-replicas {gateway.identity}=URL,URL")
    reported = {f"{each['namespace']}/{each['name']}": each["ready"] for each in case.status.get("gateways") or ()}
    if reported.get(gateway.identity):
        what = f"no EndpointSlice has a ready replica of {gateway.identity}, but the operator reports some"
        return warning(what, remedy)
    return broken(f"gateway {gateway.identity} has no ready replica", remedy)


async def _from_slices(case: Case, gateway: DiscoveredGateway) -> tuple[replicas.Replica, ...]:
    selector = f"{labels.SERVICE_NAME}={gateway.service}"
    return replicas.from_slices(await case.cluster.list(ENDPOINT_SLICE, namespace=gateway.namespace, selector=selector))
