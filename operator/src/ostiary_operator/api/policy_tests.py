"""Tests in an MCPPolicy (`spec.tests`): each is a call, and the expected decision."""

import enum
from collections.abc import Sequence
from typing import Annotated, Any, Final

from pydantic import Field, StrictStr, StringConstraints

from ostiary_core.contract.access import Effect
from ostiary_core.contract.authentication import HIDDEN_HEADERS
from ostiary_core.mcp.methods import USE, VERBS, Primitive, Verb
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Atomic, Pattern, Rule, Unique, problem
from ostiary_operator.api.headers import HeaderValue
from ostiary_operator.api.json_objects import JsonObject, values_within
from ostiary_operator.api.names import DnsLabel

_PRINTABLE: Final = Pattern(r"^[^\x00-\x1f\x7f-\x9f]+$", "contains a control character", "write one line of plain text")

PlainText = Annotated[StrictStr, StringConstraints(min_length=1, max_length=128), _PRINTABLE]
"""One line of text."""

ExactName = Annotated[StrictStr, StringConstraints(min_length=1, max_length=1024), _PRINTABLE]
"""The name of a tool or prompt, or the URI of a resource."""

CallerName = Annotated[StrictStr, StringConstraints(min_length=1, max_length=253), _PRINTABLE]
"""The name of a consumer, a group or a scope."""

CallerNames = Annotated[tuple[CallerName, ...], Field(min_length=1, max_length=64), Unique()]


class PolicyTestCaller(ApiModel):
    """The caller of a test: an authenticated one, with these attributes and no others."""

    consumer: CallerName | None = None
    """Name of the consumer, in the policy's namespace. Example: `support-agent`."""

    groups: CallerNames | None = None
    """Groups of the caller. Example: `[support]`."""

    scopes: CallerNames | None = None
    """OAuth scopes of the caller. Example: `[tickets.read]`."""

    claims: JsonObject | None = None
    """Claims of its token, as JSON. Example: `{email: ada@example.com}`."""


_HIDDEN: Final = sorted(HIDDEN_HEADERS)

ReadableHeaderName = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=64),
    Pattern(
        "^[a-z0-9]([-a-z0-9_]*[a-z0-9])?$",
        "is not the name of a header as conditions read it",
        "use lower-case letters, digits and hyphens, such as x-environment",
    ),
    Rule(
        f"!(self in {_HIDDEN})",
        lambda name: name not in HIDDEN_HEADERS,
        "names a header that no condition reads, since it has credentials",
        "remove it, and describe the caller in `as`",
    ),
]
"""The name of a header in a test."""

RequestPath = Annotated[
    StrictStr,
    StringConstraints(min_length=1, max_length=1024),
    Pattern("^/[!-~]*$", "is not the path of a request", "begin with / and use printable ASCII, such as /tickets/mcp"),
]
"""The path of a request."""


class PolicyTestHeader(ApiModel):
    """A header of the request of a test."""

    name: ReadableHeaderName
    """Name of the header, in lower case. Example: `x-environment`."""

    value: HeaderValue
    """Value of the header. Example: `production`."""


class PolicyTestCall(ApiModel):
    """What the caller of a test tries to use: a tool, a resource or a prompt."""

    tool: ExactName | None = None
    """Name of a tool. Example: `read_ticket`."""

    resource: ExactName | None = None
    """URI of a resource. Example: `file:///docs/readme.md`."""

    prompt: ExactName | None = None
    """Name of a prompt. Example: `summary`."""

    arguments: JsonObject | None = None
    """Arguments of the call, as JSON. Absent means none. Example: `{id: 7}`."""

    headers: Annotated[tuple[PolicyTestHeader, ...], Field(min_length=1, max_length=16), Unique(("name",))] | None = (
        None
    )
    """Headers of the request, for conditions that read `headers`. Absent means none.
    Example: `[{name: x-environment, value: production}]`."""

    host: PlainText | None = None
    """Host of the request, for conditions that read `request.host`: they fail without it.
    Example: `tools.example.com`."""

    path: RequestPath | None = None
    """Path of the request, for conditions that read `request.path`: they fail without it.
    Example: `/tickets/mcp`."""

    constraints = (
        Rule(
            "[has(self.tool), has(self.resource), has(self.prompt)].exists_one(set, set)",
            lambda it: [it.tool, it.resource, it.prompt].count(None) == 2,
            "names no single thing to use",
            "set one of tool, resource and prompt",
        ),
        Rule(
            "!has(self.arguments) || !has(self.resource)",
            lambda it: it.arguments is None or it.resource is None,
            "has arguments, which only tools and prompts take",
            "remove arguments",
        ),
    )

    @property
    def primitive(self) -> Primitive:
        """The primitive that the call uses."""
        if self.tool is not None:
            return Primitive.TOOLS
        return Primitive.RESOURCES if self.resource is not None else Primitive.PROMPTS

    @property
    def target(self) -> str:
        """The name or URI that the call uses."""
        return self.tool or self.resource or self.prompt or ""


def _fits(test: Any) -> bool:
    return test.verb is None or test.verb in VERBS[test.call.primitive]


_CEL_VERBS: Final = " || ".join(
    f"(has(self.call.{primitive.removesuffix('s')}) && self.verb in {[str(verb) for verb in verbs]})"
    for primitive, verbs in VERBS.items()
)


