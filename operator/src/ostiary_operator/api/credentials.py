"""The credential that gateways send to a server: `credential` of a server in an MCPProxy."""

from ostiary_operator.api.authentication import CredentialHeader, Scheme
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Rule
from ostiary_operator.api.names import DataKey, ObjectName


class SecretReference(ApiModel):
    """Names a value in a Secret of the namespace of the resource.

    The Secret needs the label `ostiary.dev/usage`, and the annotation `ostiary.dev/hosts` with the hosts that its
    values may be sent to.
    """

    name: ObjectName
    """Name of the Secret. Example: `crm-token`."""

    key: DataKey
    """Key in its data. White space around the value is ignored. Example: `token`."""


class BearerCredential(ApiModel):
    """A token that is sent as `Authorization: Bearer`."""

    secret_ref: SecretReference
    """The token. Example: `{name: crm-token, key: token}`."""


class HeaderCredential(ApiModel):
    """A value that is sent in a header."""

    name: CredentialHeader
    """Name of the header. Example: `X-Api-Key`."""

    scheme: Scheme | None = None
    """Word that precedes the value. Absent means the value alone. Example: `Token`."""

    secret_ref: SecretReference
    """The value. Example: `{name: crm-key, key: api-key}`."""


class UpstreamCredential(ApiModel):
    """The gateway's own credential for a server, which never gets a caller's."""

    bearer: BearerCredential | None = None
    """Sends a token. Exactly one of the members must be set.
    Example: `{secretRef: {name: crm-token, key: token}}`."""

    header: HeaderCredential | None = None
    """Sends a value in a header. Exactly one of the members must be set.
    Example: `{name: X-Api-Key, secretRef: {name: crm-key, key: api-key}}`."""

    constraints = (
        Rule(
            "has(self.bearer) != has(self.header)",
            lambda it: (it.bearer is None) != (it.header is None),
            "needs exactly one kind of credential",
            "set bearer or header",
        ),
    )
