"""Compiles how a policy authenticates callers: the digests of the keys that it selects.

A key that is removed must be refused at once. So a Secret that is missing or unusable never keeps an older version of
the policy in force: only its keys are missing. Where the Secrets cannot be read at all, nothing is known of them, and
the last accepted version stays.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, NamedTuple, TypeAlias

from pydantic import ValidationError

from ostiary_core.contract.authentication import ApiKeyConfig, ApiKeysConfig, AuthenticationConfig
from ostiary_core.contract.documents import PolicyDocument
from ostiary_operator.api import labels
from ostiary_operator.api.authentication import ApiKeyAuthentication, Authentication
from ostiary_operator.api.policy import PolicySpec
from ostiary_operator.api.reasons import ResolvedRefsReason
from ostiary_operator.api.selectors import LabelSelector
from ostiary_operator.compile.ca_bundles import References
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.credentials import Secrets
from ostiary_operator.compile.model import ApiKeySecret, Missing, ObjectKey, ResourceRejection
from ostiary_operator.compile.policy_references import ResolvedReferences, resolve_policy
from ostiary_operator.compile.resource_parser import read_policies
from ostiary_operator.compile.token_issuers import compile_certificates, compile_introspection, compile_issuers

ApiKeySecrets: TypeAlias = Mapping[str, tuple[ApiKeySecret, ...] | Missing]
"""The Secrets with API keys, by namespace, or why they are not available."""


@dataclass(frozen=True, slots=True)
class ReferencedObjects:
    """The objects that resources refer to, as the compiler may know them."""

    api_keys: ApiKeySecrets
    references: References
    credentials: Secrets


_FIELD: Final = "spec.authentication.apiKey.selector"
_AUTHORIZATION: Final = "authorization"
_BEARER: Final = "Bearer"
_SHARED: Final = "is also in another Secret, with another consumer, groups or expiry; make a new key for one of them"
#: How many unusable keys a message names.
_SHOWN_DEFECTS: Final = 4


def namespaces_with_api_keys(policies: Iterable[Mapping[str, Any]], cache: Cache | None = None) -> set[str]:
    """Return the namespaces whose Secrets with API keys must be read for these policies.

    A policy that is not valid counts: keys of its last accepted version may have been removed.
    """
    found = read_policies(policies, cache if cache is not None else Cache())
    return {
        policy.key.namespace
        for policy in found
        if policy.spec is None or _api_key(policy.spec.authentication) is not None
    }


def _api_key(authentication: Authentication | None) -> ApiKeyAuthentication | None:
    return authentication.api_key if authentication is not None else None


class SelectedKeys(NamedTuple):
    """The Secrets that a policy selects; None where they are not available.

    ``defect`` is what to report.
    """

    secrets: tuple[ApiKeySecret, ...] | None = ()
    defect: ResourceRejection | None = None


def select_keys(key: ObjectKey, authentication: Authentication | None, available: ApiKeySecrets) -> SelectedKeys:
    """Return the Secrets with API keys that a policy selects in its own namespace."""
    api_key = _api_key(authentication)
    if api_key is None:
        return SelectedKeys()
    found = available.get(key.namespace, Missing.FORBIDDEN)
    where = f"{key.kind} {key.namespace}/{key.name}: {_FIELD}"
    if isinstance(found, Missing):
        return SelectedKeys(None, _forbidden(where, key.namespace))
    secrets = _without_shared_keys([secret for secret in found if api_key.selector.selects(dict(secret.labels))])
    if not secrets:
        return SelectedKeys((), _none_found(where, key.namespace, api_key.selector))
    return SelectedKeys(secrets, _defect(where, key.namespace, secrets))


def _without_shared_keys(secrets: Sequence[ApiKeySecret]) -> tuple[ApiKeySecret, ...]:
    """Drop keys of several callers: no one could tell which of them sends a request."""
    owners = {(digest, _owner(secret)) for secret in secrets for _, digest in secret.digests}
    count = Counter(digest for digest, _ in owners)
    shared = {digest for digest, number in count.items() if number > 1}
    return tuple(_without(secret, shared) for secret in secrets) if shared else tuple(secrets)


def _owner(secret: ApiKeySecret) -> tuple[str, tuple[str, ...], int | None]:
    return secret.consumer, secret.groups, secret.expires_at


def _without(secret: ApiKeySecret, shared: set[str]) -> ApiKeySecret:
    kept = tuple(item for item in secret.digests if item[1] not in shared)
    defects = [f"entry {entry} {_SHARED}" for entry, digest in secret.digests if digest in shared]
    return replace(secret, digests=kept, defects=(*secret.defects, *defects))


def _forbidden(where: str, namespace: str) -> ResourceRejection:
    message = (
        f"{where}: the operator may not list the Secrets of the namespace {namespace}; "
        "add it to the chart's secretNamespaces, or bind the operator's role for Secrets there"
    )
    return ResourceRejection(ResolvedRefsReason.NOT_PERMITTED, message)


def _none_found(where: str, namespace: str, selector: LabelSelector) -> ResourceRejection:
    needed = {labels.USAGE: labels.API_KEY_USAGE, **selector.match_labels}
    written = " and ".join(f"{key}={value}" for key, value in needed.items())
    further = " and meets matchExpressions" if selector.match_expressions else ""
    message = (
        f"{where}: no Secret of the namespace {namespace} has {written}{further}, so every key is refused; "
        "make one with `ostiary key create`, or correct the selector or the labels of your Secret"
    )
    return ResourceRejection(ResolvedRefsReason.REF_NOT_FOUND, message)


def _defect(where: str, namespace: str, secrets: Iterable[ApiKeySecret]) -> ResourceRejection | None:
    defects = [(secret.name, *text.partition("; ")[::2]) for secret in secrets for text in secret.defects]
    if not defects:
        return None
    shown = defects[:_SHOWN_DEFECTS]
    problems = [f"Secret {namespace}/{name}: {what}" for name, what, _ in shown]
    if len(defects) > len(shown):
        problems.append(f"further problems with keys: {len(defects) - len(shown)}")
    remedies = dict.fromkeys(remedy for _, _, remedy in shown if remedy)
    message = f"{where}: {', '.join(problems)}; {', '.join(remedies)}"
    return ResourceRejection(ResolvedRefsReason.REF_INVALID, message)


def compile_authentication(
    namespace: str,
    authentication: Authentication | None,
    secrets: Iterable[ApiKeySecret],
    resolved: ResolvedReferences,
) -> AuthenticationConfig | None:
    """Return the authentication of a policy with these objects; None where it sets none."""
    if authentication is None:
        return None
    api_key = authentication.api_key
    return AuthenticationConfig(
        api_keys=_api_keys(namespace, api_key, secrets) if api_key is not None else None,
        issuers=compile_issuers(authentication, resolved),
        introspection=compile_introspection(authentication.introspection, resolved),
        client_certificate=compile_certificates(authentication.client_certificate, resolved),
        passthrough=authentication.passthrough is not None,
        anonymous=authentication.anonymous is not None,
    )


def _api_keys(namespace: str, api_key: ApiKeyAuthentication, secrets: Iterable[ApiKeySecret]) -> ApiKeysConfig:
    header = api_key.header.lower()
    found = {digest: _key(namespace, secret, digest) for secret in secrets for _, digest in secret.digests}
    return ApiKeysConfig(
        header=header,
        scheme=api_key.scheme or (_BEARER if header == _AUTHORIZATION else None),
        keys=[found[digest] for digest in sorted(found)],
    )


def _key(namespace: str, secret: ApiKeySecret, digest: str) -> ApiKeyConfig:
    return ApiKeyConfig(
        digest=digest,
        consumer=f"{namespace}/{secret.consumer}",
        groups=list(secret.groups),
        expires_at=secret.expires_at,
    )


def with_current_objects(document: PolicyDocument, objects: ReferencedObjects, cache: Cache) -> PolicyDocument:
    """Return a kept version of a policy with the objects of today that it refers to.

    So a removed key is refused although the version is kept, and a new client secret is used. What cannot be read or
    used keeps its last value.
    """
    authentication, found = _authentication_of(document), document.authentication
    if authentication is None or found is None:
        return document
    key = ObjectKey("MCPPolicy", document.namespace, document.name)
    secrets = select_keys(key, authentication, objects.api_keys).secrets
    if secrets is not None and authentication.api_key is not None:
        api_keys = _api_keys(document.namespace, authentication.api_key, secrets)
        found = found.model_copy(update={"api_keys": api_keys})
    return document.model_copy(
        update={"authentication": _with_references(document, found, authentication, objects, cache)}
    )


def _with_references(
    document: PolicyDocument,
    found: AuthenticationConfig,
    authentication: Authentication,
    objects: ReferencedObjects,
    cache: Cache,
) -> AuthenticationConfig:
    resolved = resolve_policy("", document.namespace, authentication, objects.references, objects.credentials, cache)
    if resolved.rejection is None:
        current = compile_authentication(document.namespace, authentication, (), resolved)
        return current.model_copy(update={"api_keys": found.api_keys}) if current is not None else found
    if resolved.rejection.reason is ResolvedRefsReason.HOST_NOT_PERMITTED:
        # The owner of the Secret withdrew it: its tokens are refused from now on.
        return found.model_copy(update={"introspection": None})
    return found


def _authentication_of(document: PolicyDocument) -> Authentication | None:
    """Return what a kept version's author wrote; None where that is not known."""
    if document.authentication is None or document.source is None:
        return None
    try:
        return PolicySpec.model_validate_json(document.source).authentication
    except ValidationError:  # written by a version whose fields we do not know
        return None


def with_live_keys(document: PolicyDocument, objects: ReferencedObjects, cache: Cache) -> PolicyDocument:
    """Return a kept version of a policy without the keys that were removed since.

    It gets the client secret of today. No key is added: that could exceed a budget.
    """
    current = with_current_objects(document, objects, cache).authentication
    before = document.authentication
    if before is None or current is None:
        return document
    update: dict[str, object] = {"introspection": current.introspection}
    if before.api_keys is not None and current.api_keys is not None:
        known = {key.digest for key in before.api_keys.keys}
        keys = [key for key in current.api_keys.keys if key.digest in known]
        update["api_keys"] = before.api_keys.model_copy(update={"keys": keys})
    return document.model_copy(update={"authentication": before.model_copy(update=update)})
