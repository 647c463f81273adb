"""The page of signatures is true: it is up to date, and names each signature with its reason."""

from ostiary_core.content.guards.signatures import built_in
from ostiary_tools.generate import signatures_page


def test_the_page_is_up_to_date() -> None:
    assert signatures_page.PAGE.read_text() == signatures_page.render(), "run: make generate"


def test_every_signature_is_on_the_page() -> None:
    page = signatures_page.PAGE.read_text()
    assert all(f"| `{each.name}` |" in page and each.reason in page for each in built_in().signatures)
