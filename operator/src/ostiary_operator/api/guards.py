"""What is suspicious, and what happens to it: `spec.guards` of an MCPPolicy."""

from typing import Annotated, ClassVar, Final, Literal, Self

from pydantic import Field, StrictStr, StringConstraints, model_validator

from ostiary_core.content.guards.signatures import check_signature
from ostiary_core.contract.content import MOST_CONTENT_RULES, Direction
from ostiary_core.contract.guards import GuardAction, GuardDetector, Sensitivity
from ostiary_operator.api.base_model import ApiModel
from ostiary_operator.api.constraints import Rule, Unique, problem
from ostiary_operator.api.content_rules import ContentPattern, ContentSelection, NamedContentRule
from ostiary_operator.api.durations import Duration, between
from ostiary_operator.api.limits import MessageBytes
from ostiary_operator.api.names import DnsLabel
from ostiary_operator.api.server_places import Port
from ostiary_operator.api.urls import EndpointPath, UpstreamUrl

_MOST_SIGNATURES: Final = 16
_SampleText = Annotated[StrictStr, StringConstraints(min_length=1, max_length=512)]


class OwnSignature(ApiModel):
    """A pattern of suspicious text, its reason, and two texts that show what it finds."""

    name: DnsLabel
    """Name of the signature, unique within the guard. It appears in traces, metrics and audit records.
    Example: `internal-host`."""

    pattern: ContentPattern
    """RE2 expression that is searched for in texts, after letters that look alike were made equal and hidden characters
    removed; both in lower and in upper case. Example: `send .{0,40} to .{0,40}@`."""

    reason: Annotated[StrictStr, StringConstraints(min_length=1, max_length=256)]
    """Why it is suspicious, for people who read a finding. Example: `A text asks for mail to another domain`."""

    example: _SampleText
    """A text that the pattern finds. A policy whose example it does not find is not accepted.
    Example: `then send the file to eve@example.com`."""

    counter_example: _SampleText
    """A text that the pattern does not find, though it is similar. Example: `send a message`."""

    @model_validator(mode="after")
    def _check_examples(self) -> Self:
        defect = check_signature(self.pattern, example=self.example, counter_example=self.counter_example)
        if defect:
            raise problem(defect, "correct the pattern, or the texts that show what it finds", below=("pattern",))
        return self


class ScorerService(ApiModel):
    """Names a port of a Service in the namespace of the policy."""

    name: DnsLabel
    """Name of the Service. Example: `presidio`."""

    port: Port
    """Port of the Service, as a number. Example: `8080`."""

    path: EndpointPath | None = None
    """Path that texts are posted to. Absent means `/`. Example: `/score`."""


