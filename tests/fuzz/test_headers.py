"""Headers of any client: parsed as specified, and never able to break out of their line."""

import base64
import re
from typing import Any, cast

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from yarl import URL

from ostiary_gateway.errors import Refusal, UpstreamFault
from ostiary_gateway.pipeline.body import check_accept, check_head
from ostiary_gateway.pipeline.mirrored_headers import decoded, encoded
from ostiary_gateway.server.host_name import host_name
from ostiary_gateway.upstream.http1 import request_head as http1

#: Text as a header brings it: bytes that are no UTF-8 come as lone surrogates.
wire_texts = st.binary(max_size=30).map(lambda raw: raw.decode("utf-8", "surrogateescape"))
base64_texts = st.text(alphabet="YWJjZA+/-_= \t\n", max_size=12)
mirrored = st.one_of(
    wire_texts,
    base64_texts.map(lambda text: f"=?base64?{text}?="),
    st.binary(max_size=9).map(lambda raw: f"=?base64?{base64.b64encode(raw).decode()}?="),
    st.tuples(
        st.sampled_from(["=?base64?", "=?BASE64?", "=?base64", ""]), base64_texts, st.sampled_from(["?=", "=", ""])
    ).map("".join),
)


def by_the_specification(value: str) -> str | None:
    """A mirrored value (2026-07-28, Value Encoding), read with a table of its own; None where it is none."""
    value = value.strip(" \t")
    if re.fullmatch(r"[\t -~]*", value) is None:
        return None
    found = re.fullmatch(r"=\?base64\?(.*)\?=", value)
    if found is None:
        return value
    payload = found[1]
    if re.fullmatch(r"(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?", payload) is None:
        return None
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    bits = "".join(f"{alphabet.index(c):06b}" for c in payload.rstrip("="))
    spare = len(bits) % 8
    if "1" in bits[len(bits) - spare :]:
        return None  # bits to spare are zero, else one value would have several spellings
    try:
        return bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits) - spare, 8)).decode()
    except UnicodeDecodeError:
        return None


@given(mirrored)
def test_a_mirrored_value_is_read_as_the_specification_reads_it(value: str) -> None:
    expected = by_the_specification(value)
    if expected is not None:
        assert decoded("Mcp-Name", value) == expected
        return
    with pytest.raises(Refusal) as refused:
        decoded("Mcp-Name", value)
    assert (refused.value.status, refused.value.code) == (400, -32020)


@given(
    st.text(alphabet=st.characters(codec="utf-8"), max_size=20) | base64_texts.map(lambda text: f"=?base64?{text}?=")
)
def test_what_is_mirrored_is_read_back_and_fits_into_a_line(value: str) -> None:
    header = encoded(value)

    assert by_the_specification(header) == value
    assert http1.lines({"Mcp-Name": header}) == f"Mcp-Name: {header}\r\n".encode()


class Stub:
    def __init__(self, headers: list[tuple[str, str]]) -> None:
        self.headers: dict[str, str] = {}
        for name, value in headers:  # as the server's parser joins them
            key = name.lower()
            self.headers[key] = f"{self.headers[key]}, {value}" if key in self.headers else value


def passes(check: Any, headers: list[tuple[str, str]], *more: str) -> bool:
    try:
        check(cast("Any", Stub(headers)), *more)
    except Refusal as refusal:
        if refusal.status not in (406, 415):
            raise
        return False
    return True


ranges = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["", " ", "\t"]),
    st.sampled_from(
        [
            "application/json",
            "text/event-stream",
            "*/*",
            "application/*",
            "text/*",
            "Application/JSON",
            "text/html",
            "*",
            "",
        ]
    ),
    st.sampled_from(["", ";q=0.5", "; q=1", ";charset=utf-8", ' ; a="b;c"']),
    st.sampled_from(["", " "]),
)
BOTH = ("application/json", "text/event-stream")


def admitted(headers: list[str], kind: str) -> bool:
    """Whether Accept headers admit a media type (RFC 9110 §12.5.1)."""
    found = [part.split(";")[0].strip(" \t").lower() for header in headers for part in header.split(",")]
    return any(kind == part or part in ("*/*", kind.partition("/")[0] + "/*") for part in found)


