"""What the gateway's settings block, whatever policies and proxies say.

It is part of the settings and not of an entry, so that it takes effect although a policy or a proxy does not compile.
"""

from ostiary_core.contract.base import ContractDocument


class BlockedSubjectConfig(ContractDocument):
    """The callers whose tokens have this issuer and subject (claims ``iss`` and ``sub``)."""

    issuer: str
    subject: str


class BlockedConfig(ContractDocument):
    """What is blocked; each list is sorted, and absent instead of empty.

    ``principals`` are ids of principals and consumers (``namespace/name``), ``proxies`` are ``namespace/name``.
    ``upstreams`` are hosts in lower case, with an optional port, or ``*.suffix``.
    """

    principals: list[str] | None = None
    subjects: list[BlockedSubjectConfig] | None = None
    proxies: list[str] | None = None
    upstreams: list[str] | None = None
