"""Words that this repository does not use, and what to write instead (CONTRIBUTING.md, rules for language)."""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
#: By word: what to write instead. A group of words with one remedy is one entry.
INSTEAD = {
    "door doors": "proxy, endpoint or gateway",
    "knock knocks knocked knocking": "request, call or connect",
    "visit visits visited visitor visitors": "request or connect",
    "stranger strangers guest guests": "client or tenant",
    "he him his himself she her hers": "it or they; name the client, caller or server",
    "whoever whosoever": "any client that",
    "nobody somebody everybody anybody": "no client, another process, every caller: name what you mean",
    "mend mends mended mending": "fix, repair or correct",
    "station stations": "stage",
    "beside": "next to, besides, in parallel with",
    "anew afresh": "again",
    "thereof therein thereby whereby whereupon hereby": "a sentence of its own",
    "hence whence thence": "so, or from which",
    "wherever": "at every place where, or if",
    "whilst amongst albeit lest thrice": "while, among, although, so that not, three times",
    "shelf shelves drawer drawers": "cache or queue",
    "lookout lookouts": "watch, poll or check",
    "tether tethers tethered": "parent watchdog",
    "poke pokes poked poking": "enqueue or notify",
    "manieth": "every 16th",
}
#: Text of others, what is locked, and this list.
NOT_OURS = re.compile(r"LICENSE|go\.(mod|sum)|package-lock\.json|requirements/|values\.jsonl|test_language\.py")
#: The name of a metric, which dashboards use, and a name in the changelog that was replaced.
KEPT = re.compile("ostiary_operator_pokes|no longer `door`")
#: The rules for language quote what not to write.
QUOTED = re.compile(r"^## Rules for language$.*?^## ", re.MULTILINE | re.DOTALL)
WORD = re.compile(rf"(?<![A-Za-z])(?:{'|'.join(' '.join(INSTEAD).split())})(?![A-Za-z])", re.IGNORECASE)
REMEDY = {word: instead for words, instead in INSTEAD.items() for word in words.split()}


def tracked() -> list[str]:
    """The files of the repository whose text is ours, by their paths."""
    command = ["/usr/bin/env", "git", "ls-files", "-z"]
    listing = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout
    return [path for path in listing.split("\0") if path and not NOT_OURS.search(path) and (ROOT / path).is_file()]


def text_of(path: str) -> str:
    """The text of a file, without the examples of what not to write; empty if it is no text."""
    try:
        text = (ROOT / path).read_text()
    except UnicodeDecodeError:
        return ""
    text = KEPT.sub("", text)
    return QUOTED.sub(lambda rules: "\n" * rules[0].count("\n"), text) if path == "CONTRIBUTING.md" else text


def found(path: str, text: str) -> Iterator[str]:
    """Each word to replace in a text or in its file's name, as `path:line: remedy`."""
    for match in WORD.finditer(path):
        yield f"{path}: rename it, {remedy(match[0])}"
    for match in WORD.finditer(text):
        yield f"{path}:{text.count(chr(10), 0, match.start()) + 1}: {remedy(match[0])}"


def remedy(word: str) -> str:
    """What to write in place of a word."""
    return f'instead of "{word}" write {REMEDY[word.lower()]}'


def test_the_repository_uses_the_words_of_its_field() -> None:
    problems = [problem for path in tracked() for problem in found(path, text_of(path))]
    assert not problems, "\n".join(problems)


@pytest.mark.parametrize("text", ["a door", "Knock, then", "def wait_for_door(", "the_guest", "(he)", "so-manieth"])
def test_a_word_is_found_in_prose_and_in_names(text: str) -> None:
    (problem,) = found("docs/page.md", f"A line.\n{text}\n")
    assert problem.startswith('docs/page.md:2: instead of "')


@pytest.mark.parametrize("text", ["indoor", "the", "Hertz", "visible", "recommend", "stationary", "this"])
def test_a_word_within_another_is_not_meant(text: str) -> None:
    assert list(found("docs/page.md", text)) == []


def test_a_name_of_a_file_counts() -> None:
    assert list(found("docs/doors.yaml", "")) == [
        'docs/doors.yaml: rename it, instead of "doors" write proxy, endpoint or gateway'
    ]