class ContentOutcome(enum.StrEnum):
    """Whether the contents of a call pass the rules about contents."""

    PASS = "Pass"  # noqa: S105  to let pass
    BLOCK = "Block"


_CONTENTS: Final = "has(self.result) || has(self.expectContent) || has(self.expectArguments) || has(self.expectResult)"


def _judges_contents(test: Any) -> bool:
    return any(
        each is not None for each in (test.result, test.expect_content, test.expect_arguments, test.expect_result)
    )


class PolicyTest(ApiModel):
    """One test of a policy: a caller, a call, and the expected decision."""

    name: PlainText | None = None
    """What the test states, for messages. Example: `support cannot delete tickets`."""

    as_: PolicyTestCaller | None = Field(default=None, alias="as")
    """The caller. Absent means the anonymous caller. Example: `{groups: [support]}`."""

    call: PolicyTestCall
    """What the caller tries to use. Example: `{tool: delete_ticket}`."""

    verb: Verb | None = None
    """What the caller does: List, Call, Read, Subscribe or Get. Absent means Call for a tool, Read for a resource, and
    Get for a prompt. Example: `List`."""

    expect: Effect
    """The decision of this policy alone, without the other policies of its targets. Example: `Deny`."""

    rule: DnsLabel | None = None
    """Rule of this policy that must decide. Absent means any rule, or none. Example: `no-deletes`."""

    result: JsonObject | None = None
    """What the server answers: the `result` of its response. Transformations, guards and masks of this policy change
    it. Example: `{content: [{type: text, text: "card 4111 1111 1111 1111"}]}`."""

    expect_content: ContentOutcome | None = None
    """Whether arguments and result pass the rules about contents. Absent means Pass, where the test has a `result`,
    `expectArguments` or `expectResult`. Example: `Block`."""

    expect_arguments: JsonObject | None = None
    """The arguments that reach the server, after transformations, guards and masks.
    Example: `{id: 7, tenant: acme}`."""

    expect_result: JsonObject | None = None
    """The result that the caller gets, after transformations, guards and masks. In place of a hash write
    `[hash: MASK]`, of a token `[token: MASK]`, with the name of the mask, and of a random boundary `boundary`.
    Example: `{content: [{type: text, text: "card [masked: CardNumber]"}]}`."""

    constraints = (
        Rule(
            f"!({_CONTENTS}) || (self.expect == 'Allow' && (!has(self.verb) || self.verb in ['Call', 'Get', 'Read']))",
            lambda it: not _judges_contents(it) or (it.expect == "Allow" and it.verb in {None, "Call", "Get", "Read"}),
            "expects something of the contents of a message that is not sent",
            "set expect: Allow and remove verb, or remove result and what is expected of contents",
        ),
        Rule(
            "!has(self.expectResult) || has(self.result)",
            lambda it: it.expect_result is None or it.result is not None,
            "is set, but there is no result",
            "set result to what the server answers",
            field_path=".expectResult",
        ),
        Rule(
            f"!has(self.verb) || {_CEL_VERBS}",
            _fits,
            "has a verb that the call cannot have",
            "use List or Call for a tool, List, Read or Subscribe for a resource, List or Get for a prompt",
            field_path=".verb",
        ),
    )

    @property
    def judges_contents(self) -> bool:
        """Whether the rules about contents are part of the test."""
        return _judges_contents(self)

    @property
    def effective_verb(self) -> Verb:
        """The verb, or what it is where the test names none."""
        return self.verb if self.verb is not None else USE[self.call.primitive]


PolicyTests = Annotated[tuple[PolicyTest, ...], Field(max_length=64), Atomic()]
"""The tests of a policy."""

_MOST_EVALUATIONS: Final = 1_024
_MOST_CHARACTERS_IN_ALL: Final = 16_384
#: Each operation of an expression may read all values of a test.
_MOST_CHARACTERS_READ: Final = 1 << 25


def check_cost(tests: Sequence[PolicyTest], *, expressions: Sequence[str]) -> None:
    """Check what all tests of a policy cost together.

    Tenants write them, and the operator runs them.

    ``expressions`` are those of the policy.

    Raises:
        PydanticCustomError: they cost too much.
    """
    if len(tests) * len(expressions) > _MOST_EVALUATIONS:
        message = f"are too many: {len(tests)}, for {len(expressions)} expressions in the policy"
        remedy = f"write fewer of them, so that tests times expressions is at most {_MOST_EVALUATIONS}"
        raise problem(message, remedy, below=("tests",))
    characters = sum(map(_characters, tests))
    if characters > _MOST_CHARACTERS_IN_ALL:
        message = "have too large arguments, headers, claims and results together"
        raise problem(message, f"use at most {_MOST_CHARACTERS_IN_ALL} characters", below=("tests",))
    if characters * sum(map(len, expressions)) > _MOST_CHARACTERS_READ:
        message = "have too large arguments, headers, claims and results together for the expressions in the policy"
        remedy = (
            f"use fewer, or shorter expressions: the product of their characters is at most {_MOST_CHARACTERS_READ}"
        )
        raise problem(message, remedy, below=("tests",))


def _characters(test: PolicyTest) -> int:
    headers = {header.name: header.value for header in test.call.headers or ()}
    claims = test.as_.claims if test.as_ is not None else None
    values = (test.call.arguments, headers, claims, test.result, test.expect_arguments, test.expect_result)
    return sum(len(each) if isinstance(each, str) else 1 for value in values for _, each in values_within(value))
