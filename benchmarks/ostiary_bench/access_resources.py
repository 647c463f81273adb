"""The proxies of :mod:`.access`, each with a policy, and the credentials of their caller."""

import base64
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from jwt.algorithms import ECAlgorithm

from ostiary_bench.gateways_under_test import policy, proxy
from ostiary_bench.servers import Upstream

API_KEY: Final = "a-key-for-the-benchmark-only"
_ISSUER: Final = "https://id.example.com"
_AUDIENCE: Final = "https://mcp.example.com"
#: The most rules of one policy.
_RULES_EACH: Final = 250
_LIFETIME_SECONDS: Final = 6 * 3600
#: The claims that a token of an enterprise's identity provider has besides those that are verified.
_CLAIMS: Final = {
    "client_id": "support-agent",
    "groups": ["support", "readers"],
    "scope": "tickets:read tickets:write",
    "tenant": "emea",
    "name": "Support agent",
}
OF_CLAIMS: Final = 'claims.tenant == "emea"'
OF_ARGUMENTS: Final = "int(args.limit) <= 100"


class SigningIssuer:
    """Signs access tokens with ES256; its key is in the policies."""

    def __init__(self) -> None:
        self._private = generate_private_key(SECP256R1())

    def token(self, subject: str = "agent-1") -> str:
        """Return a token of one caller."""
        now = int(time.time())
        times = {"iat": now, "exp": now + _LIFETIME_SECONDS}
        claims = {"iss": _ISSUER, "aud": _AUDIENCE, "sub": subject, **times, **_CLAIMS}
        return jwt.encode(claims, self._private, algorithm="ES256", headers={"kid": "bench"})

    @property
    def authentication(self) -> dict[str, Any]:
        """The part of a policy that accepts its tokens."""
        key = ECAlgorithm.to_jwk(self._private.public_key(), as_dict=True)
        keys = {"keys": [{**key, "kid": "bench", "alg": "ES256", "use": "sig"}]}
        mapped = {"consumerClaim": ["client_id"], "groupsClaim": ["groups"]}
        issuer = {"issuer": _ISSUER, "audiences": [_AUDIENCE], "jwks": json.dumps(keys), **mapped}
        return {"jwt": {"issuers": [issuer]}}


def resources(upstream: Upstream, issuer: SigningIssuer) -> Iterator[dict[str, Any]]:
    """Yield a Secret, and for each name in :func:`policies` a proxy for each message, with its policy."""
    yield key_secret()
    for kind in ("call-json", "list-200", "list-200-new"):
        yield proxy(kind, upstream.url(kind))
    for name, (kinds, spec) in policies(issuer).items():
        names = [f"{name}-{kind}" for kind in kinds]
        for kind, path in zip(kinds, names, strict=True):
            yield proxy(path, upstream.url(kind))
        yield from _policies(name, names, spec)


def policies(issuer: SigningIssuer) -> Mapping[str, tuple[Sequence[str], dict[str, Any]]]:
    """Return the messages and the spec of each policy, by name."""
    tokens = {"authentication": issuer.authentication}
    call, lists = ("call-json",), ("call-json", "list-200", "list-200-new")
    return {
        "key": (call, {"authentication": {"apiKey": {"selector": {}}}}),
        "token": (call, tokens),
        "rules-10": (call, _rules(10)),
        "rules-100": (lists, _rules(100)),
        "rules-1000": (call, _rules(1000)),
        "token-rules": (lists, {**tokens, **_rules(100)}),
        "token-claims": (lists, {**tokens, **_rules(100, when=OF_CLAIMS)}),
        "token-message": (call, {**tokens, **_rules(100, when=OF_ARGUMENTS)}),
        "token-arguments": (call, {**tokens, **_rules(100, arguments=[{"path": ["limit"], "maximum": 100}])}),
    }


def _rules(count: int, **conditions: Any) -> dict[str, Any]:
    """Return ``count`` rules of which the last allows, with these conditions, the tool that is called."""
    access = policy("any", [], count)["spec"]["access"]
    access["rules"][-1] |= conditions
    return {"access": access}


def _policies(name: str, proxies: Sequence[str], spec: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield a policy, or several for more rules than one may have."""
    rules = spec.get("access", {}).get("rules", [])
    for start in range(0, max(len(rules), 1), _RULES_EACH):
        document = policy(f"{name}-{start}", proxies, 0)
        targets = {"targetRefs": document["spec"]["targetRefs"]}
        part = {"access": {"rules": rules[start : start + _RULES_EACH]}} if rules else {}
        yield {**document, "spec": {**targets, **spec, **part}}


def key_secret() -> dict[str, Any]:
    """Return the Secret with :data:`API_KEY`."""
    metadata = {"name": "agent", "namespace": "bench", "uid": "agent", "labels": {"ostiary.dev/usage": "api-key"}}
    data = {"key": base64.b64encode(API_KEY.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "data": data}
