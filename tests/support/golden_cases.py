"""Golden cases of the compiler: folders of YAML whose names are sentences.

`pytest tests/unit/compile --update-golden` writes the current output of the compiler; review the diff.

`tests/golden/<case>/in.yaml` holds plain Kubernetes objects, `out.yaml` what the compiler makes of them, written for
people. A case in several steps has `1-in.yaml`, `1-out.yaml`, `2-in.yaml` and so on; each is compiled with the
result of the step before. `options.yaml` may set `budget`, and `ask` what callers may do:
`{team-a/crm: [tools Call read_ticket]}`.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from ostiary_core.canonical import digest
from ostiary_core.contract.bundle import GatewayConfig
from ostiary_core.contract.documents import EntryDocument
from ostiary_core.mcp.methods import Primitive, Verb
from ostiary_core.policy.access import AccessEvaluator
from ostiary_core.policy.compiled_policy import CompiledPolicy
from ostiary_core.policy.visibility import Visibility
from ostiary_operator.api.resources import derived_uid
from ostiary_operator.api.settings import Bounds
from ostiary_operator.api.yaml_reader import read_documents
from ostiary_operator.compile.inputs import resources_from_objects
from ostiary_operator.compile.model import Compiled, Resources, ResourceStatus
from ostiary_operator.compile.quota import DEFAULT_BUDGET

ROOT = Path(__file__).parent.parent / "golden"
OPERATOR_NAMESPACE = "ostiary-system"

_STEP = re.compile(r"(?:(?P<number>[0-9]+)-)?in\.yaml")
_DEFAULT_BOUNDS = {
    "requestBytes": int(Bounds().request_bytes),
    "messageBytes": int(Bounds().message_bytes),
    "connections": Bounds().connections,
    "requestsInFlight": Bounds().requests_in_flight,
    "streams": Bounds().streams,
    "bytesInFlight": int(Bounds().bytes_in_flight),
    "perSource": {},
    "perPrincipal": {
        "requestsInFlight": Bounds().per_principal.requests_in_flight,
        "streams": Bounds().per_principal.streams,
        "bytesInFlight": int(Bounds().per_principal.bytes_in_flight),
    },
    "perProxy": {
        "requestsInFlight": Bounds().per_proxy.requests_in_flight,
        "streams": Bounds().per_proxy.streams,
        "bytesInFlight": int(Bounds().per_proxy.bytes_in_flight),
    },
    "perServer": {"connections": Bounds().per_server.connections},
    "sessionMaxAge": Bounds().session_max_age.milliseconds,
}


@dataclass(frozen=True)
class Step:
    """One compilation of a case."""

    resources: Resources
    out: Path


@dataclass(frozen=True)
class Case:
    """One folder."""

    name: str
    steps: tuple[Step, ...]
    budget: int
    ask: Mapping[str, list[str]]
    aside: bool = False
    """Whether conditions that have no part in Ready are written out."""


def names() -> list[str]:
    """The names of all cases."""
    return sorted(path.name for path in ROOT.iterdir() if path.is_dir())


def load(name: str) -> Case:
    """Read a case."""
    folder = ROOT / name
    options = folder / "options.yaml"
    chosen = yaml.safe_load(options.read_text()) if options.exists() else {}
    steps = tuple(_steps(folder))
    assert steps, f"{folder} has no in.yaml"
    return Case(name, steps, chosen.get("budget", DEFAULT_BUDGET), chosen.get("ask", {}), chosen.get("aside", False))


def _steps(folder: Path) -> Iterator[Step]:
    for path in sorted(path for path in folder.iterdir() if _STEP.fullmatch(path.name)):
        objects = [document.value for document in read_documents(path.read_text())]
        out = path.with_name(path.name.replace("in.yaml", "out.yaml"))
        yield Step(resources_from_objects(objects, OPERATOR_NAMESPACE), out)


def render(compiled: Compiled, ask: Mapping[str, list[str]], *, aside: bool = False) -> str:
    """Write what the compiler said as YAML for people."""
    document: dict[str, Any] = {
        "gateways": {name: _gateway(config, ask) for name, config in sorted(compiled.configs.items())},
        "statuses": {
            f"{key.kind} {key.namespace}/{key.name}": _status(status, compiled.configs, aside=aside)
            for key, status in compiled.statuses.items()
        },
    }
    if compiled.problems:
        document["problems"] = [{problem.gateway: problem.message} for problem in compiled.problems]
    return yaml.dump(document, sort_keys=False, width=120, Dumper=_Dumper)


class _Dumper(yaml.SafeDumper):
    """Repeats a value rather than pointing at it, and writes what is short on one line."""

    def ignore_aliases(self, data: Any) -> bool:  # noqa: ARG002  PyYAML's signature
        return True

    def represent_sequence(self, tag: str, sequence: Any, _flow_style: bool | None = None) -> yaml.SequenceNode:
        return super().represent_sequence(tag, sequence, flow_style=_is_short(sequence))

    def represent_mapping(self, tag: str, mapping: Any, _flow_style: bool | None = None) -> yaml.MappingNode:
        return super().represent_mapping(tag, mapping, flow_style=_is_short(mapping))


def _is_short(value: Any) -> bool:
    items = list(value.values()) if isinstance(value, dict) else list(value)
    return len(str(value)) < 90 and not any(isinstance(item, dict | list) for item in items)


def _gateway(config: GatewayConfig, ask: Mapping[str, list[str]]) -> dict[str, Any]:
    settings = _plain(config.settings)
    for key, default in (("bounds", _DEFAULT_BOUNDS), ("allowedOrigins", []), ("trustedProxies", [])):
        if settings[key] == default:
            del settings[key]
    out = {
        "settings": settings,
        "entries": {name: _entry(entry, config) for name, entry in config.entries.items()},
        "policies": dict(sorted((_policy_name(config, key), _plain(it)) for key, it in config.policies.items())),
    }
    answers = {
        name: {question: _answer(config.entries[name], config, question) for question in questions}
        for name, questions in ask.items()
        if name in config.entries
    }
    return {key: value for key, value in out.items() if value} | ({"answers": answers} if answers else {})


def _plain(document: Any) -> dict[str, Any]:
    """A document without what would only be noise here: its kind, a derived uid, the compiler's own memory."""
    plain: dict[str, Any] = document.model_dump(mode="json", by_alias=True, exclude_none=True)
    kind = {"entry": "MCPProxy", "policy": "MCPPolicy"}.get(plain.pop("kind"), "")
    if plain.get("uid") == derived_uid(kind, plain.get("namespace", ""), plain.get("name", "")):
        del plain["uid"]
    for noise in ("source", "namespace", "name"):
        plain.pop(noise, None)
    return plain


