"""The account of the KV cache's pages. A page that several running tickets share counts once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import numpy.typing as npt

    from oxillama.engine.ticket import Ticket

    Pages = npt.NDArray[np.int32]


class Ledger:
    """`free`: pages that no ticket holds.

    Pages are amounts, except for those that tickets share: these have the numbers that the runner gave them. Only full
    pages are shared for good, since writing into a shared page copies it. `ticket.shared` lists the numbers of a
    ticket's first pages, as far as the ledger knows them. Each of its other pages is its own.
    """

    def __init__(self, n_pages: int) -> None:
        self.free = n_pages
        self._holders = np.zeros(0, np.int32)  # by number of the page: how many tickets list it

    def take(self, ticket: Ticket, n: int) -> None:
        """Give a ticket n more pages. The caller has checked `free`."""
        ticket.pages += n
        self.free -= n

    def give_back(self, ticket: Ticket) -> None:
        """Take all of a ticket's pages from it. Those that others list stay taken."""
        self._holders[ticket.shared] -= 1
        self.free += ticket.pages - int(np.count_nonzero(self._holders[ticket.shared]))
        ticket.pages, ticket.shared = 0, ticket.shared[:0]

    def share(self, ticket: Ticket, pages: Pages) -> None:
        """List the numbers of a ticket's first pages. It held as many, of which those that others list become free."""
        more = pages[len(ticket.shared) :]
        self.free += self.held(more)
        self._holders[more] += 1
        if len(more):
            ticket.shared = pages

    def held(self, pages: Pages) -> int:
        """How many of the pages tickets list."""
        top = int(pages.max(initial=-1)) + 1
        if top > len(self._holders):
            self._holders = np.concatenate((self._holders, np.zeros(top - len(self._holders), np.int32)))
        return int(np.count_nonzero(self._holders[pages]))
