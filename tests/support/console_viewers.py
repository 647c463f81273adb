"""Viewers of the console in tests: an admission that lets everyone in, with chosen rights."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from aiohttp import web

from ostiary_operator.console.access.rights import LOCAL_VIEWER, Right, Viewer, ViewerRights


@dataclass
class ChosenRights:
    """The rights of a viewer: to these proxies, by right; a right that is not listed is to none."""

    of: Mapping[Right, Collection[str]]

    async def may(self, right: Right, *, namespace: str, name: str) -> bool:
        """Return whether the right is to this object."""
        return f"{namespace}/{name}" in self.of.get(right, ())

    async def visible(self, right: Right, identities: Sequence[str]) -> frozenset[str]:
        """Return those objects to which the right is."""
        return frozenset(self.of.get(right, ())) & frozenset(identities)


@dataclass(frozen=True)
class OnlyRights:
    """The rights of a viewer: by right, the namespaces of its objects (None: all)."""

    namespaces: Mapping[Right, frozenset[str] | None]

    async def may(self, right: Right, *, namespace: str, name: str) -> bool:
        del name
        allowed = self.namespaces.get(right, frozenset())
        return allowed is None or namespace in allowed

    async def visible(self, right: Right, identities: Sequence[str]) -> frozenset[str]:
        return frozenset(
            [each for each in identities if await self.may(right, namespace=each.partition("/")[0], name="")]
        )


#: A viewer of the machine on which the console runs.
EVERYTHING = OnlyRights(dict.fromkeys(Right))


def tenant(namespace: str, *rights: Right) -> OnlyRights:
    """The rights of a viewer in one namespace only; without ``rights`` all of them."""
    return OnlyRights(dict.fromkeys(rights or Right, frozenset({namespace})))


@dataclass(frozen=True)
class OneViewer:
    """An admission that lets every request in, as the viewer of this machine, with the rights of the test."""

    granted: ViewerRights

    async def identify(self, _request: web.Request) -> Viewer | None:
        """Return the viewer."""
        return LOCAL_VIEWER

    def rights(self, _viewer: Viewer) -> ViewerRights:
        """Return the rights of the test."""
        return self.granted

    def refuse(self, _request: web.Request) -> NoReturn:
        """Never called."""
        raise AssertionError("every request has a viewer")

    def routes(self) -> Sequence[web.RouteDef]:
        """Return none."""
        return ()

    async def close(self) -> None:
        """Close nothing."""
