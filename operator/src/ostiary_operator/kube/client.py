"""The verbs that the operator uses, as a protocol: everything above it can run against a cluster kept in memory.

Objects are plain dicts, as the API serves them in JSON.
"""

from collections.abc import Mapping
from typing import Any, Protocol, TypeAlias

from ostiary_operator.kube.kinds import Kind

Object: TypeAlias = dict[str, Any]
Objects: TypeAlias = list[Object]


class KubernetesClient(Protocol):
    """A Kubernetes API. Every method raises :class:`~ostiary_operator.kube.errors.ClusterError`."""

    async def list(self, kind: Kind, *, namespace: str | None = None, selector: str | None = None) -> Objects:
        """Return all objects of a kind, in a namespace or cluster-wide, by label selector; a consistent read.

        Raises:
            KindMissing: the kind is not installed.
        """
        ...

    async def get(self, kind: Kind, *, name: str, namespace: str | None = None) -> Object:
        """Return one object.

        Raises:
            NotFound: it does not exist.
        """
        ...

    async def apply(self, kind: Kind, body: Mapping[str, Any], *, manager: str) -> Object:
        """Apply an object server-side, as ``manager``, taking over fields of others; return it as it is now.

        A ``resourceVersion`` or ``uid`` in the body is a precondition.

        Raises:
            Conflict: the precondition does not hold.
        """
        ...

    async def apply_status(self, kind: Kind, body: Mapping[str, Any], *, manager: str) -> Object:
        """Apply the status subresource, and nothing else, of an object that exists.

        Raises:
            NotFound: it is gone.
            Conflict: another object has its name now.
        """
        ...

    async def create(self, kind: Kind, body: Mapping[str, Any]) -> Object:
        """Create an object, and return it as the API server completed it."""
        ...

    async def patch(self, kind: Kind, body: Mapping[str, Any], *, name: str, namespace: str | None = None) -> Object:
        """Merge a JSON patch (RFC 7396) into an object."""
        ...


def name_of(obj: Mapping[str, Any]) -> str:
    """Return an object's name."""
    name: str = obj["metadata"]["name"]
    return name


def namespace_of(obj: Mapping[str, Any]) -> str:
    """Return an object's namespace; empty for cluster-scoped ones."""
    namespace: str = obj["metadata"].get("namespace", "")
    return namespace


def uid_of(obj: Mapping[str, Any]) -> str:
    """Return an object's uid."""
    uid: str = obj["metadata"].get("uid", "")
    return uid
