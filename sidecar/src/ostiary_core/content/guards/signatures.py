"""Signatures of instructions that a server hides in text, from a versioned file.

A signature is a pattern over folded text (:mod:`.folding`) with its reason, an example that it finds and a
counter-example that it does not find. A space in a pattern stands for any run of white space and of light punctuation,
so that line breaks and Markdown hide nothing. They are a sieve, not a wall: what is worded in another way passes.
"""

import functools
import pkgutil
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import re2
import yaml

from ostiary_core.content.guards.folding import fold
from ostiary_core.contract.content import Direction
from ostiary_core.contract.guards import GuardDetector, Sensitivity
from ostiary_core.errors import PatternError
from ostiary_core.policy.name_matcher import re2_options, re2_reason

#: The memory of one signature: its program.
SIGNATURE_MEMORY: Final = 256 << 10
#: The same for all signatures of a guard, joined, with room for the states that RE2 has found so far.
_JOINED_MEMORY: Final = 24 << 20
_WORD: Final = re.compile(r"\{([a-z_]+)\}")
_GAPS: Final = re.compile(r"\{0,[0-9]+\}")
_FILE: Final = "signatures.yaml"
_GAP: Final = r"(?:[\s\-_*~>#|.,:;!'\"()\[\]]+)"


@dataclass(frozen=True, slots=True)
class Signature:
    """One thing to find.

    ``detector`` says of which kind it is, ``sensitivity`` from which setting on it is used, ``directions`` in which
    texts.
    """

    name: str
    detector: GuardDetector
    sensitivity: Sensitivity
    directions: frozenset[Direction]
    pattern: str
    reason: str
    example: str
    counter_example: str


@dataclass(frozen=True, slots=True)
class SignatureFile:
    """The signatures of this release, and the version of their file."""

    version: str
    signatures: tuple[Signature, ...]


@functools.lru_cache(maxsize=1)
def built_in() -> SignatureFile:
    """Return the signatures that come with Ostiary; the file is read once."""
    text = pkgutil.get_data(__package__, _FILE)
    assert text is not None  # noqa: S101  it is part of the package
    read = yaml.safe_load(text)
    return SignatureFile(read["version"], tuple(_signature(item, read["words"]) for item in read["signatures"]))


def _signature(item: Mapping[str, Any], words: Mapping[str, str]) -> Signature:
    return Signature(
        name=item["name"],
        detector=GuardDetector(item["detector"]),
        sensitivity=Sensitivity(item["sensitivity"]),
        directions=frozenset(map(Direction, item.get("directions", Direction))),
        pattern=_WORD.sub(lambda match: words[match[1]], item["pattern"]),
        reason=item["reason"],
        example=item["example"],
        counter_example=item["counterExample"],
    )


def expression_of(pattern: str) -> str:
    """Return the RE2 expression of a signature's pattern.

    A space outside of brackets stands for any light gap.
    """
    parts, in_class, is_escaped = [], False, False
    for character in pattern:
        is_gap = character == " " and not in_class and not is_escaped
        parts.append(_GAP if is_gap else character)
        if not is_escaped and character in "[]":
            in_class = character == "["
        is_escaped = character == "\\" and not is_escaped
    return f"(?i:{''.join(parts)})"


def compile_signature(pattern: str) -> Any:
    """Compile the pattern of an owner's signature; its letters are folded as every text is.

    Raises:
        PatternError: RE2 rejects it, or it needs more memory than a signature may use.
    """
    return _compiled(expression_of(fold(pattern)), re2_options(memory=SIGNATURE_MEMORY))


def compile_built_in(signatures: Iterable[Signature], *, is_rough: bool = False) -> Any:
    """Compile one expression that finds any of these in what :func:`ascii_bytes` returns.

    ``is_rough`` lets gaps be of any length. That finds more, and RE2 has a hundred times fewer states to tell apart:
    text that almost matches everywhere costs little more than other text.
    """
    expression = "|".join(expression_of(each.pattern) for each in signatures)
    options = re2_options(memory=_JOINED_MEMORY)
    options.encoding = re2.Options.Encoding.LATIN1
    return _compiled((_GAPS.sub("*", expression) if is_rough else expression).encode(), options)


def ascii_bytes(folded: str) -> bytes:
    """Return folded text with one byte for each character.

    Our own signatures are written in ASCII.
    """
    return folded.encode("ascii", "replace")


def _compiled(expression: str | bytes, options: Any) -> Any:
    try:
        return re2.compile(expression, options)
    except re2.error as error:
        raise PatternError(f"signature {expression!r} is not a valid RE2 expression: {re2_reason(error)}") from None


def check_signature(pattern: str, *, example: str, counter_example: str) -> str:
    """Return what is wrong with a signature; empty if nothing is.

    It finds its example and not its counter-example. Both are folded as every text is, so an example may be spelled
    with look-alikes.
    """
    try:
        compiled = compile_signature(pattern)
    except PatternError as error:
        return str(error)
    if not compiled.search(fold(example)):
        return "the pattern does not find its own example"
    if compiled.search(fold(counter_example)):
        return "the pattern finds its own counterExample"
    return ""
