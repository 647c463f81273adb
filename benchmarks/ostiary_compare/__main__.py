"""``make compare``: the same requests, policies and load against every MCP gateway that is installed.

It downloads nothing. It starts each gateway in each of its modes on one core, tries that keys, rules, limits and spans
are what they are said to be, and measures all in turns. Everything that it started ends with it.
"""

import argparse
import json
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from ostiary_compare.comparison import Amount, compare
from ostiary_compare.gateway import Gateway, search_path
from ostiary_compare.kinds import KINDS
from ostiary_compare.page import page, picture, quietness
from ostiary_compare.peers.agentgateway import AGENTGATEWAY
from ostiary_compare.peers.contextforge import CONTEXTFORGE
from ostiary_compare.peers.fastmcp import FASTMCP
from ostiary_compare.peers.litellm import LITELLM
from ostiary_compare.peers.nginx import NGINX
from ostiary_compare.peers.ostiary import OSTIARY
from ostiary_compare.peers.toolhive import TOOLHIVE
from ostiary_compare.peers.tyk import TYK
from ostiary_compare.results import Comparison, comparison_of
from ostiary_compare.tables import governance, table, targets
from ostiary_tools.common.errors import ToolError

#: All gateways, in the order in which they are measured.
GATEWAYS: Final[tuple[Gateway, ...]] = (NGINX, OSTIARY, AGENTGATEWAY, TYK, TOOLHIVE, CONTEXTFORGE, FASTMCP, LITELLM)
_ROOT: Final = Path(__file__).parents[2]
_RESULTS: Final = _ROOT / "benchmarks" / "results" / "compare.json"
_DOCS: Final = _ROOT / "docs" / "compare.md"
_PICTURE: Final = _ROOT / "docs" / "images" / "compare.svg"
_LEARN: Final = """
examples:
  make compare LIST=1                      what is installed, and how to install the rest
  make compare                             all that is installed, about eight minutes; also writes {results}
  make compare ONLY=nginx,ostiary          two of them, about two minutes
  make compare PEERS=/opt/gateways         programs that are not on PATH: DIRECTORY, DIRECTORY/bin, DIRECTORY/*/bin
  make compare ROUNDS=1 SECONDS=0.3        a first look, too short to believe
  make compare WRITE_DOCS=1                also write docs/compare.md and its picture
  make compare AGAIN=1 WRITE_DOCS=1        write them from the figures of the last run

exit codes: 0 measured; 1 nothing could be measured, or not this gateway; 2 unknown option; 130 interrupted.
A target that is missed, an absent gateway and one that fails are named, and change no exit code.
"""
_MOST: Final = 100_000
_INTERRUPTED: Final = 130


def main() -> int:
    """Compare, and print the tables; return the exit code."""
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _compared(_options())
    except KeyboardInterrupt:
        sys.stderr.write("make compare: interrupted; everything that it started has ended\n")
        return _INTERRUPTED


def _compared(options: argparse.Namespace) -> int:
    try:
        chosen = _chosen(options.only)
        path = search_path(options.peers)
        if options.list:
            print("\n".join(_line(each, path) for each in chosen))
            return 0
        found = _found(options, chosen, path)
    except ToolError as error:
        sys.stderr.write(f"make compare: {error}\n")
        return 1
    for name in options.kind or KINDS:
        print(f"{name}:\n{table(found, KINDS[name])}\n")
    print(f"{governance(found.governance)}\n\n{targets(found)}\n\n{quietness(found)}")
    for each in found.failures:
        print(f"not measured: {each.gateway} {each.mode} {each.kind}: {each.reason}".replace("  ", " "))
    if options.write_docs:
        _DOCS.write_text(page(found, GATEWAYS))
        _PICTURE.write_text(picture(found))
    return 0 if _has_own(found, chosen) else 1


def _has_own(found: Comparison, chosen: Sequence[Gateway]) -> bool:
    """Return whether this gateway was measured, or another one where this one was not asked for."""
    measured = {each.way.gateway for each in found.calls}
    return OSTIARY.name in measured if OSTIARY in chosen else bool(measured)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make compare",
        description=__doc__,
        epilog=_LEARN.format(results=_RESULTS.relative_to(_ROOT)),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--only", help="programs of the gateways, with commas (default: all)")
    parser.add_argument("--peers", type=Path, action="append", default=[], help="a directory with further programs")
    parser.add_argument("--kind", choices=KINDS, action="append", help="measure this kind of request only")
    parser.add_argument("--list", action="store_true", help="say what is installed, and how to install the rest")
    parser.add_argument("--rounds", type=_positive(int), default=5, help="of closed loops (default: 5)")
    parser.add_argument("--seconds", type=_positive(float), default=0.8, help="of each closed loop (default: 0.8)")
    parser.add_argument("--rate", type=_positive(int), default=500, help="calls a second, open loop (default: 500)")
    parser.add_argument("--open-seconds", type=_positive(float), default=2.5, help="of each open loop (default: 2.5)")
    parser.add_argument("--results", type=Path, default=_RESULTS, help="where the figures are written as JSON")
    parser.add_argument("--again", action="store_true", help="measure nothing: write the figures of the last run again")
    parser.add_argument("--write-docs", action="store_true", help="also write docs/compare.md and its picture")
    return parser.parse_args()


def _positive(number: type[int] | type[float]) -> Callable[[str], int | float]:
    def positive(text: str) -> int | float:
        value = number(text)
        if not 0 < value <= _MOST:
            raise ValueError
        return value

    return positive


def _chosen(only: str | None) -> Sequence[Gateway]:
    if not only:
        return GATEWAYS
    names = only.split(",")
    if unknown := set(names) - {each.program for each in GATEWAYS}:
        known = ", ".join(each.program for each in GATEWAYS)
        raise ToolError(f"--only names no gateway: {', '.join(sorted(unknown))}. Choose from {known}")
    return [each for each in GATEWAYS if each.program in names]


def _line(each: Gateway, path: str) -> str:
    missing = each.missing(path)
    return f"{each.name}: absent ({', '.join(missing)}). {each.install}" if missing else f"{each.name}: installed"


def _figures_of(results: Path) -> Comparison:
    try:
        return comparison_of(json.loads(results.read_text()))
    except (OSError, ValueError, TypeError, KeyError) as error:
        raise ToolError(f"{results} has no figures of a run of this version: {error!r}") from error


def _found(options: argparse.Namespace, chosen: Sequence[Gateway], path: str) -> Comparison:
    if options.again:
        return _figures_of(options.results)
    _require_linux()
    kinds = [KINDS[name] for name in options.kind or KINDS]
    amount = Amount(options.rounds, options.seconds, options.rate, options.open_seconds, kinds)
    with tempfile.TemporaryDirectory(prefix="compare-", ignore_cleanup_errors=True) as directory:
        found = compare(chosen, path, amount, Path(directory))
    options.results.parent.mkdir(exist_ok=True)
    options.results.write_text(json.dumps(found.document(), indent=1) + "\n")
    return found


def _require_linux() -> None:
    if not sys.platform.startswith("linux"):
        raise ToolError("it reads the CPU of processes from the kernel of Linux: run it there")
    if not shutil.which("taskset"):
        raise ToolError("taskset is missing, which binds programs to a core: install util-linux")


if __name__ == "__main__":
    sys.exit(main())
