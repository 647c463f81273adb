"""The kinds that the operator reads or writes: API paths, and the names of its objects."""

from dataclasses import dataclass
from typing import Final
from urllib.parse import quote

from ostiary_operator.compile.foreign_servers import GRANT_GROUP, GRANT_KIND

GROUP: Final = "ostiary.dev"


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of one API version. ``group`` is empty for the core API."""

    group: str
    version: str
    plural: str
    name: str
    namespaced: bool = True

    @property
    def api_version(self) -> str:
        """The ``apiVersion`` of its objects."""
        return f"{self.group}/{self.version}" if self.group else self.version

    @property
    def resource(self) -> str:
        """The plural with its group, as RBAC messages and ``kubectl`` write it."""
        return f"{self.plural}.{self.group}" if self.group else self.plural

    def path(self, *, namespace: str | None = None, name: str | None = None, subresource: str | None = None) -> str:
        """Return the path of a collection, object or subresource; no namespace is cluster-wide."""
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        where = f"/namespaces/{quote(namespace, safe='')}" if namespace is not None and self.namespaced else ""
        parts = (f"{root}{where}/{self.plural}", quote(name or "", safe=""), subresource)
        return "/".join(part for part in parts if part)


PROXY: Final = Kind(GROUP, "v1alpha1", "mcpproxies", "MCPProxy")
POLICY: Final = Kind(GROUP, "v1alpha1", "mcppolicies", "MCPPolicy")
LOCK: Final = Kind(GROUP, "v1alpha1", "mcplocks", "MCPLock")
SERVICE: Final = Kind("", "v1", "services", "Service")
CONFIG_MAP: Final = Kind("", "v1", "configmaps", "ConfigMap")
SECRET: Final = Kind("", "v1", "secrets", "Secret")
NAMESPACE: Final = Kind("", "v1", "namespaces", "Namespace", namespaced=False)
ENDPOINT_SLICE: Final = Kind("discovery.k8s.io", "v1", "endpointslices", "EndpointSlice")
EVENT: Final = Kind("events.k8s.io", "v1", "events", "Event")
DEPLOYMENT: Final = Kind("apps", "v1", "deployments", "Deployment")
DEFINITION: Final = Kind(
    "apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition", namespaced=False
)
LEASE: Final = Kind("coordination.k8s.io", "v1", "leases", "Lease")
ACCESS_REVIEW: Final = Kind(
    "authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", namespaced=False
)
#: What a user may do: in the whole cluster, and in one namespace, which needs no right beyond that namespace.
SUBJECT_REVIEW: Final = Kind(
    "authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", namespaced=False
)
LOCAL_SUBJECT_REVIEW: Final = Kind(
    "authorization.k8s.io", "v1", "localsubjectaccessreviews", "LocalSubjectAccessReview"
)
#: Whose a bearer token is.
TOKEN_REVIEW: Final = Kind("authentication.k8s.io", "v1", "tokenreviews", "TokenReview", namespaced=False)
#: Gateway API's permission to refer across namespaces: the version that is read, and the one before it.
REFERENCE_GRANTS: Final = tuple(
    Kind(GRANT_GROUP, version, "referencegrants", GRANT_KIND) for version in ("v1", "v1beta1")
)

#: The kinds of Ostiary's own CRDs.
OURS: Final = (PROXY, POLICY, LOCK)

#: One field manager for each use: two uses of one manager would remove each other's fields.
CONFIG_MANAGER: Final = "ostiary-operator/config"
SECRET_MANAGER: Final = "ostiary-operator/secret"  # noqa: S105  the name of a field manager
PROXY_STATUS_MANAGER: Final = "ostiary-operator/proxy-status"
POLICY_STATUS_MANAGER: Final = "ostiary-operator/policy-status"
LOCK_STATUS_MANAGER: Final = "ostiary-operator/lock-status"
LEASE_MANAGER: Final = "ostiary-operator/lease"
#: Creating a Lease sets no holder, so that of two replicas that create it at once neither holds it yet.
LEASE_MAKER: Final = "ostiary-operator/lease-maker"

#: The Lease in each served namespace that names the operator which serves it.
CLAIM: Final = "ostiary-claim"
