"""Long lists are cut on the server: 50 rows a page."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

ROWS: Final = 50
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PagedRows(Generic[T]):
    """One page of a list.

    ``number`` and ``last`` count pages from 1; ``total`` counts the rows of all pages.
    """

    rows: tuple[T, ...]
    number: int
    last: int
    total: int

    @property
    def first_row(self) -> int:
        """The number of the first row that is shown, from 1; 0 if there is none."""
        return (self.number - 1) * ROWS + 1 if self.rows else 0

    @property
    def last_row(self) -> int:
        """The number of the last row that is shown; 0 if there is none."""
        return (self.number - 1) * ROWS + len(self.rows)

    @property
    def before(self) -> int | None:
        """The number of the page before this one, if there is one."""
        return self.number - 1 if self.number > 1 else None

    @property
    def after(self) -> int | None:
        """The number of the page after this one, if there is one."""
        return self.number + 1 if self.number < self.last else None


def paged(rows: Sequence[T], number: int) -> PagedRows[T]:
    """Return a page of a list, which is in order already.

    A number behind the last page gets the last one: lists shrink between two requests.
    """
    last = max(1, -(-len(rows) // ROWS))
    number = min(max(number, 1), last)
    return PagedRows(tuple(rows[(number - 1) * ROWS : number * ROWS]), number, last, len(rows))
