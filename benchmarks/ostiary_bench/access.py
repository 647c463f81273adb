"""The cost of a known caller, of access rules, and of conditions, as multiples of a call without a policy.

Each way to call is measured in turns with the same call at a proxy without a policy, in the same process. The multiple
is the median over the pairs, so other work on the machine changes it little.
"""

import os
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from ostiary_bench import messages
from ostiary_bench.access_resources import API_KEY, SigningIssuer, resources
from ostiary_bench.calls import collector, ending
from ostiary_bench.gateways_under_test import compile_into, start_gateway
from ostiary_bench.load import Load, Open, measured_loop, open_loop, require_result
from ostiary_bench.servers import Upstream
from ostiary_tools.common.processes import Process

TITLE: Final = "## Callers and rules"
#: More than the gateway remembers, so that a token is unknown whenever it is sent again.
_NEW_TOKENS: Final = 10_000
#: Calls a second of the open loop.
_RATE: Final = 100
_LATENCY_SECONDS: Final = 2.0
_SECTION: Final = """{title}

What it costs to know the caller, to judge its call, and to filter its list. Each row is measured in pairs: the same
message is sent to a proxy without a policy and to one with this policy, in turns, in one gateway process that samples
no spans. The multiple is the median of the pairs, and the target is the most that it may be; a multiple above its
target is bold. `make bench ONLY=access` runs it.

- A JWT is verified once. Its verdict is kept by the SHA-256 of the header, until the token expires at most. Every ten
  seconds it is checked whether the issuer still publishes the key. The rows with a new JWT in each call show what the
  verdict saves.
- Rules, subjects, scopes and conditions on claims are decided once for each caller and name. So neither the number of
  rules nor such a condition is part of the cost of a call.
- Conditions and constraints on arguments are evaluated for each call. Prefer a constraint where both can state the
  rule: it costs less.
- The gateway recognises a list that it has filtered before, and does not parse it again; `list-200-new` differs each
  time.

Measured {at} on {machine}. Latencies
are those of {rate} calls a second. Other work on the machine makes them longer, and hardly changes the multiples.

| what the policy needs | message | CPU a call | x without policy | target | p50 / p99 without | p50 / p99 with |
|---|---|---:|---:|---:|---:|---:|
{table}
"""


@dataclass(frozen=True, slots=True)
class Way:
    """One way to call: what it is, the message, the proxy, and the most that it may cost as a multiple."""

    name: str
    kind: str
    path: str
    credential: str = ""
    at_most: float | None = None


_TOKEN: Final = "token"  # noqa: S105  which credential, not one
_NEW_TOKEN: Final = "new token"  # noqa: S105
_KEY: Final = "key"
WAYS: Final = (
    Way("API key", "call-json", "key", _KEY),
    Way("JWT, verified before", "call-json", "token", _TOKEN),
    Way("JWT, each call a new one", "call-json", "token", _NEW_TOKEN),
    Way("10 rules", "call-json", "rules-10"),
    Way("100 rules", "call-json", "rules-100"),
    Way("1,000 rules", "call-json", "rules-1000"),
    Way("JWT, 100 rules", "call-json", "token-rules", _TOKEN, at_most=1.2),
    Way("JWT, 100 rules, a condition on claims", "call-json", "token-claims", _TOKEN, at_most=1.3),
    Way("JWT, 100 rules, a condition on arguments", "call-json", "token-message", _TOKEN),
    Way("JWT, 100 rules, a constraint on arguments", "call-json", "token-arguments", _TOKEN),
    Way("each call a new JWT, 100 rules, a condition on claims", "call-json", "token-claims", _NEW_TOKEN),
    Way("100 rules", "list-200", "rules-100", at_most=2.0),
    Way("JWT, 100 rules, a condition on claims", "list-200", "token-claims", _TOKEN, at_most=2.0),
    Way("100 rules", "list-200-new", "rules-100", at_most=2.0),
    Way("JWT, 100 rules, a condition on claims", "list-200-new", "token-claims", _TOKEN, at_most=2.0),
)


@dataclass(frozen=True, slots=True)
class WayRow:
    """The cost of one way to call: CPU in microseconds, and the multiple of a call without a policy."""

    name: str
    kind: str
    cpu_microseconds: float
    multiple: float
    at_most: float | None
    latency: Open
    ungoverned: Open


