"""The board of the totals and the activity."""

from datetime import UTC, datetime, timedelta

from dashboard.address import RANGES, Span, instant
from dashboard.api import Api
from dashboard.boards.board import Board, Event, Subscription
from dashboard.boards.rows import Node


class FiguresBoard(Board):
    """Totals, the last hour, and the activity chart; of a pipeline or worker when it is named."""

    # "Failed, last hour", and the first of the slots.
    lasts_seconds = 15.0

    def __init__(
        self, range_: str, span: Span | None, pipeline: str | None, worker: str | None
    ) -> None:
        super().__init__()
        self._length, self._slot = RANGES[range_]
        self._span = span
        self._pipeline = pipeline
        self._worker = worker
        self.summary: Node = {}
        self.chart: list[Node] = []
        self.last_hour: list[Node] = []

    @property
    def subscriptions(self) -> list[Subscription]:
        """Whatever starts, ends or falls silent changes a pipeline, which says so once a second."""
        return [Subscription("pipeline_changes", {"filter": {}}, self._apply)]

    def _apply(self, _: Event) -> None:
        self.stale.set()

    async def load(self, api: Api) -> None:
        now = datetime.now(UTC)
        span = self._span
        slot = span.slot if span else self._slot
        data = await api.query(
            "figures",
            since=instant(span.since if span else now - self._length + slot),
            until=instant(span.until) if span else None,
            slotSeconds=int(slot.total_seconds()),
            pipeline=self._pipeline,
            worker=self._worker,
            hourAgo=instant(now - timedelta(hours=1)),
        )
        self.summary, self.chart = data["summary"], data["chart"]
        self.last_hour = data["lastHour"]
        self.cursor, self.is_loaded = data["feedCursor"], True

    def sums(self) -> tuple[int, int]:
        """How many processes succeeded and failed in the last hour."""
        succeeded = sum(slot["succeeded"] for slot in self.last_hour)
        return succeeded, sum(slot["failed"] for slot in self.last_hour)
