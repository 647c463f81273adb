"""Parses and validates custom resources; invalid ones are kept with their problem.

An invalid resource still has a name, an age and labels. Policies target it, it keeps its claims, and it gets a status.

The part of a resource that the compiler reads is encoded as JSON. An object from the API server consists of some
hundred small dicts and strings; the JSON text takes a fifth of that memory, and is also the cache key for its
validation.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Final, Generic, Literal, TypeAlias, TypeVar

import orjson

from ostiary_core.contract.access import AccessRulesConfig, SubjectConfig
from ostiary_core.contract.audit import AuditConfig
from ostiary_core.contract.limits import LimitConfig, LoopDetectionConfig
from ostiary_operator.api.authentication import Authentication
from ostiary_operator.api.load import InvalidResource, parse_policy, parse_proxy
from ostiary_operator.api.policy import PolicyMode, PolicySpec, TargetSelector
from ostiary_operator.api.policy_tests import PolicyTest
from ostiary_operator.api.problems import Problem
from ostiary_operator.api.proxy import ProxySpec
from ostiary_operator.api.resources import API_VERSION, EPOCH, LOCK_KIND, POLICY_KIND, PROXY_KIND, derived_uid
from ostiary_operator.compile.audit import audit_config
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.content_rules import ContentConfigs, content_configs
from ostiary_operator.compile.limits import limit_configs, loop_config
from ostiary_operator.compile.lock_content import LockContent, read_lock
from ostiary_operator.compile.model import ObjectKey

Document = dict[str, Any]
#: The metadata that the compiler reads. The API server sets the rest, and newer versions add to it.
_JUDGED: Final = ("name", "namespace", "uid", "generation", "creationTimestamp", "labels")
#: The metadata that other packages read.
_READ: Final = ("name", "namespace", "uid", "generation", "resourceVersion", "deletionTimestamp", "labels")
_PLAIN: Final = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_SUBCLASS
SpecT_co = TypeVar("SpecT_co", covariant=True)
SpecT = TypeVar("SpecT")


@dataclass(frozen=True, slots=True)
class ParsedResource(Generic[SpecT_co]):
    """One custom resource. Either ``spec`` is set, or ``problem`` says why it is invalid.

    ``fingerprint`` is equal for equal resources, and None where there is none. ``raw`` is the original spec of an
    invalid resource.
    """

    key: ObjectKey
    uid: str
    generation: int
    created: datetime
    labels: Mapping[str, str]
    raw: Any
    fingerprint: bytes | None
    spec: SpecT_co | None = None
    problem: str = ""

    @property
    def identity(self) -> str:
        """``namespace/name``."""
        return f"{self.key.namespace}/{self.key.name}"

    @property
    def title(self) -> str:
        """How messages name it."""
        return f"{self.key.kind} {self.identity}"

    @property
    def age(self) -> tuple[datetime, str, str]:
        """The sort key: the oldest first; of equal age, by namespace and name."""
        return (self.created, self.key.namespace, self.key.name)


@dataclass(frozen=True, slots=True)
class PolicyContent:
    """The content of a valid policy, without the many small models of its validation."""

    target_names: tuple[str, ...]
    target_selector: TargetSelector | None
    access: AccessRulesConfig | None
    subjects: tuple[SubjectConfig, ...] | None = None
    mode: Literal["Shadow"] | None = None
    tests: tuple[PolicyTest, ...] = ()
    authentication: Authentication | None = None
    limits: tuple[LimitConfig, ...] = ()
    loop_detection: LoopDetectionConfig | None = None
    audit: AuditConfig | None = None
    content: ContentConfigs = field(default_factory=ContentConfigs)


ParsedProxy: TypeAlias = ParsedResource[ProxySpec]


ParsedPolicy: TypeAlias = ParsedResource[PolicyContent]


ParsedLock: TypeAlias = ParsedResource[LockContent]


def read_proxies(objects: Iterable[Mapping[str, Any]], cache: Cache) -> tuple[ParsedProxy, ...]:
    """Parse and validate MCPProxies; the oldest come first."""
    return _read_all(PROXY_KIND, _proxy, objects, cache)


def read_policies(objects: Iterable[Mapping[str, Any]], cache: Cache) -> tuple[ParsedPolicy, ...]:
    """Parse and validate MCPPolicies; the oldest come first."""
    return _read_all(POLICY_KIND, _policy, objects, cache)


def read_locks(objects: Iterable[Mapping[str, Any]], cache: Cache) -> tuple[ParsedLock, ...]:
    """Parse and validate MCPLocks, with their definitions; the oldest come first."""
    return _read_all(LOCK_KIND, read_lock, objects, cache)


def _proxy(document: Document) -> ProxySpec:
    return parse_proxy(document).spec


def _policy(document: Document) -> PolicyContent:
    parsed = parse_policy(document)
    spec = parsed.spec
    # The rules of the contract have the shape of the API's, so a round trip through JSON converts them.
    access = spec.access.model_dump_json(by_alias=True, exclude_none=True) if spec.access is not None else None
    return PolicyContent(
        target_names=tuple(reference.name for reference in spec.target_refs),
        target_selector=spec.target_selector,
        access=AccessRulesConfig.model_validate_json(access) if access is not None else None,
        subjects=_subjects(spec),
        mode="Shadow" if spec.mode is PolicyMode.SHADOW else None,
        tests=spec.tests,
        authentication=spec.authentication,
        limits=tuple(limit_configs(spec.limits) or ()),
        loop_detection=loop_config(spec.loop_detection),
        audit=audit_config(spec.audit),
        content=content_configs(spec, parsed.namespace),
    )


def _subjects(spec: PolicySpec) -> tuple[SubjectConfig, ...] | None:
    """Return the subjects of a policy, with the names of consumers as its author writes them."""
    if spec.subjects is None:
        return None
    return tuple(SubjectConfig.model_validate_json(each.model_dump_json(exclude_none=True)) for each in spec.subjects)


def _read_all(
    kind: str, parse: Callable[[Document], SpecT], objects: Iterable[Mapping[str, Any]], cache: Cache
) -> tuple[ParsedResource[SpecT], ...]:
    found = [_read(kind, parse, item, cache) for item in objects]
    found.sort(key=lambda subject: (*subject.age, subject.uid, subject.fingerprint or b""))
    # No API server has two objects with one key. Where files do, the last in this order counts.
    return tuple({subject.key: subject for subject in found}.values())


def _read(
    kind: str, parse: Callable[[Document], SpecT], item: Mapping[str, Any], cache: Cache
) -> ParsedResource[SpecT]:
    if isinstance(item, EncodedResource):
        text = item.content
        return cache.get((kind, text), lambda: _validate(kind, parse, from_json(text), text, is_json=True))
    document = compiled_part(kind, item)
    try:
        text = to_json(document)
    except TypeError:
        return _validate(kind, parse, document, None, is_json=False)
    if b"null" in text:  # NaN is written as null too, so two documents may share this text
        return _validate(kind, parse, document, None, is_json=True)
    return cache.get((kind, text), lambda: _validate(kind, parse, document, text, is_json=True))


class EncodedResource(dict[str, Any]):
    """A custom resource with its metadata and status; the spec is only in ``content``, as JSON."""

    __slots__ = ("content",)

    def __init__(self, item: Mapping[str, Any], content: bytes) -> None:
        super().__init__(item)
        self.content = content


def encode_resource(kind: str, item: Mapping[str, Any]) -> EncodedResource:
    """Encode an object that was parsed from JSON. ``kind`` is that of its list."""
    metadata = {key: item["metadata"][key] for key in _READ if key in item["metadata"]}
    rest = {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "status": item.get("status") or {}}
    return EncodedResource(rest, to_json(compiled_part(kind, item)))


def compiled_part(kind: str, item: Mapping[str, Any]) -> Document:
    """Return the part that the compiler reads: no status, and of the metadata what users write."""
    metadata = item.get("metadata")
    part = {"apiVersion": API_VERSION, "kind": kind, **item}
    part.pop("status", None)
    if isinstance(metadata, Mapping):
        part["metadata"] = {key: _plain(metadata[key]) for key in _JUDGED if key in metadata}
    return part


def to_json(part: Document) -> bytes:
    """Return the JSON of such a part.

    Raises:
        TypeError: it contains values that JSON cannot represent.
    """
    return orjson.dumps(part, option=_PLAIN)


def from_json(text: bytes) -> Document:
    """Return the part from its JSON."""
    part: Document = orjson.loads(text)
    return part


def _plain(value: Any) -> Any:
    """Return a time as text, since YAML readers convert timestamps."""
    return value.isoformat() if isinstance(value, datetime) else value


def _validate(
    kind: str,
    parse: Callable[[Document], SpecT],
    document: Document,
    fingerprint: bytes | None,
    *,
    is_json: bool,
) -> ParsedResource[SpecT]:
    metadata = document.get("metadata")
    meta: Mapping[str, Any] = metadata if isinstance(metadata, Mapping) else {}
    namespace, name = _text(meta.get("namespace")) or "default", _text(meta.get("name"))
    generation = meta.get("generation")
    subject: ParsedResource[SpecT] = ParsedResource(
        key=ObjectKey(kind, namespace, name),
        uid=_text(meta.get("uid")) or derived_uid(kind, namespace, name),
        generation=generation if isinstance(generation, int) and generation > 0 else 1,
        created=_moment(meta.get("creationTimestamp")),
        labels=_labels(meta.get("labels")),
        raw=document.get("spec"),
        fingerprint=fingerprint,
    )
    try:
        spec = parse(document)
    except InvalidResource as error:
        return replace(subject, problem=str(error))
    if not is_json:
        problem = Problem("spec", "contains what JSON cannot", r"write plain text, and no escapes such as \ud800")
        return replace(subject, problem=f"{subject.title}: {problem}")
    return replace(subject, spec=spec, raw=None)


def _text(value: object) -> str:
    """Return text without lone surrogates, which only Python accepts as text."""
    return value.encode("utf-8", "replace").decode() if isinstance(value, str) else ""


def _labels(value: object) -> Mapping[str, str]:
    if not isinstance(value, Mapping):
        return {}
    return {key: text for key, text in value.items() if isinstance(key, str) and isinstance(text, str)}


def _moment(value: object) -> datetime:
    """Return when an object was created; without a time it counts as the oldest."""
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return EPOCH
    if not isinstance(value, datetime):
        return EPOCH
    return value if value.tzinfo is not None else value.replace(tzinfo=UTC)
