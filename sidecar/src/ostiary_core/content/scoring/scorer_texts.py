"""The texts of a message for a scorer, and its answer brought back to their places."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from ostiary_core.content.places import PlaceKind, ReadablePlace
from ostiary_core.content.scoring.scorer_documents import MOST_TEXTS, ScoredSpan, ScorerResponse, ScorerVerdict
from ostiary_core.content.transforms.json_places import shown
from ostiary_core.contract.content import Direction
from ostiary_core.errors import OstiaryError

#: What a scorer reads: numbers and keys say little about what a text wants.
_READ: Final = frozenset({PlaceKind.PROSE, PlaceKind.VALUE, PlaceKind.BLOB, PlaceKind.URI})


class ScorerError(OstiaryError):
    """A scorer has given no verdict.

    It cannot be asked, did not answer, or its answer does not fit.
    """


def texts_for_scorer(places: Iterable[ReadablePlace], *, most_bytes: int) -> list[ReadablePlace]:
    """Return the places whose texts a scorer judges.

    Raises:
        ScorerError: they are more than it is given.
    """
    found = [place for place in places if place.kind in _READ and _says_something(place)]
    if len(found) > MOST_TEXTS:
        raise ScorerError(f"the message has more than {MOST_TEXTS} texts")
    if sum(len(place.text.encode("utf-8", "replace")) for place in found) > most_bytes:
        raise ScorerError(f"the texts of the message are longer than {most_bytes} bytes")
    return found


def _says_something(place: ReadablePlace) -> bool:
    return bool(place.text) and not place.text.isspace() and not place.is_protocol_word


def request_for_scorer(
    places: Sequence[ReadablePlace], texts: Sequence[str], *, direction: Direction, method: str, name: str
) -> dict[str, Any]:
    """Return the request to a scorer about the texts of places, as they are sent."""
    return {
        "version": 1,
        "direction": direction.value,
        "method": method,
        "name": name,
        "texts": [
            {"place": shown((*map(str, place.trail), str(place.key))), "text": text}
            for place, text in zip(places, texts, strict=True)
        ],
    }


def flagged_spans(response: Mapping[str, Any], texts: Sequence[str]) -> list[tuple[int, int, int]] | None:
    """Return what a scorer flags: the number of a text, the start and the end of each part.

    None where it lets the message pass. The parts of one text do not overlap, and follow each other.

    Raises:
        ScorerError: the response is not of the published form, or points outside of the texts.
    """
    try:
        answer = ScorerResponse.model_validate(response)
    except ValidationError as error:
        raise ScorerError(f"its response does not follow the schema in {error.error_count()} places") from None
    if answer.verdict is ScorerVerdict.PASS:
        return None
    if not answer.spans:
        return [(number, 0, len(text)) for number, text in enumerate(texts)]
    return _joined(answer.spans, texts)


def _joined(spans: Sequence[ScoredSpan], texts: Sequence[str]) -> list[tuple[int, int, int]]:
    found: list[tuple[int, int, int]] = []
    for number, start, end in sorted((span.text, span.start, span.end) for span in spans):
        if number >= len(texts) or end > len(texts[number]):
            raise ScorerError("its response points outside of the texts")
        if found and found[-1][0] == number and start <= found[-1][2]:
            found[-1] = (number, found[-1][1], max(found[-1][2], end))
        else:
            found.append((number, start, end))
    return found
