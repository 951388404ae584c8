"""One item of a sequence is made ready while the one before it is used."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")


def one_ahead(items: Iterator[Item]) -> Iterator[Item]:
    """Yield the items in their order; each is made in a second thread, one early.

    An error of the items comes where the item would have come. Items are made one after the
    other, never after this generator has been closed.
    """
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="read-ahead") as pool:
        coming = pool.submit(_next, items)
        while made := coming.result():
            coming = pool.submit(_next, items)
            yield made[0]


def _next(items: Iterator[Item]) -> tuple[Item, ...]:
    """Return the next item, nothing at the end."""
    for item in items:
        return (item,)
    return ()
