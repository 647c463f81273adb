"""The detectors of the kinds that a mask can name (`detect: [{kind: CardNumber}]`)."""

from collections.abc import Iterator
from typing import Final

from ostiary_core.content.detection import issued_secrets, named_secrets
from ostiary_core.content.detection.bank_accounts import IBAN
from ostiary_core.content.detection.card_numbers import CARD_NUMBER
from ostiary_core.content.detection.detector import Detector, Span
from ostiary_core.content.detection.email_addresses import EMAIL
from ostiary_core.content.detection.network_addresses import IP_ADDRESS
from ostiary_core.content.detection.phone_numbers import PHONE
from ostiary_core.content.detection.social_security_numbers import US_SSN
from ostiary_core.contract.masks import DetectedKind


def _secrets(text: bytes, start: int, end: int) -> Iterator[Span]:
    """Yield secrets of known issuers, or what a word next to it says to be one."""
    found = list(issued_secrets.issued(text, start, end))
    yield from found or named_secrets.named(text, start)


def _at_the_value(text: bytes, start: int, end: int) -> int:  # noqa: ARG001  the signature of ``Detector.resume``
    """Go on where the value behind a word begins: it may have the form of an issuer."""
    return max(start + 1, end - named_secrets.BEGINNING)


SECRET: Final = Detector(
    "Secret",
    f"{issued_secrets.EXPRESSION}|{named_secrets.EXPRESSION}",
    _secrets,
    near=named_secrets.NEAR,
    resume=_at_the_value,
)

#: By kind: what finds it.
DETECTORS: Final[dict[DetectedKind, Detector]] = {
    DetectedKind.CARD_NUMBER: CARD_NUMBER,
    DetectedKind.US_SSN: US_SSN,
    DetectedKind.IBAN: IBAN,
    DetectedKind.EMAIL: EMAIL,
    DetectedKind.PHONE: PHONE,
    DetectedKind.IP_ADDRESS: IP_ADDRESS,
    DetectedKind.SECRET: SECRET,
}
