"""References to Secrets and CA bundles in the namespace of a resource."""

import enum
from typing import Annotated, Final, TypeAlias

from pydantic import Field

from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Pattern, Unique
from ostiary_operator.api.names import DataKey, ObjectName

PRINTABLE: Final = Pattern(
    "^[!-~]([ -~]*[!-~])?$", "has characters that are not printable ASCII", "use letters, digits and punctuation"
)


class SecretReference(ApiModel):
    """Names a value in a Secret of the namespace of the resource.

    The Secret needs the label `ostiary.dev/usage`, and the annotation `ostiary.dev/hosts` with the hosts that its
    values may be sent to.
    """

    name: ObjectName
    """Name of the Secret. Example: `crm-token`."""

    key: DataKey
    """Key in its data. White space around the value is ignored. Example: `token`."""


class ConfigMapKeyReference(ApiModel):
    """Names a value in a ConfigMap of the namespace of the resource."""

    name: ObjectName
    """Name of the ConfigMap. Example: `orders`."""

    key: DataKey
    """Key in its data. Example: `openapi.yaml`."""


class CertificateSource(enum.StrEnum):
    """Kinds of object that can hold a CA bundle."""

    CONFIG_MAP = "ConfigMap"
    SECRET = "Secret"  # noqa: S105  the name of a kind


class CaCertificateReference(ApiModel):
    """Names a CA bundle in the namespace of the resource."""

    kind: CertificateSource
    """Kind of the object. A Secret must carry the label `ostiary.dev/usage`. Example: `ConfigMap`."""

    name: ObjectName
    """Name of the object. Example: `internal-ca`."""

    key: DataKey = "ca.crt"
    """Key in its data that holds the certificates as PEM. Example: `ca.crt`."""


CaCertificateReferences: TypeAlias = Annotated[
    tuple[CaCertificateReference, ...],
    Field(min_length=1, max_length=4),
    Unique(("kind", "name", "key"), absent=(("key", "ca.crt"),)),
]
"""CA bundles, which count together."""
