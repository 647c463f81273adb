"""The parameters of a page, as its URL or its form sends them: bounded, and read by type."""

import enum
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, TypeVar

from ostiary_operator.api.labels import is_dns_label
from ostiary_operator.console.errors import BadQuery

#: A name of a tool has up to 1,024 characters; claims and YAML come by POST.
MOST_CHARACTERS: Final = 2048
_MOST_PAGES: Final = 100_000
E = TypeVar("E", bound=enum.StrEnum)


@dataclass(frozen=True, slots=True)
class PageQuery:
    """Parameters by name, one value each. Those of forms may be long, those of a URL may not."""

    values: Mapping[str, str]

    def text(self, name: str, *, limit: int = MOST_CHARACTERS) -> str:
        """Return a text without surrounding whitespace; empty if it is absent.

        Raises:
            BadQuery: it is longer than ``limit`` characters.
        """
        found = self.values.get(name, "").strip()
        if len(found) > limit:
            raise BadQuery(f"{name} has more than {limit} characters: shorten it")
        return found

    def choice(self, name: str, kind: type[E], default: E) -> E:
        """Return one of an enum's values.

        Raises:
            BadQuery: it is none of them; the message lists them.
        """
        found = self.text(name, limit=64)
        try:
            return kind(found) if found else default
        except ValueError:
            raise BadQuery(f"{name} must be one of {', '.join(kind)}") from None

    def number(self, name: str, *, default: int, most: int) -> int:
        """Return a whole number from 1 to ``most``.

        Raises:
            BadQuery: it is not one.
        """
        found = self.text(name, limit=20)
        if not found:
            return default
        if not (found.isascii() and found.isdigit() and 1 <= int(found) <= most):
            raise BadQuery(f"{name} must be a number from 1 to {most}")
        return int(found)

    @property
    def page(self) -> int:
        """The number of the page of a long list, from 1.

        Raises:
            BadQuery: it is not a number.
        """
        return self.number("page", default=1, most=_MOST_PAGES)

    @property
    def proxy(self) -> str:
        """The proxy to which a page is narrowed, as ``namespace/name``; empty for all.

        Raises:
            BadQuery: it is not of this form.
        """
        found = self.text("proxy", limit=512)
        namespace, slash, name = found.partition("/")
        if found and not (slash and name and is_dns_label(namespace) and "/" not in name):
            raise BadQuery("proxy must be NAMESPACE/NAME, such as default/tickets")
        return found

    @property
    def namespace(self) -> str:
        """The namespace to which a page is narrowed; empty for all.

        Raises:
            BadQuery: it is not the name of one.
        """
        found = self.text("namespace", limit=63)
        if found and not is_dns_label(found):
            raise BadQuery("namespace must be the name of a namespace: lower-case letters, digits and hyphens")
        return found

    def without(self, *names: str) -> dict[str, str]:
        """Return the parameters except some: for links that change those."""
        return {name: value for name, value in self.values.items() if name not in names and value}
