"""The errors of the core, as a tree.

    OstiaryError
    ├── StrictJSONError      a message is not the JSON that we accept   (the sender's fault)
    ├── ContractError        a config violates the contract             (the writer's fault)
    ├── PatternError         a name or pattern of a policy is invalid   (the policy author's fault)
    ├── ExpressionError      a CEL expression of a policy is invalid    (the policy author's fault)
    ├── TransformError       a transformation cannot be done on a message (the policy author's, or the sender's fault)
    ├── ClaimsError          claims of a token name no usable identity  (the issuer's or the mapping's fault)
    ├── AuditTrailError      a file or key of an audit trail is unusable (the auditor's fault)
    ├── OpenApiError         a document is not OpenAPI that can be used   (its author's fault)
    └── AmbiguousURIError    servers may interpret a URI differently    (the caller's fault)

Bugs raise Python's own errors. I/O errors belong to the planes: the core does no I/O.
"""


class OstiaryError(Exception):
    """Base of every error that Ostiary raises deliberately.

    Its message is for people and holds no secret.
    """


class StrictJSONError(OstiaryError):
    """Text that is not the strict JSON of :mod:`ostiary_core.strict_json`."""


class ContractError(OstiaryError):
    """A manifest, part or document that violates the config contract.

    The message names what and where.
    """


class PatternError(OstiaryError):
    """A name or pattern that cannot be compiled; the message names it and the remedy."""


class ExpressionError(OstiaryError):
    """A CEL expression that cannot be used.

    ``problem`` says why; ``line`` and ``column`` start at 1, and are 0 where the fault has no place. ``field`` is the
    field of the policy, once it is known.
    """

    def __init__(self, problem: str, *, line: int = 0, column: int = 0, field: str = "") -> None:
        place = f", line {line}, column {column}" if line else ""
        super().__init__(f"{field}{place}: {problem}" if field else f"{problem}{place.replace(', ', ' at ', 1)}")
        self.problem = problem
        self.line = line
        self.column = column
        self.field = field

    def within(self, field: str) -> "ExpressionError":
        """Return the error with the field that the expression is in."""
        return ExpressionError(self.problem, line=self.line, column=self.column, field=field)


class TransformError(OstiaryError):
    """A transformation that cannot be done on one message.

    The message says why, without a value of the message, and continues a sentence that begins with its place.
    """


class ClaimsError(OstiaryError):
    """Claims of a token that name no principal, or have another shape than the mapping needs.

    The message names the claim, but not its value.
    """


class AuditTrailError(OstiaryError):
    """A file of an audit trail, or a key to verify one, that cannot be used.

    The message says why.
    """


class OpenApiError(OstiaryError):
    """A document that is not OpenAPI of a version and size that can be used.

    The message says what is wrong and where, and continues a sentence that begins with the document.
    """


class AmbiguousURIError(OstiaryError):
    """A URI that servers may interpret in an unpredictable way.

    The message gives the reason, but not the URI.
    """
