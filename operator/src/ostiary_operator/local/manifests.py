"""Reads YAML files and texts as Kubernetes objects, each with the positions of its fields.

What is no object becomes a finding. Objects of other kinds are kept if MCPProxies and MCPPolicies depend on them (a
namespace's labels, a gateway's settings, a CA bundle); any other becomes a note.
"""

import difflib
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from ostiary_operator.api.resources import API_VERSION, GROUP, LOCK_KIND, POLICY_KIND, PROXY_KIND
from ostiary_operator.api.server_kinds import BUILT_IN
from ostiary_operator.api.yaml_reader import YamlError, read_documents
from ostiary_operator.compile.foreign_servers import GRANT_GROUP, GRANT_KIND
from ostiary_operator.local import files, yaml_faults
from ostiary_operator.local.findings import Finding, Severity
from ostiary_operator.local.yaml_positions import Places, read_places

OURS: Final = (PROXY_KIND, POLICY_KIND, LOCK_KIND)
#: Kubernetes kinds that MCPProxies and MCPPolicies depend on, with their API version.
COMPANIONS: Final[Mapping[str, str]] = {
    "ConfigMap": "v1",
    "Secret": "v1",
    "Service": "v1",
    "Namespace": "v1",
    "EndpointSlice": "discovery.k8s.io/v1",
}
#: Kinds of other projects that they depend on: API version and kind.
FOREIGN: Final = frozenset(
    {(f"{kind.group}/{kind.version}", kind.kind) for kind in BUILT_IN}
    | {(f"{GRANT_GROUP}/{version}", GRANT_KIND) for version in ("v1", "v1beta1")}
)

#: The path that means standard input, and what findings call it.
STDIN: Final = "-"
_STDIN_NAME: Final = "<stdin>"

_NO_OBJECT: Final = "start it with apiVersion, kind, metadata and spec"


