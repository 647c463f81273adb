"""``ostiary __complete``: what may stand next on a command line, in the protocol of Cobra.

Shells ask it, by the scripts of `ostiary completion`, and kubectl does, by `kubectl_complete-ostiary`. The last of the
given words is the one to complete. The answer is a line for each candidate, with a tab before its description, and a
last line with a colon and the sum of :class:`Directive`.

Nothing is loaded but the table of commands, and the arguments of the one command that the words name. Names of a
cluster come from one small request, which has 300 ms from the start of the program; without an answer in time there
are none.
"""

import argparse
import enum
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from ostiary_operator.cli.given_arguments import GivenArguments

#: How long names of a cluster may take, in milliseconds, unless this variable says otherwise.
TIMEOUT_VARIABLE: Final = "OSTIARY_COMPLETION_TIMEOUT_MS"
_TIMEOUT: Final = 300
_STARTED: Final = time.monotonic()
_LONGEST_HINT: Final = 80


class Directive(enum.IntFlag):
    """What a shell does besides offering the candidates (Cobra's ShellCompDirective)."""

    FILES = 0
    """Offer files where there is no candidate."""
    ERROR = 1
    NO_SPACE = 2
    NO_FILES = 4
    FILTER_FOLDERS = 16
    KEEP_ORDER = 32


class CompletionWord(NamedTuple):
    """One word that may stand next, and what it means."""

    word: str
    hint: str = ""


@dataclass(slots=True)
class Completion:
    """The answer: what may stand next, and what the shell is to do."""

    candidates: list[CompletionWord] = field(default_factory=list)
    directive: Directive = Directive.NO_FILES

    def lines(self, *, descriptions: bool) -> Iterator[str]:
        """Yield the lines of the answer."""
        for each in self.candidates:
            if not each.word.isprintable() or not each.word:
                continue  # a name in a kubeconfig may be any text, and a terminal acts on some
            hint = "".join(filter(str.isprintable, " ".join(each.hint.split()))) if descriptions else ""
            yield f"{each.word}\t{_cut(hint)}" if hint else each.word
        yield f":{int(self.directive)}"


def answer(words: Sequence[str], parser: argparse.ArgumentParser, *, descriptions: bool = True) -> int:
    """Write what may stand in place of the last of the words; return the exit code 0."""
    for line in complete(words, parser).lines(descriptions=descriptions):
        sys.stdout.write(line + "\n")
    sys.stdout.flush()
    return 0


def complete(words: Sequence[str], parser: argparse.ArgumentParser) -> Completion:
    """Return what may stand in place of the last of the words, on the command line of a parser."""
    *before, current = words or [""]
    line = GivenArguments(parser)
    for word in before:
        line.read(word)
    if line.pending is not None:
        return _values(line.pending, current, line)
    if not line.only_positionals and current.startswith("-"):
        return _options(line, current)
    return _positionals(line, current)


def _options(line: GivenArguments, current: str) -> Completion:
    name, separator, value = current.partition("=")
    if separator:
        action = line.option(name)
        return _values(action, value, line) if action is not None and action.nargs != 0 else Completion()
    found = [
        CompletionWord(spelled, action.help or "")
        for action in line.options()
        for spelled in action.option_strings
        if spelled.startswith(current) and (spelled.startswith("--") or len(action.option_strings) == 1)
    ]
    return Completion(found)


def _positionals(line: GivenArguments, current: str) -> Completion:
    action = line.positional
    if action is None:
        return Completion()
    if isinstance(action, argparse._SubParsersAction):
        listed = action._choices_actions
        return Completion(
            [CompletionWord(each.dest, each.help or "") for each in listed if each.dest.startswith(current)]
        )
    return _values(action, current, line)


def _values(action: argparse.Action, current: str, line: GivenArguments) -> Completion:
    """Return the values of an option or a positional argument."""
    if action.choices is not None:
        return Completion([CompletionWord(str(each)) for each in action.choices if str(each).startswith(current)])
    metavar = action.metavar if isinstance(action.metavar, str) else ""
    if metavar in {"FILE", "PATH"} and action.dest != "request_path":
        return Completion(directive=Directive.FILES)
    if metavar == "DIR":
        return Completion(directive=Directive.FILTER_FOLDERS)
    source = _source(action, metavar)
    return Completion(_in_time(lambda: list(source(current, line)))) if source is not None else Completion()


_Source = Callable[[str, GivenArguments], Iterable[CompletionWord]]


def _source(action: argparse.Action, metavar: str) -> _Source | None:
    """Return where the values of an argument come from; None where nothing is known of them."""
    if metavar in {"PROXY", "MCPPROXY"} or action.dest == "proxy":
        return lambda current, line: _names("proxies", current, line)
    if metavar == "NAMESPACE" or action.dest in {"namespace", "operator_namespace", "into"}:
        return lambda current, line: _names("namespaces", current, line)
    if action.dest == "context":
        return _contexts
    if metavar == "KIND" and action.dest == "kind" and action.type is not None:
        return _kinds
    if metavar == "NAME" and action.dest == "names":
        return lambda current, line: _names(line.values.get("kind", ""), current, line)
    return None


def _kinds(current: str, _: GivenArguments) -> Iterator[CompletionWord]:
    from ostiary_operator.cli import get  # noqa: PLC0415  its arguments are the only ones with kinds

    return (CompletionWord(each) for each in get.WORDS if each.startswith(current))


def _contexts(current: str, line: GivenArguments) -> Iterator[CompletionWord]:
    from ostiary_operator.kube import kubeconfig_files  # noqa: PLC0415  most completions need no YAML

    found = kubeconfig_files.contexts(line.values.get("kubeconfig"))
    return (CompletionWord(each) for each in found if each.startswith(current))


def _names(kind: str, current: str, line: GivenArguments) -> list[CompletionWord]:
    """Return the objects of a kind whose names begin so; NAMESPACE/ names another namespace."""
    from ostiary_operator.kube import kubeconfig_files, object_names  # noqa: PLC0415  likewise

    if kind not in object_names.COLLECTIONS:
        return []
    values = line.values
    seconds = _seconds()
    access = kubeconfig_files.access(values.get("kubeconfig"), values.get("context"), seconds=seconds)
    home, slash, start = current.rpartition("/")
    namespace = home if slash else values.get("namespace") or access.namespace
    found = object_names.named_objects(access, kind, namespace=namespace, seconds=seconds)
    return [CompletionWord(f"{home}{slash}{each.name}", each.hint) for each in found if each.name.startswith(start)]


def _in_time(ask: Callable[[], list[CompletionWord]]) -> list[CompletionWord]:
    """Return the answer, or nothing if it comes too late or fails: a shell shows no errors."""
    found: list[CompletionWord] = []

    def run() -> None:
        from ostiary_core.errors import OstiaryError  # noqa: PLC0415  likewise

        try:
            found.extend(ask())
        except (OstiaryError, OSError):
            return

    asking = threading.Thread(target=run, daemon=True)  # the program does not wait for it at its end
    asking.start()
    asking.join(_seconds())
    return [] if asking.is_alive() else sorted(found)


def _seconds() -> float:
    """Return how long names may still take."""
    given = os.environ.get(TIMEOUT_VARIABLE, "")
    whole = int(given) if given.isascii() and given.isdigit() and len(given) < 7 else _TIMEOUT
    return max(whole / 1000 - (time.monotonic() - _STARTED), 0.001)


def _cut(hint: str) -> str:
    return hint if len(hint) <= _LONGEST_HINT else hint[: _LONGEST_HINT - 3] + "..."
