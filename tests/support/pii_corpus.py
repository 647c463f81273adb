# ruff: noqa: S311, E501  data of tests need no secure randomness
"""Generates the labelled texts of `tests/corpus/values.jsonl`: values of each kind, and what only looks like one.

Run it with Faker 40.63 (`pip install faker==40.63`): `python tests/support/pii_corpus.py > tests/corpus/values.jsonl`.
The texts come from fixed seeds; the detectors were written before them.
"""

import json
import random
import string
import sys
import zlib
from typing import Any, Final

ALPHABET: Final = string.digits + string.ascii_uppercase + string.ascii_lowercase
TEMPLATES: Final = {
    "CardNumber": (
        "Paid with {}.",
        "card: {}",
        '{{"number":"{}","exp":"12/29"}}',
        "{} was declined",
        "PAN={};",
        "2 x {}",
    ),
    "USSSN": ("SSN {}", "their ssn is {}.", '{{"ssn":"{}"}}', "{} (social security)", "id,{},active"),
    "IBAN": ("Transfer to {} today", "IBAN: {}", '{{"iban":"{}"}}', "{}, thanks", "account {}."),
    "Email": ("Write to {}.", "<{}>", '{{"email":"{}"}}', "{}, please answer", "mailto:{}", "cc {};"),
    "Phone": ("Phone: {}", "call me at {}", '{{"phone":"{}"}}', "Tel. {}", "mobile number {}.", "fax {}, room 3"),
    "Secret": ("api_key={}", '{{"token":"{}"}}', "export API_TOKEN={}", "the access key is {}", "secret: {}"),
}
NEGATIVES: Final = (
    "order {digits16}", "tracking {digits13}", "uuid {uuid}", "sha256 {sha256}", "at {iso}", "version {version}",
    "epoch {millis}", '{{"id":{digits10},"created":"{iso}"}}', "port {port} on host {host}", "part 12-34-5678",
    "invoice {digits9}", "nextPageToken: {token}", "cursor={token}", "etag {md5}", "ISBN 978-{digits10}", "icon@2x.png",
    "npm install left-pad@1.3.0", "token count: {digits9}", "{price} EUR on {date}", "password must have 8 characters",
    "token: {md5}", "request_id={uuid}", "phone support ends {date}", "figma {digits16}:{port}", "call {digits9} failed",
    "max_tokens: 16384", "git@github.com:owner/repo", "lat 52.5200066, lon 13.4049540", "ean {digits13}",
)  # fmt: skip


def card(fake: Any) -> str:
    """A card of a real issuer, as it is printed or without gaps."""
    number = fake.credit_card_number(random.choice(("visa16", "mastercard", "amex", "discover", "jcb16", "diners")))
    gap = random.choice(("", " ", "-"))
    groups = {16: (4, 4, 4, 4), 15: (4, 6, 5), 14: (4, 6, 4)}.get(len(number), (len(number),))
    found, place = [], 0
    for size in groups:
        found.append(number[place : place + size])
        place += size
    return gap.join(found)


def phone(fake: Any) -> str:
    """A phone number as people of several countries write it."""
    area, exchange, line = random.randint(201, 989), random.randint(200, 999), random.randint(0, 9999)
    forms = (
        f"+1{area}{exchange}{line:04}", f"+1 {area}-{exchange}-{line:04}", f"({area}) {exchange}-{line:04}",
        f"{area}-{exchange}-{line:04}", f"{area}.{exchange}.{line:04}", f"+44 20 {fake.numerify('#### ####')}",
        f"+49 30 {fake.numerify('%######')}", f"020 {fake.numerify('%### ####')}", f"+33 6 {fake.numerify('## ## ## ##')}",
    )  # fmt: skip
    return random.choice(forms)


def secret(_: Any) -> str:
    """A secret of an issuer, or an opaque one."""
    body = "".join(random.choices(ALPHABET, k=30))
    number, checksum = zlib.crc32(body.encode()), ""
    while number:
        number, rest = divmod(number, 62)
        checksum = ALPHABET[rest] + checksum
    opaque = "".join(random.choices(ALPHABET, k=random.choice((24, 32, 40))))
    key = "AKIA" + "".join(random.choices("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", k=16))
    return random.choice(
        (f"ghp_{body}{checksum.rjust(6, '0')}", key, opaque, opaque, f"sk_live_{opaque}", f"glpat-{body[:20]}")
    )


def negative(fake: Any) -> str:
    """A text without any value of a kind."""
    return random.choice(NEGATIVES).format(
        digits16=fake.numerify("%###############"), digits13=fake.numerify("1############"), uuid=fake.uuid4(),
        sha256=fake.sha256(), iso=fake.iso8601(), version=fake.numerify("%.#.##"), millis=fake.numerify("17###########"),
        digits10=fake.numerify("%#########"), port=fake.port_number(), host=fake.domain_word(), md5=fake.md5(),
        digits9=fake.numerify("%########"), token=fake.pystr(24, 24), price=fake.numerify("%##.##"), date=fake.date(),
    )  # fmt: skip


def texts(number: int) -> list[dict[str, Any]]:
    """The labelled texts, half of them without a value."""
    from faker import Faker  # type: ignore[import-not-found]  # noqa: PLC0415  only who generates needs it

    random.seed(20261129)
    Faker.seed(20261129)
    fake = Faker(["en_US", "de_DE", "fr_FR", "en_GB"])
    makers = {
        "CardNumber": card, "USSSN": lambda fake: fake["en_US"].ssn(), "IBAN": lambda fake: fake.iban(),
        "Email": lambda fake: fake.email(), "Phone": phone, "Secret": secret,
    }  # fmt: skip
    found: list[dict[str, Any]] = []
    for count in range(number):
        kind = list(makers)[count % len(makers)]
        value = makers[kind](fake)
        before, after = fake.sentence(), fake.sentence()
        text = f"{before} {random.choice(TEMPLATES[kind]).format(value)} {after}"
        found += [{"text": text, "kind": kind, "value": value}, {"text": f"{before} {negative(fake)} {after}"}]
    return found


if __name__ == "__main__":
    sys.stdout.writelines(json.dumps(each, ensure_ascii=False) + "\n" for each in texts(900))
