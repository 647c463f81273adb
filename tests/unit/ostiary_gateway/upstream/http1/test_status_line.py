"""Each status line is checked, also on a connection on which interim responses came before."""

import httptools
import pytest
from byte_pieces import split_at
from hypothesis import example, given
from hypothesis import strategies as st

from ostiary_gateway.errors import UpstreamFault
from ostiary_gateway.upstream.http1.status_line import StatusLine

EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Reader:
    """Reads responses as a connection does."""

    def __init__(self) -> None:
        self.line = StatusLine()
        self.read = 0
        self._parser = httptools.HttpResponseParser(self)

    def on_headers_complete(self) -> None:
        """Expect another status line behind an interim response."""
        if self._parser.get_status_code() < 200:
            self.line.begin()

    def on_message_complete(self) -> None:
        """Count final responses."""
        self.read += self._parser.get_status_code() >= 200

    def exchange(self, pieces: list[bytes]) -> None:
        """Read one response that comes in pieces."""
        self.line.is_final = False
        if not self.line.is_new:
            self.line.begin()
        for data in pieces:
            self._parser.feed_data(data if self.line.is_final else self.line.feed(self._parser, data))


@pytest.mark.parametrize("protocol", [b"RTSP/1.0", b"ICE/1.0", b"HTTP/2.0"])
def test_another_protocol_is_refused_after_an_interim_and_a_final_response_in_one_piece(protocol: bytes) -> None:
    reader = Reader()
    reader.exchange([EARLY + OK])
    with pytest.raises(UpstreamFault, match="another protocol"):
        reader.exchange([OK.replace(b"HTTP/1.1", protocol)])


@given(
    st.lists(st.tuples(st.sampled_from([OK, EARLY + OK, EARLY + EARLY + OK]), st.lists(st.integers(1, 60))), max_size=4)
)
@example([(EARLY + OK, [len(EARLY) + 7]), (OK, [4])])
@example([(EARLY + OK, []), (OK, [4])])
def test_responses_are_read_however_they_are_cut(responses: list[tuple[bytes, list[int]]]) -> None:
    reader = Reader()
    for data, places in responses:
        reader.exchange(split_at(data, places))
    assert reader.read == len(responses)
