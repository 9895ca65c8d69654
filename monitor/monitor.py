"""The parts that the product runs on, made once by the composition root."""

from dataclasses import dataclass

from db.session import Database
from monitor.feed.live import Live
from monitor.reading.usual import Usual
from monitor.writing.transactions import Transactions


@dataclass(frozen=True, slots=True)
class Monitor:
    """What adapters (GraphQL, REST) are given: where to read and write, what is live, usual."""

    database: Database
    transactions: Transactions
    live: Live
    usual: Usual
