"""Renders templates.

Escaping is on for all of them, and a name that a model lacks is an error.
"""

import functools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlencode

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from ostiary_operator.console import hostile_text
from ostiary_operator.console.access.rights import Viewer
from ostiary_operator.console.hostile_text import ShownText
from ostiary_operator.console.page import Page, PageView
from ostiary_operator.console.plots import svg
from ostiary_operator.console.plots.figure import figure
from ostiary_operator.console.static_files import StaticFiles
from ostiary_operator.local import quantities
from ostiary_operator.local.quantities import Quantity

_FOLDER: Final = Path(__file__).parent / "templates"


@dataclass(frozen=True, slots=True)
class SiteView:
    """What surrounds a page for a viewer: the navigation, and who looks.

    ``path`` is that of the page.
    """

    navigation: Sequence[Page]
    viewer: Viewer
    path: str
    can_sign_out: bool


class Templates:
    """The templates of the folder ``templates``."""

    def __init__(self, static: StaticFiles) -> None:
        self._environment = Environment(
            loader=FileSystemLoader(_FOLDER),
            autoescape=True,
            undefined=StrictUndefined,
            finalize=hostile_text.finalized,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._environment.filters |= {
            "text": hostile_text.one_line,
            "lines": hostile_text.lines,
            "web_link": hostile_text.web_link,
            "number": functools.partial(quantities.shown, quantity=Quantity.COUNT),
            "seconds": functools.partial(quantities.shown, quantity=Quantity.SECONDS),
            "quantity": quantities.shown,
            "ratio": functools.partial(quantities.shown, quantity=Quantity.RATIO),
            "utc": functools.partial(quantities.utc_time, with_date=True),
        }
        self._environment.globals |= {"static": _shown(static.url), "url": url, "figure": figure, "bar": svg.bar}

    def page(
        self, view: PageView, *, title: str, site: SiteView | None, twin: str = "", query: Mapping[str, str]
    ) -> str:
        """Return a page as HTML.

        ``site`` is None where no viewer is known. ``query`` are the parameters of the page, for links to itself.

        Raises:
            jinja2.TemplateError: the template and the model do not fit: a bug.
        """
        path = site.path if site is not None else ""

        def here(**changes: object) -> ShownText:
            """Return the URL of this page with some parameters changed."""
            return url(path, **{**query, **changes})

        return self._environment.get_template(view.template).render(
            model=view.model, title=view.title or title, site=site, twin=ShownText(twin), here=here
        )


def url(path: str, **parameters: object) -> ShownText:
    """Return a path with a query; parameters that are empty or None are left out."""
    given = {name: str(value) for name, value in parameters.items() if value not in (None, "")}
    encoded = urlencode(given, errors="backslashreplace")
    return ShownText(f"{path}?{encoded}" if encoded else path)


def _shown(make: Callable[[str], str]) -> Callable[[str], ShownText]:
    return lambda name: ShownText(make(name))
