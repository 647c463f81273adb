"""The resources of a platform of many teams.

Each proxy has two different policies of twenty rules.
"""

import asyncio
import json
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final

import aiohttp

from ostiary_tools.cluster.control_plane import ControlPlane
from ostiary_tools.common.errors import ToolError

#: The tool that edits allow or deny; the last rule of every policy names it.
TOOL: Final = "probe"
RULES: Final = 20
_API: Final = "ostiary.dev/v1alpha1"
_PROXIES_A_TEAM: Final = 20
_AT_ONCE: Final = 24
_NOUNS: Final = ("ticket", "invoice", "customer", "order", "repository", "incident", "document", "calendar", "payment")
_VERBS: Final = ("get", "list", "search", "create", "update", "delete", "export", "approve", "assign", "archive")


@dataclass(frozen=True, slots=True)
class ScaleWorkload:
    """The number of proxies; there are twice as many policies.

    ``url`` is the server of all of them.
    """

    proxies: int
    url: str

    @property
    def policies(self) -> int:
        """How many policies there are."""
        return 2 * self.proxies

    @property
    def teams(self) -> list[str]:
        """The namespaces."""
        return sorted({team_of(number) for number in range(self.proxies)})

    def resources(self) -> Iterator[dict[str, Any]]:
        """Yield every object, proxies first."""
        yield from (proxy(number, self.url) for number in range(self.proxies))
        for number in range(self.proxies):
            yield policy(number)
            yield selecting_policy(number)


def team_of(number: int) -> str:
    """Return the namespace of a proxy and its policies."""
    return f"team-{number // _PROXIES_A_TEAM:03d}"


def path_of(number: int) -> str:
    """Return the path of a proxy."""
    return f"/{team_of(number)}/server-{number:05d}"


def proxy(number: int, url: str) -> dict[str, Any]:
    """Return an MCPProxy at its default path."""
    name = f"server-{number:05d}"
    labels = {"app.kubernetes.io/name": name, "app.kubernetes.io/part-of": "agents", "tier": f"t{number % 3}"}
    spec = {"servers": [{"name": "main", "url": url}]}
    return _object("MCPProxy", name, team_of(number), spec, labels=labels)


def policy(number: int, *, effect: str = "Allow") -> dict[str, Any]:
    """Return the policy that names a proxy; with ``Deny`` it denies :data:`TOOL`."""
    target = {"targetRefs": [{"kind": "MCPProxy", "name": f"server-{number:05d}"}]}
    return _policy(f"access-{number:05d}", number, target, salt="named", effect=effect)


def selecting_policy(number: int) -> dict[str, Any]:
    """Return the policy that selects a proxy by its label."""
    labels = {"app.kubernetes.io/name": f"server-{number:05d}"}
    return _policy(f"team-rules-{number:05d}", number, {"targetSelector": {"matchLabels": labels}}, salt="selected")


def _policy(name: str, number: int, target: dict[str, Any], *, salt: str, effect: str = "Allow") -> dict[str, Any]:
    rules = [_rule(number, index, salt) for index in range(RULES - 1)]
    rules.append({"name": "probe", "effect": effect, "tools": {"verbs": ["List", "Call"], "names": [TOOL]}})
    return _object("MCPPolicy", name, team_of(number), {**target, "access": {"rules": rules}})


def _rule(number: int, index: int, salt: str) -> dict[str, Any]:
    verb, noun = _VERBS[(number + index) % len(_VERBS)], _NOUNS[(number * 7 + index) % len(_NOUNS)]
    names = [f"{verb}_{noun}_{number}", f"{noun}_{index}_*"]
    verbs = {"verbs": ["List", "Call"]} if index % 2 else {}
    return {"name": f"{salt}-{verb}-{index}", "effect": "Allow", "tools": {**verbs, "names": names}}


def _object(
    kind: str, name: str, namespace: str, spec: dict[str, Any], *, labels: dict[str, str] | None = None
) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, **({"labels": labels} if labels else {})}
    return {"apiVersion": _API, "kind": kind, "metadata": metadata, "spec": spec}


def resource_path(obj: dict[str, Any]) -> str:
    """Return where the API serves an object's collection."""
    plural = {"MCPProxy": "mcpproxies", "MCPPolicy": "mcppolicies"}[obj["kind"]]
    return f"/apis/{_API}/namespaces/{obj['metadata']['namespace']}/{plural}"


def populate(control_plane: ControlPlane, scale: ScaleWorkload) -> None:
    """Create all resources, many at a time.

    Raises:
        ToolError: the API server refuses an object.
    """
    asyncio.run(_populate(control_plane, scale))


def send(control_plane: ControlPlane, method: str, objects: Iterable[tuple[str, dict[str, Any]]]) -> None:
    """Send (path, body) pairs, many at a time; PATCH is a merge patch.

    Raises:
        ToolError: the API server refuses an object.
    """
    asyncio.run(_send_all(control_plane, method, list(objects)))


async def _populate(control_plane: ControlPlane, scale: ScaleWorkload) -> None:
    namespaces: list[tuple[str, dict[str, Any]]] = [
        ("/api/v1/namespaces", {"metadata": {"name": name}}) for name in scale.teams
    ]
    await _send_all(control_plane, "POST", namespaces)
    await _send_all(control_plane, "POST", [(resource_path(obj), obj) for obj in scale.resources()])


async def _send_all(control_plane: ControlPlane, method: str, objects: list[tuple[str, dict[str, Any]]]) -> None:
    tls = ssl.create_default_context(cafile=str(control_plane.ca_file))
    headers = {
        "Authorization": f"Bearer {control_plane.admin_token}",
        "Content-Type": "application/merge-patch+json" if method == "PATCH" else "application/json",
    }
    slots = asyncio.Semaphore(_AT_ONCE)

    async def one(path: str, body: dict[str, Any]) -> None:
        async with slots, session.request(method, control_plane.url + path, data=json.dumps(body), ssl=tls) as answer:
            if answer.status >= 400:
                raise ToolError(f"{method} {path}: {answer.status}: {(await answer.text())[:300]}")
            await answer.read()

    async with aiohttp.ClientSession(headers=headers) as session:
        await asyncio.gather(*(one(path, body) for path, body in objects))
