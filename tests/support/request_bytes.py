"""Bytes that clients may send to the data port: requests that keep the rules, and some that break them."""

from byte_pieces import split_at
from http_server_comparison import ServerReading
from hypothesis import strategies as st

names = st.sampled_from(
    ["Host", "X", "Content-Length", "Transfer-Encoding", "Connection", "Upgrade", "Expect", "Content-Type", "TE", "é"]
)
values = st.sampled_from(
    [
        *["x", "0", "5", "05", "+5", "5, 5", "5 ", "-1", "0x5", "99999999999999999999", "chunked", "Chunked"],
        *["gzip, chunked", "chunked, gzip", "identity", "\tchunked", "close", "keep-alive", "upgrade", "h2c"],
        *[
            "upgrade, close",
            "websocket",
            "100-continue",
            "a\x00b",
            "a\rb",
            "a\nb",
            "",
            " ",
            "é",
            "\udcff",
            "\x0bchunked",
        ],
    ]
)
lines = st.builds(
    lambda name, space, value: f"{name}{space}{value}", names, st.sampled_from([": ", ":", " : "]), values
)
methods = st.sampled_from(["GET", "POST", "POST", "DELETE", "OPTIONS", "CONNECT", "PRI", "get", "PURGE", "M-SEARCH"])
targets = st.sampled_from(["/", "/a?b", "/unread", "*", "http://h/a", "h:80", "//h/a", "/a b", "/\udcff", "/a#b", ""])
versions = st.sampled_from(
    ["HTTP/1.1", "HTTP/1.1", "HTTP/1.1", "HTTP/1.0", "HTTP/0.9", "HTTP/2.0", "HTTP/1.2", "HTTP/11"]
)
ends = st.sampled_from(["\r\n", "\r\n", "\r\n", "\r\n", "\n", "\r", "\r\r\n", "\r\n "])
bodies = st.sampled_from(
    [
        *[
            b"",
            b"hello",
            b"5\r\nhello\r\n0\r\n\r\n",
            b"5;a=b\r\nhello\r\n0\r\nX: y\r\n\r\n",
            b"0\r\n\r\n",
            b"5\r\nhello",
        ],
        *[b"5\nhello\n0\n\n", b"05\r\nhello\r\n00\r\n\r\n", b"5\r\nhello0\r\n\r\n", b"0\r\nContent-Length: 5\r\n\r\n"],
        *[b"GET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", b"0\r\n\r\nGET /smuggled HTTP/1.1\r\nHost: h\r\n\r\n", b"\r\n"],
        *[
            b"fffffffffffffffff\r\n",
            b"5 \r\nhello\r\n0\r\n\r\n",
            b"5;\n0\r\nhello\r\n0\r\n\r\n",
            b"-1\r\nhello\r\n0\r\n\r\n",
        ],
    ]
)


@st.composite
def odd_requests(draw: st.DrawFn) -> bytes:
    """Something like a request: each part may be wrong."""
    end = draw(ends)
    first = f"{draw(methods)} {draw(targets)} {draw(versions)}{draw(ends)}"
    host = draw(st.sampled_from(["Host: h\r\n", "Host: h\r\n", "Host: h\r\n", ""]))
    head = first + host + "".join(f"{line}{end}" for line in draw(st.lists(lines, max_size=4))) + end
    return head.encode("utf-8", "surrogateescape") + draw(bodies)


@st.composite
def good_requests(draw: st.DrawFn) -> bytes:
    """A request that keeps the rules, in one of the forms that there are."""
    method, body = draw(st.sampled_from(["GET", "POST", "DELETE", "OPTIONS"])), draw(st.binary(max_size=40))
    more = draw(
        st.lists(
            st.sampled_from(["X: y", "Accept: */*", "Expect: 100-continue", "Connection: keep-alive"]),
            max_size=2,
            unique=True,
        )
    )
    more += draw(st.sampled_from([[], [], ["Connection: Upgrade, HTTP2-Settings", "Upgrade: h2c"]]))
    head = [f"{method} /{draw(st.sampled_from(['', 'a', 'unread', 'a?b=c']))} HTTP/1.1", "Host: h", *more]
    if not body:
        return "\r\n".join([*head, "", ""]).encode()
    if draw(st.booleans()):
        return "\r\n".join([*head, f"Content-Length: {len(body)}", "", ""]).encode() + body
    pieces = split_at(body, [draw(st.integers(0, len(body)))])
    chunks = b"".join(b"%x;x=y\r\n%b\r\n" % (len(piece), piece) for piece in pieces) + b"0\r\nTrailer: t\r\n\r\n"
    return "\r\n".join([*head, "Transfer-Encoding: chunked", "", ""]).encode() + chunks


streams = st.lists(st.one_of(good_requests(), odd_requests()), min_size=1, max_size=4).map(b"".join)
cuts = st.lists(st.integers(0, 400), max_size=6)


def mangled(data: bytes) -> st.SearchStrategy[bytes]:
    """These bytes with one of them replaced, lost, or doubled."""

    def mangle(place: int, byte: int, how: str) -> bytes:
        at = place % max(1, len(data))
        if how == "lose":
            return data[:at] + data[at + 1 :]
        return data[:at] + bytes([byte]) + data[at + (how == "replace") :]

    bytes_ = st.sampled_from(b"\x00\t\n\r ,:;\x7f\x80\xff0a") | st.integers(0, 255)
    return st.builds(mangle, st.integers(0, 1000), bytes_, st.sampled_from(["replace", "lose", "add"]))


def bare(reading: ServerReading) -> list[tuple[str, str, bytes]]:
    """What two servers must agree on; our unread bodies count as read."""
    return [
        (each.method, each.target, b"" if each.target.startswith("/unread") else each.body) for each in reading.requests
    ]
