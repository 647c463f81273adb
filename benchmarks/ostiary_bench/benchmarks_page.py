"""The page docs/benchmarks.md, whose sections are measured and written one by one."""

from pathlib import Path
from typing import Final

#: The page.
PATH: Final = Path(__file__).parents[2] / "docs" / "benchmarks.md"
_HEADING: Final = "\n## "
#: The sections in their order; one that is not named here is the last.
_ORDER: Final = (
    "Where the time of a call goes",
    "Callers and rules",
    "A fully governed call",
    "The HTTP server of the data port",
    "Several servers, and servers of the other era",
    "Several endpoints, open circuit breakers, and REST services",
    "Rules about contents",
    "Several workers",
    "Hostile callers and servers",
    "Scale",
    "Console",
)


def replace(page: str, text: str) -> str:
    """Return a page with a section replaced, or added.

    A text that begins with ``##`` is the section of that title, any other is the part above all sections.
    """
    above, *sections = f"\n{page}".split(_HEADING)
    if not text.startswith(_HEADING[1:]):
        return _joined(text, sections)
    section = text.removeprefix(_HEADING[1:])
    others = [each for each in sections if _title(each) != _title(section)]
    return _joined(above, sorted([*others, section], key=_place))


def write(text: str) -> None:
    """Replace one section of the page."""
    PATH.write_text(replace(PATH.read_text() if PATH.exists() else "", text))


def _joined(above: str, sections: list[str]) -> str:
    return f"{_HEADING}".join(f"{each.strip()}\n" for each in [above, *sections])


def _title(section: str) -> str:
    return section.partition("\n")[0].strip()


def _place(section: str) -> int:
    title = _title(section)
    return _ORDER.index(title) if title in _ORDER else len(_ORDER)
