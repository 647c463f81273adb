"""Longer ranges than gateways keep, from a Prometheus that scrapes them.

Queries are those of boards, for the proxies that a viewer may see. What a Prometheus answers is bounded and judged: the
address may be another server's.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

import aiohttp
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ostiary_core.errors import OstiaryError
from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console.sources.memory import ShortMemory
from ostiary_operator.console.sources.protocols import LongSeries, SourceUnavailable
from ostiary_operator.local.console import printable
from ostiary_operator.local.run_options import PrometheusAddress

#: Seconds in which it has to answer, and for which an answer is kept.
_DEADLINE: Final = 10.0
_SECONDS: Final = 15.0
#: Bytes of an answer, and queries that are sent at the same time.
_MOST_BYTES: Final = 8 * 1024 * 1024
_TOGETHER: Final = 8
_MOST_SERIES: Final = 1_000
_MOST_POINTS: Final = 11_000
#: Characters of its own words in a message, and of a label.
_WORDS: Final = 200
_LABEL: Final = 300
_KEPT: Final = 128
#: Samples that count or measure something are smaller, and their times are before the year 2248, in seconds.
_LARGEST: Final = 2.0**63
_LATEST: Final = 2.0**33

_Label = Annotated[str, Field(max_length=4096)]
_Point = tuple[float, _Label]


class PrometheusUrlError(OstiaryError):
    """The URL of a Prometheus cannot be used; the message says why."""


class _AnsweredSeries(BaseModel):
    """One series of an answer."""

    model_config = ConfigDict(extra="ignore")

    metric: Annotated[dict[_Label, _Label], Field(max_length=64)]
    values: Annotated[list[_Point], Field(max_length=_MOST_POINTS)] = []
    value: _Point | None = None


class _PrometheusData(BaseModel):
    model_config = ConfigDict(extra="ignore")

    result_type: Annotated[Literal["matrix", "vector"], Field(alias="resultType")]
    result: Annotated[list[_AnsweredSeries], Field(max_length=_MOST_SERIES)]


class _PrometheusAnswer(BaseModel):
    """What its API answers (https://prometheus.io/docs/prometheus/latest/querying/api/)."""

    model_config = ConfigDict(extra="ignore")

    status: Literal["success", "error"]
    data: _PrometheusData | None = None
    error: str = ""


@dataclass(frozen=True, slots=True)
class _PrometheusQuery:
    """One request: ``path`` below its API, and the parameters."""

    path: str
    parameters: tuple[tuple[str, str], ...]


class PrometheusRanges:
    """Implements :class:`~ostiary_operator.console.sources.protocols.LongRanges`.

    ``url`` is what ``/api/v1`` follows; ``token`` is sent as a bearer token.

    Raises:
        PrometheusUrlError: the URL is not an http or https one, or holds a password.
    """

    def __init__(
        self, http: aiohttp.ClientSession, url: str, *, token: SecretBytes | None = None, seconds: float = _SECONDS
    ) -> None:
        self._http = http
        self._url, self._title = _judged(url)
        self._headers = _bearer(token)
        self._asking = asyncio.Semaphore(_TOGETHER)
        self._answers = ShortMemory(self._ask, seconds=seconds, most=_KEPT)

    @property
    def title(self) -> str:
        """What a panel names as its source."""
        return self._title

    async def series(self, query: str, *, begin: int, end: int, step: int) -> Sequence[LongSeries]:
        """Return what a PromQL query gives over time.

        ``begin`` and ``end`` are in epoch milliseconds, ``step`` in seconds. They are rounded to whole steps, so that
        viewers who look at the same time get the same answer.
        """
        first, last = (at // (step * 1000) * step for at in (begin, end))
        parameters = (("query", query), ("start", str(first)), ("end", str(last)), ("step", str(step)))
        return await self._answers.get(_PrometheusQuery("query_range", parameters))

    async def values(self, query: str, *, at: int) -> Sequence[LongSeries]:
        """Return what a PromQL query gives at one time, in epoch milliseconds.

        Each series has one point.
        """
        return await self._answers.get(_PrometheusQuery("query", (("query", query), ("time", str(at // 1000)))))

    async def _ask(self, question: _PrometheusQuery) -> tuple[LongSeries, ...]:
        try:
            async with self._asking, asyncio.timeout(_DEADLINE):
                answer = _parsed(await self._body(question))
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            why = "it took too long" if isinstance(error, TimeoutError) else type(error).__name__
            raise SourceUnavailable(f"{self._title} does not answer: {why}") from error
        if answer is None or (answer.status == "success" and answer.data is None):
            raise SourceUnavailable(f"{self._title} answers with something else than its API does: is it Prometheus?")
        if answer.data is None:
            raise SourceUnavailable(f"{self._title} refuses the query: {printable(answer.error, limit=_WORDS)}")
        return tuple(_series(each) for each in answer.data.result)

    async def _body(self, question: _PrometheusQuery) -> bytes:
        """Send a query as a form, since it may be too long for a URL; return at most so many bytes."""
        async with self._http.post(
            f"{self._url}/api/v1/{question.path}",
            data=dict(question.parameters),
            headers=self._headers,
            allow_redirects=False,
        ) as response:
            if response.status in {401, 403}:
                raise SourceUnavailable(f"{self._title} refuses the console with {response.status}")
            body = bytearray()
            async for chunk in response.content.iter_any():
                body += chunk
                if len(body) > _MOST_BYTES:
                    raise SourceUnavailable(f"{self._title} answers with more than {_MOST_BYTES} bytes")
            return bytes(body)


def _judged(url: str) -> tuple[str, str]:
    """Return the URL without a slash at its end, and what it is called in messages."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        host, parts, port = None, urlsplit(""), None
    if parts.scheme not in {"http", "https"} or not host:
        raise PrometheusUrlError("the URL of Prometheus must be one like http://prometheus.monitoring:9090")
    if parts.username is not None or parts.password is not None:
        raise PrometheusUrlError("the URL of Prometheus must not hold a name or password: use a token file")
    return url.rstrip("/"), f"Prometheus at {host}{f':{port}' if port else ''}"


def _bearer(token: SecretBytes | None) -> dict[str, str]:
    return {} if token is None else {"Authorization": f"Bearer {token.reveal().decode('ascii', 'replace')}"}


def _parsed(body: bytes) -> _PrometheusAnswer | None:
    try:
        return _PrometheusAnswer.model_validate_json(body)
    except ValidationError:
        return None


def _series(found: _AnsweredSeries) -> LongSeries:
    points = [*found.values, *([found.value] if found.value is not None else [])]
    numbers = ((round(at * 1000), _number(text)) for at, text in points if 0 <= at < _LATEST)
    return LongSeries(_labels(found.metric), tuple((at, value) for at, value in numbers if value is not None))


def _labels(metric: Mapping[str, str]) -> dict[str, str]:
    return {name[:_LABEL]: value[:_LABEL] for name, value in metric.items() if name != "__name__"}


def _number(text: Any) -> float | None:
    """Return a sample; None for one that no chart can show: a rate of nothing is NaN."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if -_LARGEST < value < _LARGEST else None


def long_ranges(address: PrometheusAddress | None, http: aiohttp.ClientSession) -> PrometheusRanges | None:
    """Return the longer ranges of a Prometheus; None without one.

    Raises:
        PrometheusUrlError: its URL cannot be used.
    """
    return PrometheusRanges(http, address.url, token=address.token) if address is not None else None
