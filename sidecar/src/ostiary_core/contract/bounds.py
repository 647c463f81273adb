"""The limits of one gateway process, as part of its settings."""

from pydantic import Field

from ostiary_core.contract.base import ContractDocument, Positive


class ShareConfig(ContractDocument):
    """The share of a gateway process for one source address, principal or proxy.

    An absent member sets no limit.
    """

    connections: int | None = Field(default=None, gt=0)
    requests_in_flight: int | None = Field(default=None, gt=0)
    streams: int | None = Field(default=None, gt=0)
    bytes_in_flight: int | None = Field(default=None, gt=0)


class ServerShareConfig(ContractDocument):
    """The share of one upstream server: connections to it."""

    connections: int = Field(default=1024, gt=0)


class BoundsConfig(ContractDocument):
    """Limits of one gateway process.

    They are bytes, counts, and the longest lifetime of a session in milliseconds.

    Members with a default were added later: a document without them means the default.
    """

    request_bytes: Positive
    message_bytes: Positive
    message_values: int | None = Field(default=None, gt=0)
    requests_in_flight: Positive
    streams: Positive
    session_max_age: Positive
    connections: int | None = Field(default=None, gt=0)
    bytes_in_flight: int | None = Field(default=None, gt=0)
    per_source: ShareConfig = ShareConfig()
    per_principal: ShareConfig = ShareConfig()
    per_proxy: ShareConfig = ShareConfig()
    per_server: ServerShareConfig = ServerShareConfig()
    limit_refusals: int | None = Field(default=None, gt=0)
