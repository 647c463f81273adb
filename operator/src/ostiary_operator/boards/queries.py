"""The PromQL of a panel: a template into which a selection and a range are filled.

    $proxies     matchers for series of proxies
    $gateways    matchers for series of processes
    $range       the whole time that is shown, such as `24h`
    $step        the time between two points of a chart

What is filled in by the console comes from callers and from clusters, so it is quoted for PromQL and for its regular
expressions; Grafana and Perses fill in variables of their own.
"""

import re
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

#: Matches the identity of every proxy, and not the empty one of requests that no proxy serves.
EVERY_PROXY: Final = ".+"
_LABEL: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]*")
_SPECIAL: Final = re.compile(r"[\\.+*?()|\[\]{}^$]")


@dataclass(frozen=True, slots=True)
class BoardSelection:
    """Which series a query reads.

    Attributes:
        proxies: identities (``namespace/name``) of MCPProxies, at least one; None for all. Requests whose path
            is that of no proxy are not among them, as in the evidence that gateways keep.
        matchers: further labels that series must have, such as ``{"cluster": "eu"}``.

    Raises:
        ValueError: no proxy is selected, so that there is nothing to ask for, or a label's name is none.
    """

    proxies: tuple[str, ...] | None = None
    matchers: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.proxies == ():
            raise ValueError("select at least one proxy: a query for none of them would read all")
        if wrong := [name for name in self.matchers if not _LABEL.fullmatch(name)]:
            raise ValueError(f"{wrong[0]!r} is no name of a label in Prometheus")

    def of_gateways(self) -> str:
        """Return the matchers for series of processes: at least one, since `{}` is invalid."""
        found = [f"{name}={quoted(value)}" for name, value in sorted(self.matchers.items())]
        return ",".join(found or ['job=~".*"'])

    def of_proxies(self) -> str:
        """Return the matchers for series of proxies."""
        wanted = EVERY_PROXY if self.proxies is None else "|".join(map(escaped, self.proxies))
        return f"{self.of_gateways()},ostiary_proxy=~{quoted(wanted)}"


#: Every series of processes, and every one of a proxy.
EVERYTHING: Final = BoardSelection()


def filled(template: str, *, proxies: str, gateways: str, range_: str, step: str) -> str:
    """Return a query with its placeholders filled in.

    Raises:
        ValueError: the template has a placeholder that is not known.
    """
    try:
        values = {"proxies": proxies, "gateways": gateways, "range": range_, "step": step}
        return string.Template(template).substitute(values)
    except KeyError as error:
        raise ValueError(f"${error.args[0]} is no placeholder: use $proxies, $gateways, $range or $step") from None


def selected(template: str, selection: BoardSelection, *, seconds: int, step_seconds: int) -> str:
    """Return a query for these series, a range and the step of a chart, in seconds.

    Raises:
        ValueError: a duration is not positive.
    """
    if seconds < 1 or step_seconds < 1:
        raise ValueError("the range and the step of a query are at least one second")
    return filled(
        template,
        proxies=selection.of_proxies(),
        gateways=selection.of_gateways(),
        range_=f"{seconds}s",
        step=f"{step_seconds}s",
    )


def escaped(text: str) -> str:
    """Return an expression of RE2, Prometheus' engine, that matches exactly this text."""
    return _SPECIAL.sub(r"\\\g<0>", text)


def quoted(text: str) -> str:
    """Return a string literal of PromQL; bytes that text may not have in it are escaped."""
    escapes = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\0": "\\x00"}
    return '"' + "".join(escapes.get(each, each) for each in text) + '"'
