"""Operations of a REST service as tools of a server, as parts of an entry.

The compiler translates an OpenAPI document into them, once. A gateway lists the tools and builds requests; it never
sees the document.
"""

from typing import Annotated, Final, Literal, TypeAlias

from pydantic import Field

from ostiary_core.contract.base import ContractDocument, Positive

#: Operations of one document.
MOST_OPERATIONS: Final = 256
#: Parameters of one operation, and definitions that the schemas of one document share.
MOST_PARAMETERS: Final = 64
MOST_DEFINITIONS: Final = 4096
#: Sentences about what is left out of one document, and characters of each.
MOST_OMISSIONS: Final = 65
LONGEST_OMISSION: Final = 512

RestMethodName: TypeAlias = Literal["GET", "PUT", "POST", "DELETE", "PATCH"]
ParameterPlaceName: TypeAlias = Literal["path", "query", "header"]
#: The styles of OpenAPI, and ``json`` for a parameter whose value is a JSON text.
ParameterStyleName: TypeAlias = Literal[
    "simple", "label", "matrix", "form", "spaceDelimited", "pipeDelimited", "deepObject", "json"
]
BodyFormatName: TypeAlias = Literal["json", "form", "text"]
_Sentence: TypeAlias = Annotated[str, Field(min_length=1, max_length=LONGEST_OMISSION)]
_Name: TypeAlias = Annotated[str, Field(min_length=1, max_length=256)]


class OpenApiParameterConfig(ContractDocument):
    """Where the value of an argument goes.

    ``argument`` is its name, ``name`` that of the parameter.
    """

    argument: _Name
    name: _Name
    place: ParameterPlaceName
    style: ParameterStyleName
    explode: bool


class OpenApiBodyConfig(ContractDocument):
    """How the argument ``body`` becomes the body of a request."""

    media_type: _Name
    format: BodyFormatName


class OpenApiOperationConfig(ContractDocument):
    """One operation.

    ``tool`` is the tool as JSON. Its input schema refers to ``definitions``, which are added to it as ``$defs``. A call
    costs at most ``evaluations`` evaluations of schemas for each value in its arguments. ``path`` begins with a slash
    and holds ``{name}`` for each parameter in it; all else in it is percent-encoded. ``answers_html`` where the
    document promises a web page.
    """

    name: _Name
    tool: str
    definitions: list[_Name] | None = Field(default=None, max_length=MOST_DEFINITIONS)
    evaluations: Positive
    method: RestMethodName
    path: str
    parameters: list[OpenApiParameterConfig] | None = Field(default=None, max_length=MOST_PARAMETERS)
    body: OpenApiBodyConfig | None = None
    answers_html: Literal[True] | None = None


class OpenApiConfig(ContractDocument):
    """The REST service: its operations, and the definitions that they share.

    Each definition is a schema as JSON. ``title`` and ``version`` are those of the document, and ``instructions`` its
    description. ``omissions`` say what of the document is no tool, and why; gateways do not read them.
    """

    title: str
    version: str
    instructions: str | None = None
    definitions: dict[str, str] | None = Field(default=None, max_length=MOST_DEFINITIONS)
    operations: list[OpenApiOperationConfig] = Field(max_length=MOST_OPERATIONS)
    omissions: list[_Sentence] | None = Field(default=None, max_length=MOST_OMISSIONS)
