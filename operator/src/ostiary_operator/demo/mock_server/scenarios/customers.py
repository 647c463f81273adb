"""The customers of the leaky server.

All values are invented, and valid as their kinds demand: numbers that payment providers reserve for tests, addresses
and telephone numbers that are reserved for examples. Secrets are made when the module is loaded, so that no scanner of
repositories finds one here.
"""

import base64
import json
import zlib
from typing import Final

from pydantic import Field

from ostiary_operator.demo.mock_server.records import SampleRecord

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class Customer(SampleRecord):
    """A customer, with all that the CRM knows."""

    id: int = Field(description="The customer's id.")
    name: str = Field(description="Full name.")
    email: str = Field(description="E-mail address.")
    phone: str = Field(description="Telephone number.")
    card: str = Field(description="Number of the card that pays.")
    iban: str = Field(description="Bank account.")
    ssn: str | None = Field(
        default=None, pattern=r"^[0-9]{3}-[0-9]{2}-[0-9]{4}$", description="Social security number, in the USA."
    )
    last_ip: str = Field(description="Address of the last sign-in.")
    api_key: str = Field(description="Key for our API.")
    employee: str = Field(description="Who looks after the customer.")
    reference: str = Field(description="Reference in our books.")
    balance: float = Field(description="What the customer owes, in euros.")


class Note(SampleRecord):
    """What was written about a customer, in pieces as the CRM stores them."""

    customer_id: int
    pieces: tuple[str, ...]


def _github_token(seed: str) -> str:
    """Return what looks like an access token of GitHub, with its checksum."""
    body = "".join(_BASE62[each % 62] for each in (seed * 30).encode())[:30]
    rest, digits = zlib.crc32(body.encode()), ""
    while len(digits) < 6:
        rest, digit = divmod(rest, 62)
        digits = _BASE62[digit] + digits
    return f"ghp_{body}{digits}"


def _jwt(subject: str) -> str:
    """Return what looks like a token that was signed."""
    parts = [{"alg": "HS256", "typ": "JWT"}, {"sub": subject, "iat": 1_767_225_600}]
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode().rstrip("=") for part in parts]
    signature = base64.urlsafe_b64encode(bytes(range(100, 132))).decode().rstrip("=")
    return ".".join([*encoded, signature])


CUSTOMERS: Final = (
    Customer(
        id=7,
        name="Ada Lovelace",
        email="ada.lovelace@example.com",
        phone="+44 20 7946 0958",
        card="4111 1111 1111 1111",
        iban="GB82 WEST 1234 5698 7654 32",
        last_ip="203.0.113.77",
        api_key=_github_token("ada"),
        employee="EMP-104477",
        reference="7d4441c0-9dbb-4a53-8e51-6d8e0d5b7a11",
        balance=120.5,
    ),
    Customer(
        id=8,
        name="Grace Hopper",
        email="grace.hopper@example.org",
        phone="+1 415 555 0132",
        card="5555-5555-5555-4444",
        iban="DE89 3704 0044 0532 0130 00",
        ssn="536-90-4399",
        last_ip="198.51.100.23",
        api_key=_jwt("grace"),
        employee="EMP-104478",
        reference="2026-11-30/0008",
        balance=0,
    ),
    Customer(
        id=9,
        name="Alan Turing",
        email="alan.turing@example.net",
        phone="+44 161 496 0777",
        card="378282246310005",
        iban="FR14 2004 1010 0505 0001 3M02 606",
        last_ip="2001:db8::7",
        api_key=_github_token("alan"),
        employee="EMP-104479",
        reference="4111111111111112",
        balance=-3.25,
    ),
)
"""The reference of the last one has the form of a card number, and its check digit is wrong."""

NOTES: Final = (
    Note(
        customer_id=7,
        pieces=(
            "Ada paid with 4111 1111 ",
            "1111 1111 and wants the receipt by mail.",
        ),
    ),
    Note(customer_id=8, pieces=("Grace called from +1 415 555 0132: the SSN 536-90-4399 is on the wrong form.",)),
    Note(customer_id=9, pieces=('{"card": "378282246310005", "order": "2026-11-30/0009"}',)),
    Note(customer_id=9, pieces=("Order 4111111111111112 was sent on 2026-11-30.",)),
)
