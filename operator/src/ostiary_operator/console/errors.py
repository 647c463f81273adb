"""Why a page cannot be shown.

ConsoleError             500  a bug of ours: nothing of it is shown
├── BadQuery             400  a parameter or a form field is not valid: the message names it
├── NoRight              403  the viewer may know of the thing, and not look at this part of it
├── PageNotFound         404  there is no such thing, or the viewer may not know of it
├── WrongHost            421  the request is for another host
└── TooBusy              503  as many requests are in flight, or live tails are open, as the console has room for

Sources have errors of their own (`sources/protocols.py`, `kube/errors.py`): a page shows their message with 503.
"""

from ostiary_core.errors import OstiaryError


class ConsoleError(OstiaryError):
    """A page cannot be shown.

    The message is for people: it names the thing and the remedy.
    """

    status: int = 500
    title: str = "This page cannot be shown"


class BadQuery(ConsoleError):
    """A parameter or a form field is not valid."""

    status = 400
    title = "This request is not valid"


class NoRight(ConsoleError):
    """The viewer may know of the thing, but not look at this part of it."""

    status = 403
    title = "You may not look at this"


class PageNotFound(ConsoleError):
    """There is no such thing, or the viewer may not know of it: both get the same words."""

    status = 404
    title = "Not found"


class WrongHost(ConsoleError):
    """The request is for a host that is not the console's."""

    status = 421
    title = "Wrong host"


class TooBusy(ConsoleError):
    """The console has no room for one more request now."""

    status = 503
    title = "The console is busy"
