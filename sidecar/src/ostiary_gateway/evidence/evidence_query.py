"""The parameters of requests for evidence, read strictly."""

from collections.abc import Set
from dataclasses import dataclass
from typing import Final, Self

from multidict import MultiMapping

from ostiary_core.evidence.document import MOST_NAMED, MOST_PROXIES
from ostiary_core.evidence.proxy_traffic import resolution
from ostiary_core.evidence.recorded_call import MOST_CALLS
from ostiary_core.evidence.traffic_window import QUARTER_SECONDS, QUARTERS, SLOT_SECONDS

_LONGEST: Final = QUARTERS * QUARTER_SECONDS
_PARTS: Final = frozenset({"slots", "quarters", "names", "total"})
#: Proxies of one answer with all their windows, unless another number is asked for.
_USUAL_PROXIES: Final = 50
_DIGITS: Final = 16


class UnusableParameter(Exception):
    """A parameter that cannot be used; the message names it and what it may be."""


@dataclass(frozen=True, slots=True)
class AskedProxies:
    """Which proxies are asked for: of these identities and namespaces; all without any."""

    proxies: frozenset[str] = frozenset()
    namespaces: frozenset[str] = frozenset()

    @classmethod
    def of(cls, given: MultiMapping[str]) -> Self:
        """Read the parameters ``proxy`` and ``namespace``.

        Raises:
            UnusableParameter: there are too many.
        """
        found = {name: frozenset(given.getall(name, [])) for name in ("proxy", "namespace")}
        for name, values in found.items():
            if len(values) > MOST_NAMED:
                raise UnusableParameter(f"{name}: name at most {MOST_NAMED}, in several requests if there are more")
        return cls(found["proxy"], found["namespace"])

    def has(self, proxy: str) -> bool:
        """Return whether a proxy is asked for, by ``namespace/name``."""
        if not self.proxies and not self.namespaces:
            return True
        return proxy in self.proxies or proxy.partition("/")[0] in self.namespaces


@dataclass(frozen=True, slots=True)
class AskedTraffic:
    """What a reader of traffic asks for.

    ``range_seconds`` is how far back; ``after`` is the last proxy of a page.
    """

    choice: AskedProxies
    parts: frozenset[str]
    range_seconds: int
    is_sum: bool
    after: str
    most: int

    @property
    def needed(self) -> frozenset[str]:
        """The parts that are needed: a total is made of slots or quarters."""
        fine = resolution(self.range_seconds) == SLOT_SECONDS
        return self.parts | ({"slots" if fine else "quarters"} if "total" in self.parts else set())

    @classmethod
    def of(cls, given: MultiMapping[str]) -> Self:
        """Read the parameters of ``/evidence/traffic``.

        Raises:
            UnusableParameter: one is unknown, or has no valid value.
        """
        known(given, {"proxy", "namespace", "parts", "range", "sum", "after", "most"})
        parts = frozenset(given.get("parts", "slots,quarters,names").split(","))
        if unknown := parts - _PARTS:
            raise UnusableParameter(f"parts: {min(unknown)[:40]!r} is none of names, quarters, slots, total")
        usual = MOST_PROXIES if parts == {"total"} else _USUAL_PROXIES
        return cls(
            choice=AskedProxies.of(given),
            parts=parts,
            range_seconds=number(given, "range", default=_LONGEST, least=1, most=_LONGEST),
            is_sum=truth(given, "sum"),
            after=given.get("after", ""),
            most=number(given, "most", default=usual, least=1, most=usual),
        )


@dataclass(frozen=True, slots=True)
class AskedCalls:
    """What a reader of calls asks for: those after a number, at most ``limit`` of them.

    With ``follow``, those to come, too.
    """

    choice: AskedProxies
    after: int
    limit: int
    follow: bool

    @classmethod
    def of(cls, given: MultiMapping[str]) -> Self:
        """Read the parameters of ``/evidence/calls``.

        Raises:
            UnusableParameter: one is unknown, or has no valid value.
        """
        known(given, {"proxy", "namespace", "after", "limit", "follow"})
        return cls(
            choice=AskedProxies.of(given),
            after=number(given, "after", default=0, least=0, most=10**_DIGITS),
            limit=number(given, "limit", default=MOST_CALLS, least=1, most=MOST_CALLS),
            follow=truth(given, "follow"),
        )


def known(given: MultiMapping[str], names: Set[str]) -> None:
    """Check that all parameters have one of these names.

    Raises:
        UnusableParameter: one has not.
    """
    if unknown := given.keys() - names:
        raise UnusableParameter(f"unknown parameter {min(unknown)[:40]!r}: there are {', '.join(sorted(names))}")


def number(given: MultiMapping[str], name: str, *, default: int, least: int, most: int) -> int:
    """Return the number that a parameter gives.

    Raises:
        UnusableParameter: it is none, or out of bounds.
    """
    text = given.get(name, str(default))
    if not text.isascii() or not text.isdigit() or len(text) > _DIGITS or not least <= int(text) <= most:
        raise UnusableParameter(f"{name}: use a number from {least} to {most}")
    return int(text)


def truth(given: MultiMapping[str], name: str) -> bool:
    """Return whether a parameter is ``true``; without it, it is not.

    Raises:
        UnusableParameter: it is neither true nor false.
    """
    text = given.get(name, "false")
    if text not in {"true", "false"}:
        raise UnusableParameter(f"{name}: use true or false")
    return text == "true"
