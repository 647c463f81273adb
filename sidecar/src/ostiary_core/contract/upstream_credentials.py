"""The credential that a gateway sends to a server, as part of an entry.

No secret is here: its value is an entry of the gateway's Secret.
"""

from ostiary_core.contract.base import ContractDocument


class StaticCredentialConfig(ContractDocument):
    """A credential that is sent as it is: in ``header``, after ``prefix``.

    ``secret`` names an entry of the gateway's Secret.
    """

    header: str
    prefix: str = ""
    secret: str


class UpstreamCredentialConfig(ContractDocument):
    """The credential that the gateway sends to a server; exactly one member is set."""

    static: StaticCredentialConfig | None = None

    @property
    def secrets(self) -> tuple[str, ...]:
        """The entries of the gateway's Secret that it needs."""
        return (self.static.secret,) if self.static is not None else ()
