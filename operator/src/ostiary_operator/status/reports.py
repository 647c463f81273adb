"""What a replica says that it runs, judged as hostile input: it may be anybody who got hold of its address."""

import re
from typing import Annotated, Any, Final

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
)

from ostiary_core.errors import OstiaryError
from ostiary_operator.api.labels import DNS_LABEL

#: Bytes of an answer that are read at most, whatever its gateway serves.
MAX_BYTES: Final = 16 * 1024 * 1024
#: What an answer may take in any case, and for each proxy that its gateway was given.
_LEAST_BYTES: Final = 512 * 1024
_BYTES_PER_PROXY: Final = 4 * 1024
_SERVERS: Final = 64
_ENTRIES: Final = 100_000
_MESSAGE: Final = 500
_MISPLACED: Final = 100
#: Slips that are taken of one proxy, and characters of each name.
_SLIPS: Final = 32
_NAME: Final = 128
_UNPRINTABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]+")
_WORD: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}")


class ReportError(OstiaryError):
    """An answer that is no report of this gateway."""


def most_bytes(proxies: int) -> int:
    """Return the bytes that a replica of a gateway with so many proxies may answer."""
    return min(MAX_BYTES, _LEAST_BYTES + _BYTES_PER_PROXY * proxies)


class _Broken(Exception):
    """The first item that cannot be read. Not an error of validation: of those, all would be gathered first."""


def _or_stop(value: Any, validate: ValidatorFunctionWrapHandler) -> Any:
    try:
        return validate(value)
    except ValidationError as error:
        raise _Broken(error.errors(include_url=False, include_input=False, include_context=False)[0]["type"]) from None


def _few_servers(value: Any) -> Any:
    if isinstance(value, dict) and len(value) > _SERVERS:
        raise ValueError("too many servers")
    return value


def _one_line(value: object) -> object:
    return _UNPRINTABLE.sub(" ", value)[:_MESSAGE] if isinstance(value, str) else value


def _short(value: object) -> object:
    return _UNPRINTABLE.sub(" ", value)[:_NAME] if isinstance(value, str) else value


def _word(value: object) -> object:
    return value if isinstance(value, str) and _WORD.fullmatch(value) else "Invalid"


def _zero(value: object) -> object:
    return 0 if value is None else value


_Line = Annotated[StrictStr, BeforeValidator(_one_line)]
_Reason = Annotated[StrictStr, BeforeValidator(_word)]
_Digest = Annotated[StrictStr, Field(pattern=r"^[0-9a-f]{64}$")]
_Server = Annotated[StrictStr, Field(pattern=f"^{DNS_LABEL}$")]
_Identity = Annotated[StrictStr, Field(max_length=320)]


_Name = Annotated[StrictStr, BeforeValidator(_short)]
_Word = Annotated[StrictStr, Field(pattern=r"^[a-z]{1,32}$")]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class ReportedEntryRejection(_Part):
    """An entry that the replica did not take over."""

    digest: _Digest
    reason: _Reason
    message: _Line = ""


class ReportedFault(_Part):
    """What a replica met last at a server."""

    kind: _Reason
    message: _Line = ""


class ReportedServer(_Part):
    """How a server of a proxy has been doing: did it ever answer, and what is wrong since."""

    answered: StrictBool = False
    fault: ReportedFault | None = None


class ReportedSlip(_Part):
    """A name of a policy's rule that is not in a list, and the nearest one that is."""

    policy: _Identity
    rule: _Name
    primitive: _Word
    name: _Name
    nearest: _Name = ""

    @property
    def place(self) -> tuple[str, str, str]:
        """Where it stands in its policy."""
        return self.rule, self.primitive, self.name


class Offers(_Part):
    """Of which lists all is known, and which names of rules are not in them; ``cut`` where there may be more."""

    known: Annotated[tuple[_Word, ...], Field(max_length=_SLIPS)] = ()
    slips: Annotated[tuple[ReportedSlip, ...], Field(max_length=_SLIPS)] = ()
    cut: StrictBool = False


class ReportedEntry(_Part):
    """What runs of one proxy, and what was refused; by name its servers that were called, and what they offer."""

    active: _Digest | None = None
    rejected: ReportedEntryRejection | None = None
    servers: Annotated[dict[_Server, ReportedServer], BeforeValidator(_few_servers)] = {}
    offers: Offers | None = None


class ReportedConfigRejection(_Part):
    """A whole config that the replica did not take over, for now or for good. Its revision is not always known."""

    revision: StrictInt | None = None
    reason: _Reason
    message: _Line = ""


class Report(_Part):
    """The answer of one replica. One that has no config yet does not know its gateway, and runs revision 0."""

    gateway: _Identity | None
    revision: Annotated[StrictInt, Field(ge=0, lt=2**63), BeforeValidator(_zero)]
    replica: Annotated[_Line, Field(min_length=1)]
    entries: Annotated[dict[_Identity, Annotated[ReportedEntry, WrapValidator(_or_stop)]], Field(max_length=_ENTRIES)]
    rejected: ReportedConfigRejection | None = None
    incomplete: ReportedConfigRejection | None = None
    """A config that waits for something that it names."""
    misplaced_keys: Annotated[list[_Line], Field(max_length=_MISPLACED, alias="misplacedKeys")] = []
    """What has the name of a key among its config's files, where no key belongs."""

    @property
    def runs_nothing(self) -> bool:
        """Whether the replica has no config at all."""
        return self.revision == 0 and not self.entries


def parse_report(body: bytes, *, gateway: str) -> Report:
    """Read an answer.

    Raises:
        ReportError: it is no report, or one of another gateway; the message quotes nothing of it.
    """
    try:
        report = Report.model_validate_json(body)
    except _Broken as error:
        raise ReportError(f"its answer is no report: entries: {error}") from None
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(str(step) for step in first["loc"][:1]) or "the document"
        raise ReportError(f"its answer is no report: {where}: {first['type']}") from None
    if report.gateway != gateway and not (report.gateway is None and report.runs_nothing):
        raise ReportError("it answers for another gateway")
    return report
