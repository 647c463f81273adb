"""Whether the definitions of servers are pinned, and what is shown instead of them."""

from typing import Any, Literal, TypeAlias

from pydantic import Field

from ostiary_core.contract.base import ContractDocument, Positive
from ostiary_core.mcp.methods import Primitive

PinningName: TypeAlias = Literal["Warn", "Block"]


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


class DefinitionsConfig(ContractDocument):
    """Pinning and overrides of the definitions of a proxy.

    ``pinning`` is the stricter one of the proxy and its platform policies, None for Off. ``recheck`` is how long a
    replica trusts the definition of a tool that it saw; it is present with Block.
    """

    pinning: PinningName | None = None
    recheck: Positive | None = None
    overrides: OverridesConfig | None = None