def measure(*, rounds: int, seconds: float = 1.0, ways: Sequence[Way] = WAYS) -> list[WayRow]:
    """Measure each way in ``rounds`` pairs, in a gateway that samples no trace."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        upstream, issuer = Upstream(path), SigningIssuer()
        compile_into(path / "config", list(resources(upstream, issuer)))
        try:
            with collector(path) as endpoint:
                gateway, port = start_gateway(path, "access", path / "config", env=_unsampled(endpoint))
                with ending(gateway):
                    return list(map(_AccessRun(path, gateway, port, issuer, seconds, rounds).row, ways))
        finally:
            upstream.process.stop(grace=2)


def _unsampled(endpoint: str) -> dict[str, str]:
    clean = {key: value for key, value in os.environ.items() if not key.startswith("OTEL_")}
    return {**clean, "OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_TRACES_SAMPLER": "always_off"}


@dataclass(slots=True)
class _AccessRun:
    """The measurements at one gateway."""

    directory: Path
    gateway: Process
    port: int
    issuer: SigningIssuer
    seconds: float
    rounds: int
    _new_tokens: list[str] = field(default_factory=list)

    def row(self, way: Way) -> WayRow:
        """Measure one way to call in pairs, and print what was found."""
        path, plain, governed = f"{way.path}-{way.kind}", Load(_body(way.kind)), self._load(way)
        require_result(self._url(path), governed)
        pairs = [self._pair((way.kind, plain), (path, governed), swap=n % 2 == 1) for n in range(self.rounds + 1)][1:]
        cost = statistics.median(cost for _, cost in pairs)
        multiple = statistics.median(cost / floor for floor, cost in pairs)
        print(f"  {way.name:58} {way.kind:13} {cost:7.1f} us  x {multiple:.2f}", file=sys.stderr, flush=True)
        ungoverned, latency = self._latency(way.kind, plain), self._latency(path, governed)
        return WayRow(way.name, way.kind, cost, multiple, way.at_most, latency, ungoverned)

    def _pair(self, plain: tuple[str, Load], governed: tuple[str, Load], *, swap: bool) -> tuple[float, float]:
        """Return the microseconds of CPU of a call without a policy, and of one with."""
        found = [self._cost(*each) for each in ((governed, plain) if swap else (plain, governed))]
        return (found[1], found[0]) if swap else (found[0], found[1])

    def _cost(self, path: str, load: Load) -> float:
        loop = measured_loop(self.directory, load, pid=self.gateway.pid, url=self._url(path), seconds=self.seconds)
        return loop.cpu_microseconds

    def _latency(self, path: str, load: Load) -> Open:
        return open_loop(port=self.port, path=f"/{path}/mcp", load=load, rate=_RATE, seconds=_LATENCY_SECONDS)

    def _url(self, path: str) -> str:
        return f"http://127.0.0.1:{self.port}/{path}/mcp"

    def _load(self, way: Way) -> Load:
        body = _body(way.kind)
        if way.credential == _NEW_TOKEN:
            self._new_tokens = self._new_tokens or [self.issuer.token(f"agent-{n}") for n in range(_NEW_TOKENS)]
            return Load(body, tokens=self._new_tokens)
        credential = {_KEY: API_KEY, _TOKEN: self.issuer.token()}.get(way.credential)
        return Load(body, headers={"Authorization": f"Bearer {credential}"} if credential else {})


def _body(kind: str) -> bytes:
    return messages.encoded(messages.LIST if kind.startswith("list") else messages.CALL)


def section(rows: Sequence[WayRow], *, at: str, machine: str) -> str:
    """Return the section of the page."""
    return _SECTION.format(title=TITLE, at=at, machine=machine, rate=_RATE, table="\n".join(map(_line, rows)))


def _line(row: WayRow) -> str:
    target = f"{row.at_most:.1f}" if row.at_most is not None else ""
    is_above = row.at_most is not None and row.multiple > row.at_most
    multiple = f"**{row.multiple:.2f}**" if is_above else f"{row.multiple:.2f}"
    return (
        f"| {row.name} | {row.kind} | {row.cpu_microseconds:.0f} µs | {multiple} | {target} | "
        f"{row.ungoverned.p50:.2f} / {row.ungoverned.p99:.2f} ms | {row.latency.p50:.2f} / {row.latency.p99:.2f} ms |"
    )