def _entry(entry: EntryDocument, config: GatewayConfig) -> dict[str, Any]:
    plain = _plain(entry)
    plain["policies"] = sorted(_policy_name(config, key) for key in entry.policies)
    for server in plain["servers"]:
        if "ca" in server.get("tls", {}):
            pem = server["tls"]["ca"]
            server["tls"]["ca"] = f"<{pem.count('BEGIN CERTIFICATE')} certificates, {digest(pem.encode())[:8]}>"
        if not server["addresses"]:
            del server["addresses"]
    return {key: value for key, value in plain.items() if value not in ([], False)}


def _policy_name(config: GatewayConfig, key: str) -> str:
    document = config.policies[key]
    return f"{document.identity} of generation {document.generation}"


def _answer(entry: EntryDocument, config: GatewayConfig, question: str) -> str:
    primitive, verb, name = question.split(" ", 2)
    access = AccessEvaluator([CompiledPolicy.build(config.policies[key]) for key in entry.policies])
    visibility = Visibility.of_entry(entry, access)
    decision = visibility.decide(Primitive(primitive), Verb(verb), name)
    evidence = ", ".join(part for part in (decision.policy, decision.rule) if part)
    return f"{'yes' if decision.allowed else 'no'}: {decision.reason}{f' by {evidence}' if evidence else ''}"


def _status(status: ResourceStatus, configs: Mapping[str, GatewayConfig], *, aside: bool) -> dict[str, Any]:
    related = "policies" if status.key.kind == "MCPProxy" else "targets"
    out: dict[str, Any] = {
        "generation": status.generation if status.generation != 1 else None,
        **{
            it.type: f"{it.status} {it.reason}: {it.message}"
            for it in (*status.conditions, *(status.aside if aside else ()))
        },
        "urls": [f"{gateway}{f' at {host}' if host else ''}: {url}" for gateway, host, url in status.urls],
        related: [f"{namespace}/{name}" for namespace, name in status.related],
        "expected": {gateway: _expected(configs[gateway], found) for gateway, found in sorted(status.expected.items())},
        "held": status.serves_last_accepted,
        "tooLarge": status.too_large,
    }
    return {key: value for key, value in out.items() if value}


def _expected(config: GatewayConfig, digests: Mapping[str, str]) -> list[str]:
    """The proxies whose entries must run; each digest must be that of the entry in the config."""
    for name, expected in digests.items():
        assert digest(config.entries[name].canonical()) == expected, f"{name}: the digest is of another entry"
    return sorted(digests)