class Scorer(ApiModel):
    """A service that judges texts.

    `docs/reference/scorer.md` says what it is sent and what it answers.
    """

    service: ScorerService | None = None
    """A Service in the policy's own namespace. Exactly one of `service` and `url` must be set.
    Example: `{name: presidio, port: 8080}`."""

    url: UpstreamUrl | None = None
    """Complete URL that texts are posted to. Outside the namespace the gateway's settings must grant the host, as for
    a server. Redirects are not followed. Example: `https://scorer.example.com/score`."""

    timeout: Annotated[Duration, between("10ms", "10s")] = Duration.parse("300ms")
    """How long the gateway waits for a verdict; 10ms to 10s. Example: `500ms`."""

    max_bytes: MessageBytes = "256Ki"
    """The most bytes of text of one message that are sent; with more, `onFailure` applies. Example: `64Ki`."""

    on_failure: Literal["Block", "Pass"] = "Block"
    """What happens to a message without a verdict. Block: it is refused. Pass: it passes. Example: `Pass`."""

    sends: Literal["Masked", "Raw"] = "Masked"
    """Whether the service gets texts after masks were applied, or as they are. Example: `Raw`."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.service) != has(self.url)",
            lambda it: (it.service is None) != (it.url is None),
            "needs exactly one of service and url",
            "set service for a Service of the policy's namespace, or url for any other",
        ),
    )


class Truncation(ApiModel):
    """How long the contents of a message may be."""

    text: MessageBytes
    """The most bytes of one text, as UTF-8. What is longer is cut between two characters, and a note says so;
    structured content of more is refused, since it cannot be cut. Example: `100Ki`."""


class Guard(ContentSelection, NamedContentRule):
    """One guard: what it looks at and for, and what happens then.

    Guards are a sieve, not a wall: they find much, and not everything.
    """

    scan: Annotated[tuple[Direction, ...], Field(min_length=1, max_length=3), Unique()] = (
        Direction.DEFINITIONS,
        Direction.RESULTS,
    )
    """What the guard looks at. Definitions: names, descriptions and schemas in lists, and instructions. Results: all
    else that comes from servers. Arguments: all that goes to them. Example: `[Definitions, Results, Arguments]`."""

    detect: Annotated[tuple[GuardDetector, ...], Field(min_length=1, max_length=7), Unique()] | None = None
    """What the guard looks for. HiddenText: characters that people do not see. Override: instructions to ignore others.
    RoleMarkers: text that pretends to be of the system or the user. Coercion: secrecy, threats, and use of other tools.
    ExfiltrationLink: addresses that carry data away. SecretOut: requests for keys and passwords. LookAlike: names that
    look like those of another tool. Absent means only `signatures`, `scorer` and `truncate`.
    Example: `[HiddenText, Override]`."""

    sensitivity: Sensitivity = Sensitivity.MEDIUM
    """How little is enough for a finding. Low finds what is almost certain, High what is possible. Example: `High`."""

    action: GuardAction = GuardAction.ANNOTATE
    """What happens to what is found; where several guards apply, the strongest action does. Annotate: it is recorded,
    and a note tells the model. Wrap: the text is enclosed in a boundary that nothing in it can close, and so is every
    text, if the guard looks for nothing. Strip: what was found is removed. Hide: a definition is not in lists. Block:
    the message is refused, and a definition is hidden.
    Notes and boundaries do not fit into arguments: there Annotate and Wrap only record. Example: `Strip`."""

    signatures: (
        Annotated[tuple[OwnSignature, ...], Field(min_length=1, max_length=_MOST_SIGNATURES), Unique(("name",))] | None
    ) = None
    """Patterns of your own. Example:
    `[{name: mail, pattern: "mail .* to", reason: Exfiltration, example: mail it to, counterExample: e-mail}]`."""

    scorer: Scorer | None = None
    """A service of your own that judges texts as well, after the patterns. Absent means none.
    Example: `{service: {name: presidio, port: 8080}}`."""

    truncate: Truncation | None = None
    """How long results may be. Absent means as long as other guards and the gateway's bounds permit.
    Example: `{text: 100Ki}`."""

    constraints: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "has(self.detect) || has(self.signatures) || has(self.scorer) || has(self.truncate)"
            " || (has(self.action) && self.action == 'Wrap')",
            lambda it: (
                any(each is not None for each in (it.detect, it.signatures, it.scorer, it.truncate))
                or it.action is GuardAction.WRAP
            ),
            "looks for nothing",
            "set detect, signatures, scorer or truncate; only Wrap alone encloses every text",
        ),
        Rule(
            "!has(self.action) || self.action != 'Hide' || !has(self.scan) || self.scan.exists(s, s == 'Definitions')",
            lambda it: it.action is not GuardAction.HIDE or Direction.DEFINITIONS in it.scan,
            "is Hide, but only definitions can be hidden, and the guard does not look at them",
            "add Definitions to scan, or choose another action",
            field_path=".action",
        ),
        Rule(
            "!has(self.detect) || !self.detect.exists(d, d == 'LookAlike') || !has(self.scan)"
            " || self.scan.exists(s, s == 'Definitions')",
            lambda it: GuardDetector.LOOK_ALIKE not in (it.detect or ()) or Direction.DEFINITIONS in it.scan,
            "has LookAlike, which compares definitions, but the guard does not look at them",
            "add Definitions to scan, or remove LookAlike",
            field_path=".detect",
        ),
        Rule(
            "!has(self.scorer) || !has(self.scan) || self.scan.exists(s, s != 'Definitions')",
            lambda it: it.scorer is None or any(each is not Direction.DEFINITIONS for each in it.scan),
            "is set, but definitions are not sent to scorers, and the guard looks at nothing else",
            "add Results or Arguments to scan, or remove scorer",
            field_path=".scorer",
        ),
        Rule(
            "!has(self.truncate) || !has(self.scan) || self.scan.exists(s, s == 'Results')",
            lambda it: it.truncate is None or Direction.RESULTS in it.scan,
            "is set, but only results are cut, and the guard does not look at them",
            "add Results to scan, or remove truncate",
            field_path=".truncate",
        ),
    )


Guards = Annotated[tuple[Guard, ...], Field(max_length=MOST_CONTENT_RULES), Unique(("name",))]
"""The guards of a policy."""
