"""The links that every MCPProxy shares: the API server, the definitions, the operator."""

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final

import aiohttp

from ostiary_core.version import __version__
from ostiary_operator.api.crd import crds
from ostiary_operator.doctor.model import Case, Finding, broken, ok, unknown, warning
from ostiary_operator.kube.client import Object
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import DEFINITION, DEPLOYMENT, GROUP, OURS, PROXY
from ostiary_operator.local.console import printable

_OPERATORS: Final = "app.kubernetes.io/part-of=ostiary,app.kubernetes.io/component=operator"
_INSTALL: Final = "install the chart\n helm install ostiary helm/ostiary --namespace ostiary-system --create-namespace"
_UPGRADE: Final = "apply the definitions of this version\n ostiary crds | kubectl apply --server-side -f -"
_SHOWN: Final = 3
_PAUSE: Final = 0.25
_TIMEOUT: Final = aiohttp.ClientTimeout(total=5)


async def api_server(case: Case) -> Finding:
    """Does it answer, and know us? Who is not known is told so by the cluster error itself."""
    version = await case.cluster.document("/version")
    return ok(f"Kubernetes {printable(str(version.get('gitVersion', 'of an unknown version')))}")


async def definitions(case: Case) -> Finding:
    """Are our kinds there, and of this version?"""
    try:
        served = await case.cluster.document(f"/apis/{GROUP}/{PROXY.version}")
    except NotFound:
        return broken(f"the API server does not know {GROUP}/{PROXY.version}", _INSTALL)
    plurals = {each.get("name") for each in served.get("resources") or ()}
    missing = [kind.name for kind in OURS if kind.plural not in plurals]
    if missing:
        return broken(f"the API server does not know {' and '.join(missing)}", _UPGRADE)
    try:
        return _compared([await case.cluster.get(DEFINITION, name=kind.resource) for kind in OURS])
    except Forbidden:
        return ok("both kinds are served; you may not read their schemas, so their version is not known")


def _compared(found: list[Object]) -> Finding:
    ours = {each["metadata"]["name"]: each for each in crds()}
    lacking = [
        f"{definition['spec']['names']['kind']}.{path}"
        for definition in found
        for path in _lacking(_schema(ours[definition["metadata"]["name"]]), _schema(definition), "")
    ]
    if lacking:
        more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        fields = ", ".join(lacking[:_SHOWN]) + more
        return broken(f"they are of another version and lack {fields}: the API server drops such fields", _UPGRADE)
    if any(_schema(each) != _schema(ours[each["metadata"]["name"]]) for each in found):
        return warning(f"they are not those of this command ({__version__})", "use one version everywhere")
    return ok(f"as in version {__version__}")


def _schema(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    versions = definition["spec"]["versions"]
    chosen: Mapping[str, Any] = next((each for each in versions if each["name"] == PROXY.version), versions[0])
    schema: Mapping[str, Any] = chosen.get("schema", {}).get("openAPIV3Schema", {})
    return schema


def _lacking(wanted: Mapping[str, Any], found: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield the fields that are in one schema and not in the other, each by its path."""
    properties = found.get("properties") or {}
    for name, schema in (wanted.get("properties") or {}).items():
        below = f"{path}.{name}".lstrip(".")
        if name not in properties:
            yield below
        else:
            yield from _lacking(schema, properties[name], below)
    if isinstance(wanted.get("items"), Mapping):
        yield from _lacking(wanted["items"], found.get("items") or {}, f"{path}[]")


async def operator(case: Case) -> Finding:
    """Is it there and ready, and has it judged this resource?"""
    if case.options.operator_url is not None:
        refused = await _asked(case.options.operator_url)
        if refused is not None:
            return refused
    judged = not case.name or await _judged(case)
    try:
        deployments = await case.cluster.list(
            DEPLOYMENT, namespace=case.options.operator_namespace, selector=_OPERATORS
        )
    except Forbidden:
        if judged:
            return ok("it has judged this generation; you may not look at its Deployment")
        return broken(_unjudged(case), "ask the platform team whether the operator runs and watches this namespace")
    return _of_deployments(case, deployments, judged=judged)


async def _asked(url: str) -> Finding | None:
    """Return what is wrong with the operator, by its own word."""
    try:
        async with aiohttp.ClientSession(timeout=_TIMEOUT) as session, session.get(f"{url}/readyz") as answer:
            if answer.status == 200:
                return None
            words = printable((await answer.text())[:200].strip())
            return broken(f"it is not ready: {words}", "see its log: it says what it waits for")
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        return broken(
            f"nothing answers at {url}: {type(error).__name__}", "start the operator, or correct --operator-url"
        )


async def _judged(case: Case) -> bool:
    """Wait a little for the status to speak of the newest generation."""
    end = asyncio.get_running_loop().time() + case.options.patience
    while case.status.get("observedGeneration") != case.proxy["metadata"]["generation"]:
        if asyncio.get_running_loop().time() >= end:
            return False
        await asyncio.sleep(_PAUSE)
        case.proxy = await case.cluster.get(PROXY, namespace=case.namespace, name=case.name)
    return True


def _of_deployments(case: Case, deployments: list[Object], *, judged: bool) -> Finding:
    namespace = case.options.operator_namespace
    available = sum(int((each.get("status") or {}).get("availableReplicas") or 0) for each in deployments)
    logs = f"see whether it watches this namespace, and what it logs\n kubectl -n {namespace} logs -l {_OPERATORS}"
    pods = f"see why\n kubectl -n {namespace} describe pods -l {_OPERATORS}"
    if judged and available:
        return ok(f"ready in namespace {namespace}, and it has judged this generation" if case.name else "ready")
    if judged and (case.name or case.options.operator_url):
        if case.options.operator_url is not None:
            return ok(f"ready at {case.options.operator_url}")
        what = "its Deployment has no ready Pod" if deployments else f"there is no Deployment of it in {namespace}"
        return warning(f"it has judged this generation, but {what}: nothing new would be judged", pods)
    if not deployments:
        return broken(f"there is no operator in namespace {namespace}", f"correct --operator-namespace, or {_INSTALL}")
    if not available:
        return broken("its Deployment has no ready Pod", pods)
    return broken(_unjudged(case), logs)


def _unjudged(case: Case) -> str:
    generation = case.proxy.get("metadata", {}).get("generation")
    return f"it has not judged generation {generation} of MCPProxy {case.identity}"


async def nothing_more(case: Case) -> Finding:
    """Say that there is no resource to go on with."""
    return unknown(
        f"there is no MCPProxy in namespace {case.namespace}: nothing more to look at",
        "create one, or name its namespace with -n",
    )
