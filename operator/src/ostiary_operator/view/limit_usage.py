"""What callers have used of limits, read from replicas and joined into one table."""

import itertools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Self

from pydantic import Field, TypeAdapter, ValidationError

from ostiary_core.evidence.document import EvidenceDocument, Number, Word
from ostiary_operator.local.console import printable
from ostiary_operator.status.replicas import NoResponse
from ostiary_operator.view import tables

HEADER: Final = ("POLICY", "LIMIT", "FOR", "USED", "OF", "LEFT", "UNIT", "AVAILABLE AGAIN")
#: Keys of one replica that are read, a page at a time.
PAGE: Final = 1000
MOST_PAGES: Final = 10
_SHARED: Final = "Shared"
#: Dimensions of one key: there are no more to count by.
_MOST_DIMENSIONS: Final = 16
_NUMBER: Final = TypeAdapter(Number)


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
    def share(self) -> float:
        """The part of the limit that is used: above 1 where more was used than there is."""
        return self.used / self.amount if self.amount > 0 else 1.0

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
            named = itertools.islice(found["dimensions"].items(), _MOST_DIMENSIONS)
            dimensions = tuple((_text(name), _text(value)) for name, value in named)
            return cls(
                policy=_text(found["policy"]),
                limit=_text(found["limit"]),
                key=str(found["key"]),
                dimensions=dimensions,
                unit=_text(found["unit"]),
                used=_NUMBER.validate_python(found["used"], strict=True),
                amount=_NUMBER.validate_python(found["amount"], strict=True),
                reset_at=_text(found.get("resetAt") or ""),
                shadow=found.get("shadow") is True,
            )
        except (KeyError, TypeError, ValidationError, AttributeError):
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
        return self.policy, self.limit, whom, *numbers, unit, available_again(self.reset_at, now)


class LimitsDocument(EvidenceDocument):
    """What ``/evidence/limits`` answers: keys, and whether replicas share their counters.

    ``next`` is set where there are more keys: give it as ``after``.
    """

    keys: Annotated[tuple[dict[str, Any], ...], Field(max_length=PAGE, strict=False)] = ()
    counters: Word = ""
    next: Annotated[str, Field(max_length=8192)] | None = None


@dataclass(frozen=True, slots=True)
class LimitUsages:
    """What all keys have used, of several replicas together.

    ``replicas`` are those that answered; ``shared`` says that they share their counters. With ``is_cut`` there are
    more keys than were read.
    """

    keys: tuple[LimitUsage, ...] = ()
    replicas: int = 0
    shared: bool = False
    is_cut: bool = False

    @property
    def is_sum(self) -> bool:
        """Whether numbers are sums over replicas, each of which lets the whole limit through."""
        return self.replicas > 1 and not self.shared and bool(self.keys)

    def table(self, *, proxy: str = "", paint: tables.Paint = tables.plain) -> str:
        """Return the table for people: of one MCPProxy (``namespace/name``), or of all."""
        now = datetime.now(UTC)
        rows = [each.row(now) for each in self.keys]
        whose = f"no limit of MCPProxy {proxy}" if proxy else "no limit"
        return tables.render(HEADER, rows, paint=paint) if rows else f"{whose} has counted anything\n"


def of_replica(pages: Sequence[LimitsDocument]) -> LimitUsages:
    """Return what one replica reports on its pages, of which there is at least one.

    Raises:
        NoResponse: a key is none.
    """
    keys = tuple(LimitUsage.parse(key) for page in pages for key in page.keys)
    is_shared = all(page.counters == _SHARED for page in pages)
    return LimitUsages(keys, 1, is_shared, is_cut=pages[-1].next is not None)


def joined_usages(found: Iterable[LimitUsages]) -> LimitUsages:
    """Return what several replicas report as one, the keys that are nearest to the end first."""
    parts = list(found)
    shared = bool(parts) and all(each.shared for each in parts)
    return LimitUsages(
        keys=_joined((usage for each in parts for usage in each.keys), shared=shared),
        replicas=sum(each.replicas for each in parts),
        shared=shared,
        is_cut=any(each.is_cut for each in parts),
    )


def _joined(usages: Iterable[LimitUsage], *, shared: bool) -> tuple[LimitUsage, ...]:
    by_key: dict[tuple[str, str, str], LimitUsage] = {}
    for each in usages:
        known = by_key.get(each.identity)
        by_key[each.identity] = each if known is None else known.joined(each, shared=shared)
    return tuple(sorted(by_key.values(), key=lambda each: (-each.share, each.policy, each.limit, each.key)))


def _text(value: Any) -> str:
    return printable(str(value), limit=128)


def available_again(reset_at: str, now: datetime) -> str:
    """Return in how much time a limit is whole again; empty where it is not known."""
    if not reset_at:
        return ""
    try:
        left = (datetime.fromisoformat(reset_at) - now).total_seconds()
    except (ValueError, TypeError):
        return ""
    return f"in {tables.age(left)}" if left > 0 else "now"
