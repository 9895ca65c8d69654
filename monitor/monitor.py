"""The parts that the product runs on, made once by the composition root."""

from dataclasses import dataclass

from db.session import Database
from monitor.feed.live import Live
from monitor.writing.transactions import Transactions


@dataclass(frozen=True, slots=True)
class Monitor:
    """What adapters (GraphQL, REST) are given: where to read, how to write, what is live."""

    database: Database
    transactions: Transactions
    live: Live
