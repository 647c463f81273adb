"""Why a person could not be signed in.

ConsoleError (console/errors.py)
├── SignInRefused         403  the identity provider, or what it says, does not admit the person
├── SignInExpired         400  the answer of the identity provider belongs to no sign-in of this browser
└── ProviderUnavailable   503  the identity provider does not answer as it must
"""

from ostiary_operator.console.errors import ConsoleError


class SignInRefused(ConsoleError):
    """A person is not admitted. The message says why, and holds nothing of a token."""

    status = 403
    title = "You could not be signed in"


class SignInExpired(ConsoleError):
    """An answer of the identity provider that this browser did not ask for, or too long ago."""

    status = 400
    title = "This sign-in is over"


class ProviderUnavailable(ConsoleError):
    """The identity provider is away, or its documents cannot be used."""

    status = 503
    title = "The identity provider does not answer"
