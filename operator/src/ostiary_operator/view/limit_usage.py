"""What callers have used of limits, read from replicas and joined into one table."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Final, Self

import aiohttp

from ostiary_core.errors import OstiaryError
from ostiary_operator.local.console import printable
from ostiary_operator.status.replicas import NoResponse
from ostiary_operator.view import admin_client, tables
from ostiary_operator.view.admin_client import AdminPort

HEADER: Final = ("POLICY", "LIMIT", "FOR", "USED", "OF", "LEFT", "UNIT", "AVAILABLE AGAIN")
_PATH: Final = "/limits"
#: Keys of one replica that are read, a page at a time.
_PAGE: Final = 1000
_MOST_PAGES: Final = 10
_SHARED: Final = "Shared"


@dataclass(frozen=True, slots=True)
class LimitUsage:
    """What one key has used of a limit. ``reset_at`` is RFC 3339, empty where it is not known."""

    policy: str
    limit: str
    key: str
    dimensions: tuple[tuple[str, str], ...]
    unit: str
    used: int
    amount: int
    reset_at: str = ""
    shadow: bool = False

    @property
    def remaining(self) -> int:
        """What is left; 0 where more was used than there is."""
        return max(0, self.amount - self.used)

    @property
    def identity(self) -> tuple[str, str, str]:
        """What makes it the same key on another replica."""
        return self.policy, self.limit, self.key

    @classmethod
    def parse(cls, found: Any) -> Self:
        """Read a key of a page, which is untrusted.

        Raises:
            NoResponse: it is none.
        """
        try:
            dimensions = tuple((_text(name), _text(value)) for name, value in found["dimensions"].items())
            return cls(
                policy=_text(found["policy"]),
                limit=_text(found["limit"]),
                key=str(found["key"]),
                dimensions=dimensions,
                unit=_text(found["unit"]),
                used=int(found["used"]),
                amount=int(found["amount"]),
                reset_at=_text(found.get("resetAt") or ""),
                shadow=found.get("shadow") is True,
            )
        except (KeyError, TypeError, ValueError, AttributeError):
            raise NoResponse("its page of limits has another form: is it of another version?") from None

    def joined(self, other: "LimitUsage", *, shared: bool) -> "LimitUsage":
        """Return the usage at two replicas: their sum, unless they share one counter."""
        used = max(self.used, other.used) if shared else self.used + other.used
        return replace(self, used=used, reset_at=max(self.reset_at, other.reset_at))

    def as_object(self) -> dict[str, Any]:
        """Return it for programs."""
        return {
            "policy": self.policy,
            "limit": self.limit,
            "dimensions": dict(self.dimensions),
            "unit": self.unit,
            "used": self.used,
            "amount": self.amount,
            "remaining": self.remaining,
            "resetAt": self.reset_at or None,
        } | ({"shadow": True} if self.shadow else {})

    def row(self, now: datetime) -> tuple[str, ...]:
        """Return its row under :data:`HEADER`."""
        whom = ", ".join(f"{name} {value}" if value else f"no {name.lower()}" for name, value in self.dimensions)
        unit = f"{self.unit} (shadow)" if self.shadow else self.unit
        numbers = f"{self.used:,}", f"{self.amount:,}", f"{self.remaining:,}"
        return self.policy, self.limit, whom, *numbers, unit, _when(self.reset_at, now)


@dataclass(frozen=True, slots=True)
class LimitUsages:
    """All keys, of the ``replicas`` that answered; ``problems`` are of those that did not.

    ``shared`` says that the replicas share their counters.
    """

    keys: tuple[LimitUsage, ...]
    problems: tuple[str, ...]
    replicas: int
    shared: bool = False
    is_cut: bool = False

    @property
    def answered(self) -> bool:
        """Whether any replica did."""
        return self.replicas > 0

    @property
    def is_sum(self) -> bool:
        """Whether numbers are sums over replicas, each of which lets the whole limit through."""
        return self.replicas > 1 and not self.shared and bool(self.keys)

    def as_object(self) -> dict[str, Any]:
        """Return it for programs."""
        return {"shared": self.shared, "keys": [each.as_object() for each in self.keys], "problems": self.problems}

    def table(self, *, proxy: str = "", paint: tables.Paint = tables.plain) -> str:
        """Return the table for people: of one MCPProxy (``namespace/name``), or of all."""
        now = datetime.now(UTC)
        rows = [each.row(now) for each in self.keys]
        whose = f"no limit of MCPProxy {proxy}" if proxy else "no limit"
        return tables.render(HEADER, rows, paint=paint) if rows else f"{whose} has counted anything\n"


async def read(http: aiohttp.ClientSession, ports: Sequence[AdminPort], *, proxy: str) -> LimitUsages:
    """Read the usage of the limits of an MCPProxy (``namespace/name``), or of all."""
    found = await asyncio.gather(*(_of_replica(http, port, proxy) for port in ports))
    pages = [each for each in found if not isinstance(each, str)]
    shared = bool(pages) and all(each.shared for each in pages)
    problems = tuple(each for each in found if isinstance(each, str))
    return LimitUsages(
        keys=_joined((usage for each in pages for usage in each.keys), shared=shared),
        problems=problems,
        replicas=len(pages),
        shared=shared,
        is_cut=any(each.is_cut for each in pages),
    )


def _joined(usages: Iterable[LimitUsage], *, shared: bool) -> tuple[LimitUsage, ...]:
    """Return one usage for each key, the most used first."""
    by_key: dict[tuple[str, str, str], LimitUsage] = {}
    for each in usages:
        known = by_key.get(each.identity)
        by_key[each.identity] = each if known is None else known.joined(each, shared=shared)
    return tuple(sorted(by_key.values(), key=lambda each: (each.policy, each.limit, -each.used, each.key)))


@dataclass(frozen=True, slots=True)
class _ReplicaPages:
    keys: tuple[LimitUsage, ...]
    shared: bool
    is_cut: bool


async def _of_replica(http: aiohttp.ClientSession, port: AdminPort, proxy: str) -> "_ReplicaPages | str":
    """Return what a replica reports, or why it does not."""
    try:
        return await _pages(lambda query: admin_client.document(http, port, _PATH, query), proxy)
    except OstiaryError as error:
        return f"replica {port.replica}: {error}"


async def _pages(ask: Callable[[Mapping[str, str]], Any], proxy: str) -> _ReplicaPages:
    keys: list[LimitUsage] = []
    shared = False
    query = {"most": str(_PAGE), **({"proxy": proxy} if proxy else {})}
    for _ in range(_MOST_PAGES):
        page = await ask(query)
        if not isinstance(page, dict) or not isinstance(page.get("keys"), list):
            raise NoResponse("its answer is no page of limits")
        keys += map(LimitUsage.parse, page["keys"])
        shared = page.get("counters") == _SHARED
        following = page.get("next")
        if not isinstance(following, str):
            return _ReplicaPages(tuple(keys), shared, is_cut=False)
        query["after"] = following
    return _ReplicaPages(tuple(keys), shared, is_cut=True)


def _text(value: Any) -> str:
    return printable(str(value), limit=128)


def _when(reset_at: str, now: datetime) -> str:
    """Return in how much time a limit is whole again."""
    if not reset_at:
        return ""
    try:
        left = (datetime.fromisoformat(reset_at) - now).total_seconds()
    except (ValueError, TypeError):
        return ""
    return f"in {tables.age(left)}" if left > 0 else "now"
