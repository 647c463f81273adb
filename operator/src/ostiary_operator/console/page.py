"""What a page of the console is: a path, and a function from its context to a view.

    async def _view(context: PageContext) -> PageView:
        ...
        return PageView("limits.html", model)

    LIMITS = Page("/limits", "Limits", _view)

The model is a frozen dataclass. The template gets it as ``model``; the twin of the page (its path and ``.json``) is the
same model as JSON, so that a page and its twin cannot disagree.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from ostiary_operator.console.access.rights import Viewer, ViewerRights
from ostiary_operator.console.page_query import PageQuery
from ostiary_operator.console.sources.protocols import ConsoleSources

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_NONE: Final[Mapping[str, str]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class PageContext:
    """What a page is built from.

    That is who looks, what they may see, where to read, and what they ask for.

    ``now`` is the time in seconds since the epoch. ``parameters`` are those of the path, such as ``namespace`` and
    ``name``. ``form`` are the fields of a POST, None for a GET. A page asks ``rights`` before it shows anything of an
    object: the frame cannot know which objects a page reads.
    """

    viewer: Viewer
    rights: ViewerRights
    sources: ConsoleSources
    query: PageQuery
    now: float
    parameters: Mapping[str, str] = field(default_factory=lambda: _NONE)
    form: PageQuery | None = None


@dataclass(frozen=True, slots=True)
class PageView:
    """What a page shows: a template of ``console/templates``, and its model.

    The twin is made of the same model.

    ``title`` is the heading, where it depends on the object that is shown; else it is that of the page.
    """

    template: str
    model: "DataclassInstance"
    title: str = ""
    status: int = 200


@dataclass(frozen=True, slots=True)
class PageFile:
    """A file that a page gives to download, such as the YAML that it made."""

    name: str
    content: str
    media_type: str = "application/yaml"


Build = Callable[[PageContext], Awaitable[PageView | PageFile]]


@dataclass(frozen=True, slots=True)
class Page:
    """One page. ``path`` may hold parameters, as ``/proxies/{namespace}/{name}``.

    ``title`` is its heading, and its name in the navigation if ``in_navigation``. ``accepts_forms`` lets it get POST,
    which changes nothing: a form's fields may be too long for a URL, or must not stand in one.
    """

    path: str
    title: str
    build: Build
    in_navigation: bool = True
    accepts_forms: bool = False

    @property
    def twin(self) -> str:
        """The path of the page as JSON."""
        return "/index.json" if self.path == "/" else f"{self.path}.json"
