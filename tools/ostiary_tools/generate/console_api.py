"""Generates `docs/reference/console-api.md` from the models of the console's pages.

`python -m ostiary_tools.generate.console_api` writes the page; a test fails when it is out of date, or when a page of
the console is not on it.
"""

import argparse
import dataclasses
import enum
import inspect
import sys
import types
import typing
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Final

from ostiary_operator.console.page import Page
from ostiary_operator.console.pages import PAGES
from ostiary_operator.console.pages.calls import CallNotice
from ostiary_operator.console.twins import camel_case
from ostiary_tools.common.errors import ToolError
from ostiary_tools.generate.pages import rewrite

ROOT: Final = Path(__file__).parents[3]
PAGE: Final = ROOT / "docs" / "reference" / "console-api.md"
_PROXY: Final = {"proxy": "`namespace/name`: only this MCPProxy", "namespace": "only MCPProxies of this namespace"}
_PAGE_NUMBER: Final = {"page": "which 50 rows, from 1"}
_RANGE: Final = {"range": "`15m` (the default), `1h`, `6h`, `24h`; `7d` and `30d` come from Prometheus"}
#: The parameters of each page: what they narrow.
PARAMETERS: Final[dict[str, dict[str, str]]] = {
    "/": {
        "q": "words that namespace, name or URL hold",
        "namespace": "only this namespace",
        "ready": "the state of readiness",
        **_PAGE_NUMBER,
    },
    "/proxies/{namespace}/{name}": {},
    "/proxies/{namespace}/{name}/catalogue": {
        "as": "a consumer, `group:NAME`, `anonymous`, or claims as a JSON object",
        "groups, scopes": "names, separated by commas",
        "q": "words that a name holds",
    },
    "/explain": {
        "proxy": "`namespace/name`",
        "primitive, verb, name": "what is used: `tools`, `Call`, and the tool's name",
        "as": "a consumer, `group:NAME`, `anonymous`, or claims as a JSON object",
        "groups, scopes, arguments, headers": "more of the caller and of the message",
    },
    "/would-deny": {
        **_PROXY,
        "policy": "`namespace/name`",
        "name": "one tool, resource or prompt",
        "principal": "one principal",
        **_PAGE_NUMBER,
    },
    "/limits": {**_PROXY, "q": "words that policy, limit or key hold", **_PAGE_NUMBER},
    "/calls": {
        **_PROXY,
        "outcome": "one outcome, such as `denied`",
        "method": "one MCP method",
        "q": "words that name, principal, policy, rule or reason hold",
        **_PAGE_NUMBER,
    },
    "/traffic": {**_PROXY, **_RANGE},
    "/activity": {**_PROXY, **_RANGE, **_PAGE_NUMBER},
    "/new": {"proxy": "`namespace/name` to edit", "step": "the step that is shown"},
}

_HEAD: Final = """\
<!-- Generated from the models of pages by `python -m ostiary_tools.generate.console_api`. Do not edit. -->

# Console API

Each page of the console has a twin: the same content as JSON, at the page's path and `.json` (`/index.json` of `/`),
with the same parameters and under the same rights. `<link rel="alternate" type="application/json">` of a page names it.

- Send `Authorization: Bearer TOKEN`: the token of `--console-token`, or in a cluster one that the API server accepts.
- Everything is read with GET. Nothing that can be reached here changes anything.
- Texts are exact, where pages show invisible characters as escapes and cut what is long: treat them as hostile.
- Times are milliseconds since the epoch where they are numbers, and durations are seconds unless the name says `Ms`.
- Members may be added in any version; one that is not needed any more is null for at least one version.
- Where there is nothing to show, `empty.reason` says why: see [EmptyState](#emptystate).
- An error has `title`, `message` and `status`: 400 names the parameter, 403 the missing right, 404 something
  that does not exist or that the viewer may not know of, 503 a source that does not answer.

`/calls/live` has the parameters of `/calls` and answers with one JSON object a line as calls come:
[ListedCall](#listedcall) or [CallNotice](#callnotice). `after` is an object of the newest known `number` by
`gateway/replica`. An empty line says that the connection lives. It ends after five minutes: open it again.
"""


