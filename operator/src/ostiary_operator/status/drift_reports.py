"""Reads from replicas which definitions drifted, as untrusted input.

The report of a replica only says that something did, with a digest; the definitions are asked for when that changes.
"""

from typing import Annotated, Final
from urllib.parse import urlencode

import aiohttp
from pydantic import Field, StrictStr, ValidationError

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.status import replicas
from ostiary_operator.status.replica_reports import ReportError
from ostiary_operator.status.replicas import NoResponse, Replica
from ostiary_operator.status.report_types import ReportPart, ShortName

#: The most bytes of an answer, and drifts that are read of it.
MAX_BYTES: Final = 2 * 1024 * 1024
_DRIFTS: Final = 64
_Word = Annotated[StrictStr, Field(pattern=r"^[A-Za-z]{1,32}$")]
_LONGEST_NAME: Final = 512


class ReportedDrift(ReportPart):
    """A definition that a replica saw and that is not approved."""

    server: ShortName
    primitive: _Word
    name: Annotated[StrictStr, Field(max_length=_LONGEST_NAME)]
    digest: Annotated[StrictStr, Field(pattern=r"^([0-9a-f]{64})?$")]
    definition: Annotated[StrictStr, Field(max_length=64 * 1024)] | None = None


class DriftReport(ReportPart):
    """All of them of one proxy."""

    drift: Annotated[tuple[ReportedDrift, ...], Field(max_length=_DRIFTS)] = ()


async def ask_drift(
    session: aiohttp.ClientSession, replica: Replica, *, token: SecretBytes, proxy: str
) -> tuple[ReportedDrift, ...]:
    """Ask a replica which definitions of a proxy drifted.

    Raises:
        NoResponse: no connection, no response in time, or an unusable one.
        ReportError: the response is no report of drift.
    """
    url = f"{replica.url}/definitions?{urlencode({'proxy': proxy})}"
    try:
        async with session.get(
            url, headers=replicas.bearer(token), timeout=replicas.TIMEOUT, allow_redirects=False
        ) as response:
            if response.status != 200:
                raise NoResponse(f"it answers {response.status}")
            return _parsed(await replicas.bounded(response, MAX_BYTES))
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise NoResponse(f"no answer: {replicas.cause(error)}") from error


def _parsed(body: bytes) -> tuple[ReportedDrift, ...]:
    try:
        found = DriftReport.model_validate_json(body).drift
    except ValidationError:
        raise ReportError("its answer is no report of definitions") from None
    templates = {"resourceTemplates": "templates"}
    return tuple(each.model_copy(update={"primitive": templates.get(each.primitive, each.primitive)}) for each in found)
