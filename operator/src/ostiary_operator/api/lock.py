"""MCPLock: the definitions of a server that were reviewed and approved."""

from typing import Annotated, Final

from pydantic import Field, StrictStr, StringConstraints

from ostiary_core.contract.definitions import MOST_VARIANTS
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Atomic
from ostiary_operator.api.names import DnsLabel, ObjectName

#: Definitions of one kind in one MCPLock. More of them need another MCPLock, since objects have a size limit, too.
MOST_DEFINITIONS: Final = 4096
#: Characters of one definition.
LONGEST_DEFINITION: Final = 64 * 1024

DefinitionText = Annotated[StrictStr, StringConstraints(min_length=2, max_length=LONGEST_DEFINITION)]
"""A definition as YAML or JSON."""

DefinitionTexts = Annotated[tuple[DefinitionText, ...], Field(max_length=MOST_DEFINITIONS), Atomic()]

InstructionsText = Annotated[StrictStr, StringConstraints(max_length=LONGEST_DEFINITION)]


class LockedProxyReference(ApiModel):
    """Names the MCPProxy that a lock is for, in the lock's own namespace."""

    name: ObjectName
    """Name of the MCPProxy. Example: `crm`."""


class LockSpec(ApiModel):
    """The definitions that are approved of one server of an MCPProxy.

    `ostiary lock` writes it. It takes effect where `catalogue.pinning` of the MCPProxy, or `pinning` of a policy in the
    operator's namespace, is Warn or Block.
    """

    proxy_ref: LockedProxyReference
    """The MCPProxy whose server this is, in the lock's own namespace. Several MCPLocks of one server count together.
    Example: `{name: crm}`."""

    server: DnsLabel
    """Name of the server in `servers` of the MCPProxy. Example: `crm`."""

    instructions: (
        Annotated[tuple[InstructionsText, ...], Field(min_length=1, max_length=MOST_VARIANTS), Atomic()] | None
    ) = None
    """The instructions for models that the server may give, whole; several if it gives callers different ones. Absent
    means none: with Block they are removed. Example: `["Look up a customer before you change it."]`."""

    tools: DefinitionTexts = ()
    """The approved tools: each the whole definition as the server sends it, as YAML or JSON in a text, since a
    Kubernetes API server would not keep every value of a structure as it is. Two of one name are variants, for a server
    that shows callers different ones. A tool that is not listed does not exist. Example: `["name: add\\n..."]`."""

    prompts: DefinitionTexts = ()
    """The approved prompts, likewise. Example: `["name: summarise\\n..."]`."""

    resources: DefinitionTexts = ()
    """The approved resources, likewise, by their `uri`. Example: `["uri: crm://customers\\n..."]`."""

    templates: DefinitionTexts = ()
    """The approved resource templates, likewise, by their `uriTemplate`. A URI that one could stand for may be read.
    Example: `["uriTemplate: crm://customers/{id}\\n..."]`."""
