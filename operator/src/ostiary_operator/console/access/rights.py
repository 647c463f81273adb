"""Who looks at the console, and what they may see.

A page asks for the right to each object that it shows, and counts and searches only what the viewer may see. A right
that cannot be judged is not a right that is missing: then an error is raised, and the page says so.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, Protocol


@dataclass(frozen=True, slots=True)
class Viewer:
    """A person or a program, as the API server names users.

    ``username`` is empty for the user of this machine, whose rights are those of the files and of the kubeconfig.
    ``groups``, ``uid`` and ``extra`` are what a SubjectAccessReview takes.
    """

    username: str = ""
    groups: tuple[str, ...] = ()
    uid: str = ""
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """What pages call the viewer."""
        return self.username or "you"

    @property
    def key(self) -> tuple[object, ...]:
        """What distinguishes viewers whose rights may differ."""
        extra = tuple(sorted((name, tuple(values)) for name, values in self.extra.items()))
        return (self.username, tuple(sorted(self.groups)), self.uid, extra)


#: The user of the machine on which the console runs.
LOCAL_VIEWER: Final = Viewer()


class Right(Enum):
    """One right to an object: the plural of its kind, and the subresource.

    Each is the verb ``get`` of RBAC in the group ``ostiary.dev``. The subresources exist in rules only: no object has
    them.
    """

    PROXY = ("mcpproxies", "")
    """To see that an MCPProxy exists, its spec and its status."""
    EVIDENCE = ("mcpproxies", "evidence")
    """To see its traffic: counts, durations, names of tools, denials by rule, consumption of limits."""
    CALLS = ("mcpproxies", "calls")
    """To see single calls, the principals that made them, and captured contents."""
    POLICY = ("mcppolicies", "")
    """To see the text of an MCPPolicy, in addition to its name and rule where they decided."""
    LOCK = ("mcplocks", "")
    """To see an MCPLock."""

    @property
    def resource(self) -> str:
        """The plural of the kind."""
        return self.value[0]

    @property
    def subresource(self) -> str:
        """The subresource, empty for the object itself."""
        return self.value[1]

    @property
    def text(self) -> str:
        """The right as RBAC writes it, for messages: ``get mcpproxies/evidence``."""
        return "get " + "/".join(part for part in self.value if part)


class ViewerRights(Protocol):
    """The rights of one viewer.

    Both methods raise :class:`~ostiary_operator.kube.errors.ClusterError`.
    """

    async def may(self, right: Right, *, namespace: str, name: str) -> bool:
        """Return whether the viewer has a right to one object."""
        ...

    async def visible(self, right: Right, identities: Sequence[str]) -> frozenset[str]:
        """Return those objects (``namespace/name``) to which the viewer has the right."""
        ...


class AllRights:
    """The rights of a viewer whom other means restrict already.

    Those are the files of a run, or the viewer's own kubeconfig.
    """

    async def may(self, right: Right, *, namespace: str, name: str) -> bool:  # noqa: ARG002  the protocol's arguments
        """Return True."""
        return True

    async def visible(self, right: Right, identities: Sequence[str]) -> frozenset[str]:  # noqa: ARG002  likewise
        """Return all of them."""
        return frozenset(identities)