def model_of(page: Page) -> type:
    """Return the class of the model of a page, which its module imports or defines.

    Raises:
        ToolError: there is none, or more than one.
    """
    module = sys.modules[page.build.__module__]
    found = [each for name, each in vars(module).items() if name.endswith("Model") and dataclasses.is_dataclass(each)]
    if len(found) != 1 or not isinstance(found[0], type):
        raise ToolError(f"{module.__name__} must have one class ...Model: the model of {page.path}")
    return found[0]


def render() -> str:
    """Return the page as it should be."""
    models = {page.path: model_of(page) for page in PAGES}
    return "\n".join([_HEAD, *_pages(models), "## Shapes\n", *_shapes(models.values())]).rstrip() + "\n"


def _pages(models: dict[str, type]) -> Iterator[str]:
    yield "## Pages\n"
    for page in PAGES:
        yield f"### `{page.twin}`\n"
        yield f"{_summary(sys.modules[page.build.__module__])}\n"
        parameters = PARAMETERS[page.path]
        if parameters:
            yield "| Parameter | Meaning |"
            yield "|---|---|"
            yield from (f"| `{name.replace(', ', '`, `')}` | {words} |" for name, words in parameters.items())
            yield ""
        yield f"Answer: {_linked(models[page.path])}\n"


def _shapes(models: Iterable[type]) -> Iterator[str]:
    """Yield a section for each dataclass that the models hold, by name."""
    found: dict[str, type] = {}
    waiting = [*models, CallNotice]
    while waiting:
        each = waiting.pop()
        if each.__name__ not in found:
            found[each.__name__] = each
            waiting += (kind for hint in typing.get_type_hints(each).values() for kind in _dataclasses(hint))
    for name in sorted(found):
        yield from _shape(found[name])


def _shape(shape: type) -> Iterator[str]:
    hints = typing.get_type_hints(shape)
    yield f"### {shape.__name__}\n"
    yield f"{' '.join(inspect.cleandoc(shape.__doc__ or '').split()).replace('``', '`')}\n"
    yield "| Member | Type |"
    yield "|---|---|"
    for field in dataclasses.fields(shape):
        yield f"| `{camel_case(field.name)}` | {_type(hints[field.name])} |"
    yield ""


def _dataclasses(hint: Any) -> Iterator[type]:
    """Yield the dataclasses that a type mentions."""
    origin = typing.get_origin(hint)
    for each in (hint, origin):
        if isinstance(each, type) and dataclasses.is_dataclass(each):
            yield each
    for argument in typing.get_args(hint):
        yield from _dataclasses(argument)


def _type(hint: Any) -> str:
    """Return a type in words of JSON."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in {typing.Union, types.UnionType}:
        return " or ".join(dict.fromkeys(map(_type, arguments)))
    if origin is typing.Literal:
        return ", ".join(f"`{each}`" for each in arguments)
    if isinstance(origin, type) and dataclasses.is_dataclass(origin):
        return f"{_linked(origin)} of {', '.join(map(_type, arguments))}"
    if origin in {tuple, list, set, frozenset} or _is_sequence(origin):
        return f"list of {_type(arguments[0])}" if arguments else "list"
    if origin is not None and arguments:
        return f"object of {_type(arguments[-1])}"
    return _plain(hint)


def _is_sequence(origin: Any) -> bool:
    return getattr(origin, "__name__", "") in {"Sequence", "Collection", "Iterable"}


def _plain(hint: Any) -> str:
    if hint is type(None):
        return "null"
    if isinstance(hint, type) and issubclass(hint, enum.Enum):
        return "one of " + ", ".join(f"`{each.value}`" for each in hint)
    if isinstance(hint, type) and dataclasses.is_dataclass(hint):
        return _linked(hint)
    return {str: "string", bool: "boolean", int: "integer", float: "number", dict: "object"}.get(hint, "any value")


def _linked(shape: Any) -> str:
    return f"[{shape.__name__}](#{shape.__name__.lower()})"


def _summary(module: types.ModuleType) -> str:
    """Return what the first line of a page's module says of it."""
    text = " ".join(inspect.cleandoc(module.__doc__ or "").split("\n\n")[0].split())
    words = text.partition(": ")[2] or text
    return words[:1].upper() + words[1:]


def main() -> int:
    """Write the page; print its path if it changed."""
    parser = argparse.ArgumentParser(prog="python -m ostiary_tools.generate.console_api", description=main.__doc__)
    parser.parse_args()
    rewrite(PAGE, render())
    return 0


if __name__ == "__main__":
    sys.exit(main())