class ManifestKey(NamedTuple):
    """Names an object; ``namespace`` is empty for one outside namespaces."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True, slots=True)
class ObjectManifest:
    """One object of a file.

    ``prefix`` is its path in the document if it is a list item, such as `items[0].`.
    """

    file: str
    value: Mapping[str, Any]
    places: Places
    prefix: str = ""

    @property
    def key(self) -> ManifestKey:
        """The object's kind, namespace and name; empty text for what is missing.

        Kinds of other projects have their group behind them, since several of them are called MCPServer.
        """
        metadata = self.value.get("metadata")
        meta = metadata if isinstance(metadata, Mapping) else {}
        kind = _text(self.value.get("kind"))
        kind += f".{_text(self.value.get('apiVersion')).partition('/')[0]}" if self._is_foreign else ""
        return ManifestKey(kind, _text(meta.get("namespace")), _text(meta.get("name")))

    @property
    def ours(self) -> bool:
        """Whether it is an MCPProxy, an MCPPolicy or an MCPLock."""
        return self.value.get("kind") in OURS

    @property
    def companion(self) -> bool:
        """Whether it is an object of another kind that MCPProxies and MCPPolicies depend on."""
        kind = _text(self.value.get("kind"))
        return self._is_foreign or (kind in COMPANIONS and self.value.get("apiVersion") == COMPANIONS[kind])

    @property
    def _is_foreign(self) -> bool:
        return (_text(self.value.get("apiVersion")), _text(self.value.get("kind"))) in FOREIGN

    def finding(self, field: str, message: str, remedy: str, *, severity: Severity = Severity.ERROR) -> Finding:
        """Return a finding at a field of the object."""
        line, column = self.places.of(self.prefix + field)
        return Finding(severity, self.file, line, column, *self.key, field=field, message=message, remedy=remedy)

    def spelled(self, field: str) -> str | None:
        """Return the source text of an unquoted scalar, or None."""
        return self.places.spelled.get(self.prefix + field)


@dataclass(frozen=True, slots=True)
class Read:
    """The objects, findings and notes of one text or several."""

    manifests: list[ObjectManifest] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def add(self, other: "Read") -> None:
        """Add the objects, findings and notes of another text."""
        self.manifests.extend(other.manifests)
        self.findings.extend(other.findings)
        self.notes.extend(other.notes)


def read_all(paths: Iterable[str], *, namespace: str) -> Read:
    """Read every file that the paths name.

    Raises:
        PathError: a path does not exist, or a file may not be read.
    """
    read = Read()
    for path in paths:
        if path == STDIN:
            read.add(_read_stdin(namespace))
        else:
            for file in files.find([Path(path)]):
                read.add(read_file(file, namespace=namespace))
    return read


def read_file(path: Path, *, namespace: str) -> Read:
    """Read one file; content that is no valid text becomes a finding.

    Raises:
        PathError: it cannot be read.
    """
    try:
        return read_text(files.read(path), file=str(path), namespace=namespace)
    except files.TextError as error:
        return Read(findings=[unreadable(str(path), error.message, error.remedy)])


def _read_stdin(namespace: str) -> Read:
    try:
        return read_text(files.decoded(sys.stdin.buffer.read()), file=_STDIN_NAME, namespace=namespace)
    except files.TextError as error:
        return Read(findings=[unreadable(_STDIN_NAME, error.message, error.remedy)])


def read_text(text: str, *, file: str, namespace: str = "default") -> Read:
    """Read the objects of a text.

    ``file`` is its name in findings, ``namespace`` the default of its objects.
    """
    read = Read()
    try:
        documents = list(read_documents(text))
    except YamlError as error:
        read.findings.append(_broken(file, yaml_faults.explain(error, text)))
        return read
    places = {each.start.line: each for each in read_places(text)}
    for document in documents:
        whole = ObjectManifest(file, {}, places[document.line])
        for value, prefix in _objects(document.value):
            _take(read, ObjectManifest(file, _with_namespace(value, namespace), whole.places, prefix), value)
    return read


def key_of(finding: Finding) -> ManifestKey:
    """Return the key of the object that a finding is about."""
    return ManifestKey(finding.kind, finding.namespace, finding.name)


def unreadable(file: str, message: str, remedy: str, *, line: int = 0, column: int = 0) -> Finding:
    """Return the finding for a file that cannot be read as objects."""
    return Finding(Severity.ERROR, file, line, column, "", "", "", "", message, remedy)


def _broken(file: str, fault: yaml_faults.YamlFault) -> Finding:
    return unreadable(file, fault.message, fault.remedy, line=fault.line, column=fault.column)


def _objects(value: Any) -> Iterator[tuple[Any, str]]:
    """Yield the objects of a document with their paths.

    These are the document itself, or the items of a List (`kubectl get -o yaml`).
    """
    items = value.get("items") if isinstance(value, Mapping) else None
    if isinstance(items, list) and _text(value.get("kind")).endswith("List"):
        for index, item in enumerate(items):
            yield item, f"items[{index}]."
    else:
        yield value, ""


def _with_namespace(value: Any, namespace: str) -> Mapping[str, Any]:
    """Return an object with ``namespace`` set if it has none."""
    if not isinstance(value, Mapping):
        return {}
    metadata = value.get("metadata")
    if value.get("kind") == "Namespace" or not isinstance(metadata, Mapping) or "namespace" in metadata:
        return value
    return {**value, "metadata": {**metadata, "namespace": namespace}}


def _take(read: Read, manifest: ObjectManifest, value: Any) -> None:
    """Add an object to the manifests, the findings or the notes."""
    finding = _no_object(manifest, value) or _misnamed(manifest) or _nameless(manifest)
    if finding is not None:
        read.findings.append(finding)
    elif manifest.ours or manifest.companion:
        read.manifests.append(manifest)
    else:
        line, column = manifest.places.of(manifest.prefix.removesuffix("."))
        kind, _, name = manifest.key
        read.notes.append(
            f"{manifest.file}:{line}:{column}: {kind} {name}".rstrip() + " is not a kind that Ostiary reads: ignored"
        )


def _no_object(manifest: ObjectManifest, value: Any) -> Finding | None:
    if not isinstance(value, Mapping):
        return manifest.finding("", "is not a Kubernetes object", _NO_OBJECT)
    for name, example in (("apiVersion", API_VERSION), ("kind", PROXY_KIND)):
        if name not in value:
            return manifest.finding(name, "is required", f"write it as in {name}: {example}")
        if not isinstance(value[name], str):
            return manifest.finding(name, "must be a string", f"write it as in {name}: {example}")
    return None


def _misnamed(manifest: ObjectManifest) -> Finding | None:
    """Report a misspelled MCPProxy or MCPPolicy kind.

    The object would be ignored, and with it perhaps a policy.
    """
    kind, version = manifest.key.kind, str(manifest.value["apiVersion"])
    if kind in OURS:
        return None
    meant = {ours.lower(): ours for ours in OURS} | {"mcpproxies": PROXY_KIND, "mcppolicies": POLICY_KIND}
    meant |= {"mcplocks": LOCK_KIND}
    if version.partition("/")[0] != GROUP and kind.lower() not in meant:
        return None
    close = difflib.get_close_matches(kind.lower(), meant, n=1)
    remedy = f"did you mean {meant[close[0]]}?" if close else f"use {', '.join(OURS[:-1])} or {OURS[-1]}"
    return manifest.finding("kind", f"{kind} is not a kind of {GROUP}", remedy)


def _nameless(manifest: ObjectManifest) -> Finding | None:
    """Report an object without a valid name, namespace, labels or annotations.

    It cannot be matched with its last version.
    """
    if not (manifest.ours or manifest.companion):
        return None
    metadata = manifest.value.get("metadata")
    if not isinstance(metadata, Mapping) or not metadata.get("name"):
        return manifest.finding("metadata.name", "is required", "add it, as in metadata: {name: my-server}")
    for part in ("name", "namespace"):
        if not isinstance(metadata.get(part, ""), str):
            return manifest.finding(f"metadata.{part}", "must be a string", "write text; put quotes around it")
    for part in ("labels", "annotations"):
        if not _maps_to_text(metadata.get(part, {})):
            return manifest.finding(f"metadata.{part}", "must map names to text", "put quotes around their values")
    return None


def _maps_to_text(found: object) -> bool:
    return isinstance(found, Mapping) and all(isinstance(value, str) for value in found.values())


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""
