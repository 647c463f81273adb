"""Which definitions of a proxy's servers are approved, and what is shown instead of them."""

from typing import Annotated, Any, Final, Literal, TypeAlias

from pydantic import Field

from ostiary_core.contract.base import ContractDocument, Count, Positive
from ostiary_core.mcp.methods import Primitive

PinningName: TypeAlias = Literal["Warn", "Block"]
#: The most definitions of one name that are approved at once.
MOST_VARIANTS: Final = 16
Digests: TypeAlias = Annotated[
    list[Annotated[str, Field(pattern="^[0-9a-f]{64}$")]], Field(min_length=1, max_length=MOST_VARIANTS)
]
"""Digests of definitions (:func:`ostiary_core.definitions.definition_digest.definition_digest`), sorted."""
Approved: TypeAlias = dict[str, Digests]
"""By the server's own name, URI or URI template: the definitions of it that are approved."""


class OverrideConfig(ContractDocument):
    """What is shown of one definition instead of what its server says.

    ``name`` is the one that callers see: of a tool or a prompt, or the URI or template of a resource. ``annotations``
    replace those of the server as a whole.
    """

    name: str
    title: str | None = None
    description: str | None = None
    annotations: dict[str, Any] | None = None


class OverridesConfig(ContractDocument):
    """Overrides by primitive; those of resources are for templates too."""

    tools: list[OverrideConfig] | None = Field(default=None, min_length=1)
    resources: list[OverrideConfig] | None = Field(default=None, min_length=1)
    prompts: list[OverrideConfig] | None = Field(default=None, min_length=1)

    def of(self, primitive: Primitive) -> list[OverrideConfig]:
        """Return those of a primitive."""
        return {"tools": self.tools, "resources": self.resources, "prompts": self.prompts}[primitive] or []


class LockConfig(ContractDocument):
    """One MCPLock as last accepted: what it approves of one server.

    ``generation`` is that of the accepted version.
    """

    name: str
    uid: str
    generation: Count
    server: str
    instructions: Digests | None = None
    tools: Approved | None = None
    prompts: Approved | None = None
    resources: Approved | None = None
    templates: Approved | None = None

    def approved(self, list_key: str) -> Approved:
        """Return what it approves of a list, by the member that holds its items in a result."""
        lists = {"tools": self.tools, "prompts": self.prompts, "resources": self.resources}
        return (self.templates if list_key == "resourceTemplates" else lists[list_key]) or {}


class DefinitionsConfig(ContractDocument):
    """Pinning and overrides of the definitions of a proxy.

    ``pinning`` is the stricter one of the proxy and its platform policies, None for Off. ``recheck`` is how long a
    replica trusts the definition of a tool that it saw; it is present with Block. ``locks`` of one server count
    together; they are absent where nothing is pinned.
    """

    pinning: PinningName | None = None
    recheck: Positive | None = None
    locks: list[LockConfig] | None = None
    overrides: OverridesConfig | None = None
