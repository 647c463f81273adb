"""A browser without a screen: follows redirects, keeps cookies, fills in and posts the forms of a sign-in.

browser = HeadlessBrowser("ada")
callback = await browser.follow(authorization_url)  # the query of the redirect to the client
"""

import ssl
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import parse_qsl, urlsplit

from aiohttp import ClientResponse, ClientSession, CookieJar, TCPConnector
from authorization_server import REDIRECT
from yarl import URL

_PAGES = 20


@dataclass
class HeadlessBrowser:
    """The browser of one user. A second sign-in needs no password: the cookies are still there."""

    user: str
    tls: ssl.SSLContext | None = None
    submitted: list[str] = field(default_factory=list)
    """The prompts of the forms that it posted: `login`, `consent`."""
    queries: list[dict[str, str]] = field(default_factory=list)
    """The authorization requests of clients that it was sent to."""
    redirect: str = REDIRECT
    """Where clients have their users sent back to."""
    _cookies: CookieJar | None = None

    async def follow(self, url: str) -> dict[str, str]:
        """Open a page, do what it asks for, and return the parameters with which it leads back to the client.

        Raises:
            AssertionError: a page is neither a redirect nor a form of a sign-in.
        """
        self.queries.append(dict(parse_qsl(urlsplit(url).query)))
        self._cookies = self._cookies or CookieJar(unsafe=True)  # unsafe: cookies of hosts that are IP addresses
        connector = TCPConnector(ssl=self.tls if self.tls is not None else True)
        async with ClientSession(cookie_jar=self._cookies, connector=connector) as http:
            response = await http.get(URL(url, encoded=True), allow_redirects=False)
            for _ in range(_PAGES):
                location = response.headers.get("Location", "")
                if location.startswith(self.redirect):
                    return dict(parse_qsl(urlsplit(location).query))
                response = await self._next(http, response, location)
        raise AssertionError(f"the sign-in does not end after {_PAGES} pages")

    async def _next(self, http: ClientSession, response: ClientResponse, location: str) -> ClientResponse:
        if location:
            target = response.url.join(URL(location, encoded=True))
            return await http.get(target, allow_redirects=False)
        page = await response.text()
        assert response.status == 200, f"{response.url} answered with {response.status}: {page}"
        form = _Form()
        form.feed(page)
        self.submitted.append(form.values["prompt"])
        filled = form.values | ({"login": self.user, "password": "any"} if "login" in form.values else {})
        return await http.post(response.url.join(URL(form.action)), data=filled, allow_redirects=False)


class _Form(HTMLParser):
    """The form of a page: its action, and its fields with their values."""

    def __init__(self) -> None:
        super().__init__()
        self.action = ""
        self.values: dict[str, str] = {}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect the form and its fields."""
        found = dict(attrs)
        if tag == "form":
            self.action = found.get("action") or ""
        elif tag == "input":
            self.values[found.get("name") or ""] = found.get("value") or ""
