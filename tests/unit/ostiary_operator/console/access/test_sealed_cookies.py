"""What a browser sends back is what the console gave it, or nothing."""

import base64
import os

import pytest
from aiohttp import web
from aiohttp.test_utils import make_mocked_request
from hypothesis import given
from hypothesis import strategies as st

from ostiary_core.secret_bytes import SecretBytes
from ostiary_operator.console.access import sealed_cookies
from ostiary_operator.console.access.sealed_cookies import CookieTooLarge, SealedCookie

KEY = SecretBytes(b"k" * 32)
HOUR = 3600


class Time:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def time() -> Time:
    return Time()


def cookie(time: Time, *, name: str = "session", key: SecretBytes = KEY, is_secure: bool = True) -> SealedCookie:
    made = SealedCookie.of(name, key, seconds=HOUR, is_secure=is_secure)
    return SealedCookie(made.name, made.seconds, made.is_secure, made.cipher, time)


def sent(cookie: SealedCookie, content: dict[str, str], *, until: float | None = None) -> str:
    """The value that a browser stores."""
    response = web.Response()
    cookie.put(response, content, until=until)
    return response.cookies[cookie.name].value


def read(cookie: SealedCookie, value: str) -> dict[str, object] | None:
    return cookie.read(make_mocked_request("GET", "/", headers={"Cookie": f"{cookie.name}={value}"}))


def test_a_cookie_comes_back_as_it_was_put(time: Time) -> None:
    made = cookie(time)
    assert read(made, sent(made, {"user": "ada"})) == {"user": "ada", "exp": time.now + HOUR}


def test_its_attributes_keep_it_from_scripts_other_hosts_and_plain_http(time: Time) -> None:
    response = web.Response()
    cookie(time).put(response, {})
    header = response.cookies["__Host-session"].OutputString()
    assert "HttpOnly" in header
    assert "Secure" in header
    assert "SameSite=Lax" in header
    assert "Path=/" in header
    assert "Domain" not in header


def test_on_plain_http_it_has_no_prefix_that_browsers_would_refuse(time: Time) -> None:
    assert cookie(time, is_secure=False).name == "session"


def test_it_ends_after_its_time_whatever_the_browser_does(time: Time) -> None:
    made = cookie(time)
    value = sent(made, {})
    time.now += HOUR
    assert read(made, value) is None


def test_it_ends_with_what_it_stands_for(time: Time) -> None:
    made = cookie(time)
    value = sent(made, {}, until=time.now + 60)
    time.now += 61
    assert read(made, value) is None


def test_a_cookie_of_another_purpose_or_key_opens_nothing(time: Time) -> None:
    value = sent(cookie(time), {"user": "ada"})
    assert read(cookie(time, name="other"), value) is None
    assert read(cookie(time, key=SecretBytes(b"o" * 32)), value) is None


def test_a_content_that_browsers_would_drop_is_refused(time: Time) -> None:
    with pytest.raises(CookieTooLarge):
        sent(cookie(time), {"user": os.urandom(4000).hex()})


def test_many_groups_with_much_in_common_fit(time: Time) -> None:
    groups = " ".join(f"company-platform-team-{number}" for number in range(500))
    assert len(groups) > 10_000
    sent(cookie(time), {"groups": groups})


def test_a_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="must have 32"):
        SealedCookie.of("session", SecretBytes(b"short"), seconds=HOUR, is_secure=True)


@given(st.integers(0, 200), st.integers(1, 255))
def test_no_changed_byte_opens(position: int, difference: int) -> None:
    made = cookie(Time())
    value = sent(made, {"user": "ada"})
    raw = bytearray(base64.urlsafe_b64decode(value[3:] + "=" * (-len(value[3:]) % 4)))
    raw[position % len(raw)] ^= difference
    assert read(made, "v1." + base64.urlsafe_b64encode(bytes(raw)).decode().rstrip("=")) is None


@given(st.text(st.characters(codec="ascii", exclude_characters='\r\n\0;," \\'), max_size=200))
def test_no_foreign_text_opens(text: str) -> None:
    made = cookie(Time())
    assert read(made, text) is None
    assert read(made, f"v1.{text}") is None


def test_a_cookie_that_was_given_up_opens_nothing_even_where_it_was_copied(time: Time) -> None:
    made = cookie(time)
    value, other = sent(made, {"user": "ada"}), sent(made, {"user": "ada"})
    response = web.Response()
    made.end(make_mocked_request("GET", "/", headers={"Cookie": f"{made.name}={value}"}), response)
    assert response.cookies[made.name]["max-age"] == "0"
    assert read(made, value) is None
    assert read(made, other) is not None


def test_cookies_that_were_given_up_are_bounded(time: Time, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sealed_cookies, "_MOST_ENDED", 3)
    made = cookie(time)
    for _ in range(10):
        value = sent(made, {})
        made.end(make_mocked_request("GET", "/", headers={"Cookie": f"{made.name}={value}"}), web.Response())
        assert read(made, value) is None
    assert len(made.ended) == 3
