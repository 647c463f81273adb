"""The checks that do not depend on an MCPProxy.

They are about the API server and the CustomResourceDefinitions.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from ostiary_core.version import __version__
from ostiary_operator.api.crd import crds
from ostiary_operator.api.objects import Object
from ostiary_operator.doctor.diagnosis import Case, CheckResult, broken, ok, unknown, warning
from ostiary_operator.kube.errors import Forbidden, NotFound
from ostiary_operator.kube.kinds import DEFINITION, GROUP, OURS, PROXY
from ostiary_operator.local.console import printable

INSTALL: Final = "install the chart\n helm install ostiary helm/ostiary --namespace ostiary-system --create-namespace"
_UPGRADE: Final = "apply the definitions of this version\n ostiary crds | kubectl apply --server-side -f -"
_SHOWN: Final = 3


async def api_server(case: Case) -> CheckResult:
    """Check that the API server answers and accepts the credentials.

    A cluster error says why it does not.
    """
    version = await case.cluster.document("/version")
    return ok(f"Kubernetes {printable(str(version.get('gitVersion', 'of an unknown version')))}")


async def definitions(case: Case) -> CheckResult:
    """Check that the API server serves our kinds, in this version."""
    try:
        served = await case.cluster.document(f"/apis/{GROUP}/{PROXY.version}")
    except NotFound:
        return broken(f"the API server does not know {GROUP}/{PROXY.version}", INSTALL)
    plurals = {each.get("name") for each in served.get("resources") or ()}
    missing = [kind.name for kind in OURS if kind.plural not in plurals]
    if missing:
        return broken(f"the API server does not know {' and '.join(missing)}", _UPGRADE)
    without_status = [kind.name for kind in OURS if f"{kind.plural}/status" not in plurals]
    if without_status:
        return broken(f"the definition of {' and '.join(without_status)} has no subresource status", _UPGRADE)
    try:
        return _compared([await case.cluster.get(DEFINITION, name=kind.resource) for kind in OURS])
    except Forbidden:
        return ok("all kinds are served; you may not read their schemas, so their version is not known")


def _compared(found: list[Object]) -> CheckResult:
    ours = {each["metadata"]["name"]: each for each in crds()}
    lacking = [
        f"{definition['spec']['names']['kind']}.{path}"
        for definition in found
        for path in _lacking(_schema(ours[definition["metadata"]["name"]]), _schema(definition), "")
    ]
    if lacking:
        more = f" and {len(lacking) - _SHOWN} more" if len(lacking) > _SHOWN else ""
        fields = ", ".join(lacking[:_SHOWN]) + more
        return broken(f"they are from another version and lack {fields}: the API server drops these fields", _UPGRADE)
    if any(_schema(each) != _schema(ours[each["metadata"]["name"]]) for each in found):
        return warning(f"they differ from those of this command ({__version__})", "use one version everywhere")
    return ok(f"as in version {__version__}")


def _schema(definition: Mapping[str, Any]) -> Mapping[str, Any]:
    versions = definition["spec"]["versions"]
    chosen: Mapping[str, Any] = next((each for each in versions if each["name"] == PROXY.version), versions[0])
    schema: Mapping[str, Any] = chosen.get("schema", {}).get("openAPIV3Schema", {})
    return schema


def _lacking(wanted: Mapping[str, Any], found: Mapping[str, Any], path: str) -> Iterator[str]:
    """Yield the paths of the fields that ``wanted`` has and ``found`` lacks."""
    properties = found.get("properties") or {}
    for name, schema in (wanted.get("properties") or {}).items():
        below = f"{path}.{name}".lstrip(".")
        if name not in properties:
            yield below
        else:
            yield from _lacking(schema, properties[name], below)
    if isinstance(wanted.get("items"), Mapping):
        yield from _lacking(wanted["items"], found.get("items") or {}, f"{path}[]")


async def nothing_more(case: Case) -> CheckResult:
    """Report that there is no MCPProxy to check."""
    return unknown(
        f"there is no MCPProxy in namespace {case.namespace}: the further checks need one",
        "create one, or name its namespace with -n",
    )
