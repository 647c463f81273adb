"""Translates the OpenAPI documents of servers, from the ConfigMaps that they refer to.

A document is translated once for each change of it or of what the gateway sends itself. What it cannot express is left
out and named; a document that is none keeps the last accepted version in force.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from ostiary_core import strict_json
from ostiary_core.contract.openapi import OpenApiConfig
from ostiary_core.errors import OpenApiError, StrictJSONError
from ostiary_core.openapi.translation import translate
from ostiary_operator.api.proxy import ProxySpec
from ostiary_operator.api.reasons import ResolvedRefsReason
from ostiary_operator.api.references import ConfigMapKeyReference
from ostiary_operator.api.servers import Server
from ostiary_operator.api.yaml_reader import YamlError, read_documents
from ostiary_operator.compile.ca_bundles import References
from ostiary_operator.compile.cache import Cache
from ostiary_operator.compile.credentials import unreadable
from ostiary_operator.compile.model import Missing, Omission, ReferenceKey, ResourceRejection
from ostiary_operator.compile.routes import server_url

#: The largest document, in bytes.
LARGEST_DOCUMENT: Final = 1024 * 1024


@dataclass(frozen=True, slots=True, eq=False)
class TranslatedServer:
    """The operations of one server, and what its document could not express.

    It is compared by identity, since it is cached.
    """

    config: OpenApiConfig
    omissions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TranslatedServers:
    """The translated servers of a proxy, by name, and what was left out of them."""

    servers: Mapping[str, TranslatedServer]
    omissions: tuple[Omission, ...] = ()


def wanted_documents(namespace: str, spec: ProxySpec) -> Iterator[ReferenceKey]:
    """Yield the ConfigMaps with the documents of a proxy's servers."""
    for server in spec.servers:
        if server.openapi is not None:
            yield _key(server.openapi.config_map_ref, namespace)


def translate_servers(
    title: str, namespace: str, spec: ProxySpec, references: References, cache: Cache
) -> TranslatedServers | ResourceRejection:
    """Return the operations of each server that has a document, or why one cannot be used."""
    found, omissions = {}, []
    for number, server in enumerate(spec.servers):
        if server.openapi is None:
            continue
        field = f"spec.servers[{number}].openapi"
        translated = _translate_server(f"{title}: {field}", namespace, server, references, cache)
        if isinstance(translated, ResourceRejection):
            return translated
        found[server.name] = translated
        omissions += [Omission(field, words) for words in translated.omissions]
    return TranslatedServers(found, tuple(omissions))


def _key(reference: ConfigMapKeyReference, namespace: str) -> ReferenceKey:
    return ReferenceKey("ConfigMap", namespace, reference.name)


def _translate_server(
    where: str, namespace: str, server: Server, references: References, cache: Cache
) -> TranslatedServer | ResourceRejection:
    if server.openapi is None:
        raise AssertionError("only a server with a document is translated")
    reference = server.openapi.config_map_ref
    key = _key(reference, namespace)
    where = f"{where}.configMapRef: {key.kind} {key.namespace}/{key.name}"
    data = references.get(key, Missing.NOT_FOUND)
    if isinstance(data, Missing):
        return unreadable(data, where, key)
    if reference.key not in data:
        message = f"{where} has no key {reference.key}; add it, or correct the reference's key"
        return ResourceRejection(ResolvedRefsReason.REF_NOT_FOUND, message)
    text, headers, queries = data[reference.key], _own_headers(server), _own_queries(server, namespace)
    digest = hashlib.sha256(text.encode("utf-8", "replace")).digest()
    found = cache.get(("openapi", digest, headers, queries), lambda: _translated(text, headers, queries))
    if isinstance(found, str):
        message = f"{where}: key {reference.key} {found}"
        return ResourceRejection(ResolvedRefsReason.REF_INVALID, message)
    return found


def _own_headers(server: Server) -> frozenset[str]:
    """Return the headers that the gateway itself sends to a server, in lower case."""
    found = {header.name for header in server.headers} | {"Authorization"}
    credential = server.credential
    if credential is not None:
        found |= {each.header for each in (credential.identity_assertion,) if each is not None}
        found |= {each.name for each in (credential.header,) if each is not None}
    return frozenset(name.lower() for name in found)


def _own_queries(server: Server, namespace: str) -> frozenset[str]:
    """Return the keys of the query in a server's URL."""
    return frozenset(name for name, _ in parse_qsl(urlsplit(server_url(server, namespace)).query, True))


def _translated(text: str, headers: frozenset[str], queries: frozenset[str]) -> TranslatedServer | str:
    """Return the operations of a document, or what is wrong with it, as the end of a sentence."""
    if len(text.encode("utf-8", "replace")) > LARGEST_DOCUMENT:
        return f"is larger than {LARGEST_DOCUMENT} bytes; leave out what agents do not need"
    try:
        found = translate(_parsed(text), headers=headers, queries=queries)
    except (OpenApiError, StrictJSONError) as error:
        return str(error)
    except YamlError as error:
        return f"is not YAML that is accepted: {error}"
    if not found.config.operations:
        first = f": {found.omissions[0]}" if found.omissions else ""
        return f"has no operation that can be a tool{first}; add one, or correct it"
    return TranslatedServer(found.config, found.omissions)


def _parsed(text: str) -> Any:
    if text.lstrip().startswith("{"):
        try:
            return strict_json.loads(text.encode())
        except UnicodeEncodeError:
            raise OpenApiError("holds characters that are no text") from None
        except StrictJSONError:
            pass  # flow style of YAML begins so, too
    documents = list(read_documents(text, plain_keys=True))
    if len(documents) != 1:
        raise OpenApiError(f"holds {len(documents)} YAML documents, and one is needed")
    return documents[0].value