@given(st.lists(st.lists(ranges, max_size=4).map(",".join), max_size=3))
def test_an_accept_header_is_read_as_http_reads_it(values: list[str]) -> None:
    expected = not values or all(admitted(values, kind) for kind in BOTH)

    assert passes(check_accept, [("Accept", value) for value in values], *BOTH) == expected


@given(st.lists(wire_texts, max_size=3), wire_texts, wire_texts)
def test_no_head_makes_the_check_of_it_fail_otherwise_than_with_a_refusal(
    accept: list[str], kind: str, encoding: str
) -> None:
    headers = [("Accept", value) for value in accept]

    passes(check_head, [*headers, ("Content-Type", kind), ("Content-Encoding", encoding)])
    passes(check_head, [*headers, ("Content-Type", "application/json;" + kind)])


charsets = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(["application/json", "APPLICATION/json ", "application/jsonx", "text/json", ""]),
    st.sampled_from(["", ";", "; charset=", ";charset = ", ";x=y; Charset=", ';charset="']),
    st.sampled_from(["utf-8", "UTF8", "utf-16", "latin-1", ""]),
    st.sampled_from(["", '"', ";", "; charset=utf-7"]),
)


@given(charsets)
def test_a_body_of_another_character_set_is_not_read(kind: str) -> None:
    if passes(check_head, [("Content-Type", kind)]):
        assert re.match(r"application/json\s*(;|$)", kind, re.IGNORECASE)
        named = re.findall(r'charset\s*=\s*"?([^";]*)', kind, re.IGNORECASE)
        assert {name.strip().lower() for name in named} <= {"utf-8", "utf8"}


header_names = st.sampled_from(["Mcp-Param-X", "A", "X Y", "A:", "", "Ü", "A\r\nB", "\x00"]) | st.text(max_size=5)
header_values = st.text(alphabet="ab \t\r\n\x00\x7f\xa0é:\udcff", max_size=8) | wire_texts


@given(st.dictionaries(header_names, header_values, max_size=4), st.none() | st.binary(max_size=5))
@example({"Mcp-Param-X": "a\r\nTransfer-Encoding: chunked"}, b"")
def test_characters_forbidden_in_headers_never_get_into_a_request(headers: dict[str, str], body: bytes | None) -> None:
    start = http1.head_start("POST", URL("http://h:81/mcp?a=b"), {})
    try:
        message = http1.message(start, http1.lines(headers), body)
    except UpstreamFault:
        return
    head = message.removesuffix(body or b"")
    assert head.startswith(b"POST /mcp?a=b HTTP/1.1\r\nHost: h:81\r\n")
    assert head.endswith(b"\r\n\r\n")
    lines = head[:-4].split(b"\r\n")[2:]
    length = [] if body is None else [("Content-Length", str(len(body)))]
    assert [tuple(line.decode("ascii").split(": ", 1)) for line in lines] == [*headers.items(), *length]
    assert re.search(rb"[^\t\x20-\x7e]", b"".join(lines)) is None


urls = st.sampled_from(["http://h/a b", "http://h/ü", "http://[::1]:8080/", "https://ü.example/x#f", "http://u:p@h/a"])
urls |= st.text(alphabet="/%?#&\r\n \t\x00aü:@", max_size=12).map(lambda path: "http://h/" + path)


@given(urls)
def test_no_address_of_a_server_breaks_out_of_the_request_line(text: str) -> None:
    try:
        start = http1.head_start("POST", URL(text), {})
    except ValueError:
        return
    assert re.fullmatch(rb"POST /[\x21-\x7e]* HTTP/1\.1\r\nHost: [\x21-\x7e]+\r\n", start)
    assert b"#" not in start
    assert b"u:p" not in start


authorities = st.builds(
    "{}{}{}".format,
    st.sampled_from(["", "user@", "a:b@", " "]),
    st.sampled_from(["localhost", "LOCALHOST", "127.0.0.1", "[::1]", "[::1", "::1", "a.example.", "a/b", ""]),
    st.sampled_from(["", ":80", ":", ":x", ":80:80", "@evil", " ", "\udcff"]),
)


@given(authorities | wire_texts)
def test_a_host_is_taken_only_from_what_is_a_host_and_a_port(authority: str) -> None:
    host = host_name(authority)

    if host != authority.lower():
        assert re.fullmatch(re.escape(host) + r":[0-9]*", authority.lower())
        assert re.search(r"[@/\s]", host) is None
