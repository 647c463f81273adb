"""The transformations of a policy: what is set, defaulted or removed in messages.

Values are CEL expressions over the variables of ``when`` of a rule of access, and for results over ``result`` too.
"""

from pydantic import Field

from ostiary_core.contract.base import ContractDocument
from ostiary_core.contract.content import PlaceConfig, SelectedContentConfig


class SetPlaceConfig(ContractDocument):
    """A place of a JSON document, and the expression for its value."""

    path: PlaceConfig = Field(min_length=1)
    value: str


class SetHeaderConfig(ContractDocument):
    """A header in lower case, and the expression for its value, which must be a string."""

    name: str
    value: str


class PlaceChangesConfig(ContractDocument):
    """Changes of a JSON document.

    Places are from the root of the ``arguments`` of a request, or of the ``result`` of a response. ``default`` sets
    only what is absent.
    """

    set: list[SetPlaceConfig] | None = Field(default=None, min_length=1)
    default: list[SetPlaceConfig] | None = Field(default=None, min_length=1)
    remove: list[PlaceConfig] | None = Field(default=None, min_length=1)


class HeaderChangesConfig(ContractDocument):
    """Changes of the headers that a server gets.

    ``default`` sets only what the caller did not send.
    """

    set: list[SetHeaderConfig] | None = Field(default=None, min_length=1)
    default: list[SetHeaderConfig] | None = Field(default=None, min_length=1)
    remove: list[str] | None = Field(default=None, min_length=1)


class TransformConfig(SelectedContentConfig):
    """One transformation.

    No two of a proxy may set the same place of the same message.
    """

    name: str
    arguments: PlaceChangesConfig | None = None
    headers: HeaderChangesConfig | None = None
    results: PlaceChangesConfig | None = None
