"""The errors of the core, as a tree.

    OstiaryError
    ├── StrictJSONError      a message is not the JSON we accept        (the sender's fault)
    ├── ContractError        a config does not keep the contract        (the writer's fault)
    ├── PatternError         a name or pattern of a policy cannot work  (the policy author's fault)
    └── AmbiguousURIError    servers may read a URI in several ways     (the caller's fault)

Bugs stay what Python raises. I/O errors belong to the planes: the core does none.
"""


class OstiaryError(Exception):
    """Base of every error that Ostiary raises on purpose. Its message is for humans and holds no secret."""


class StrictJSONError(OstiaryError):
    """Text that is not the strict JSON of :mod:`ostiary_core.strict_json`."""


class ContractError(OstiaryError):
    """A manifest, part or document that breaks the config contract; the message names what and where."""


class PatternError(OstiaryError):
    """A name or pattern that cannot be compiled; the message names it and the remedy."""


class AmbiguousURIError(OstiaryError):
    """A URI that servers may take for one that cannot be told; the message says what about it, and not the URI."""
