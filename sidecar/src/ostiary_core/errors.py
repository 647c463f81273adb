"""The errors of the core, as a tree.

    OstiaryError
    ├── StrictJSONError      a message is not the JSON that we accept   (the sender's fault)
    ├── ContractError        a config violates the contract             (the writer's fault)
    ├── PatternError         a name or pattern of a policy is invalid   (the policy author's fault)
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


class AmbiguousURIError(OstiaryError):
    """A URI that servers may interpret in an unpredictable way.

    The message gives the reason, but not the URI.
    """
