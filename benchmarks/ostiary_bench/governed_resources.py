"""The proxies of :mod:`.governed`: each has one part of governance more than the one before."""

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from ostiary_bench.access_resources import SigningIssuer
from ostiary_bench.gateways_under_test import policy, proxy
from ostiary_bench.servers import Upstream

#: The proxy without a policy.
PLAIN: Final = "call-json"
#: The proxies, and what each adds to the one before.
STEPS: Final = {
    "with-token": "and a JWT, verified before",
    "with-rules": "and 100 access rules",
    "with-limits": "and two limits",
    "with-audit": "and an audit record, as of a tool that only reads",
}
#: The proxy with everything.
WHOLE: Final = "with-audit"
#: The same, with the two records of a call that may have effects.
TWO_RECORDS: Final = "with-two-records"
#: A rate and a quota that are never used up.
_QUOTA: Final = {"name": "quota", "per": ["Principal", "Tool"], "requests": 1_000_000_000, "window": "24h"}
_RATE: Final = {"name": "rate", "tools": {"names": ["get_*"]}, "per": ["Principal"], "requests": 1_000_000}
LIMITS: Final = ({**_RATE, "window": "1s"}, _QUOTA)
#: Units of a rate are leased only where its burst is in use, which a rate that is never used up does not show.
QUOTAS: Final = (_QUOTA, {**_QUOTA, "name": "proxy", "per": ["Principal", "Proxy"]})


def resources(
    upstream: Upstream, issuer: SigningIssuer, limits: Sequence[Mapping[str, Any]] = LIMITS
) -> Iterator[dict[str, Any]]:
    """Yield each proxy with its policy."""
    yield proxy(PLAIN, upstream.url("call-json"))
    for path, spec in _specs(issuer, limits).items():
        yield proxy(path, upstream.url("call-json"))
        document = policy(path, [path], 1)
        yield {**document, "spec": {"targetRefs": document["spec"]["targetRefs"], **spec}}


def _specs(issuer: SigningIssuer, two: Sequence[Mapping[str, Any]]) -> Mapping[str, dict[str, Any]]:
    token = {"authentication": issuer.authentication}
    rules = {**token, "access": policy("any", [], 100)["spec"]["access"]}
    limited = {**rules, "limits": list(two)}
    one = {"level": "Metadata", "stages": ["ResponseComplete"]}
    twice = {"level": "Metadata", "stages": ["RequestReceived", "ResponseComplete"]}
    audited = ({**limited, "audit": one}, {**limited, "audit": twice})
    return dict(zip((*STEPS, TWO_RECORDS), (token, rules, limited, *audited), strict=True))


def settings(audit_file: Path, store: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Return the settings of the gateway: audit records go to a file, and limits to a store where one is given."""
    audit = {"sinks": [{"file": {"path": str(audit_file), "maxSize": "1Gi", "maxFiles": 2}}]}
    return {"audit": audit} | ({"limitStore": dict(store)} if store is not None else {})


def tracing(endpoint: str, share: str) -> dict[str, str]:
    """Return the environment of a gateway that traces this share of calls: ``0 %`` is tracing that is off."""
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    if share == "0 %":
        return clean
    ratio = str(float(share.removesuffix(" %")) / 100)
    sampler = {"OTEL_TRACES_SAMPLER": "traceidratio", "OTEL_TRACES_SAMPLER_ARG": ratio}
    return {**clean, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, **sampler}
