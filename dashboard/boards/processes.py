"""The board of a page of processes."""

from datetime import UTC, datetime, timedelta

from dashboard.address import PERIODS, STATUSES, ProcessList, instant
from dashboard.api import Api
from dashboard.boards.lists import PAGE_SIZE, Filter, ListBoard, downwards
from dashboard.boards.rows import Node, Row, process_row


class ProcessesBoard(ListBoard):
    """One page of processes: the newest first, or the failed ones before all others.

    Those that come new are asked for again, unless they are of a worker: events do not name their
    pipeline.
    """

    query = "processes"
    changes = "process_changes"

    def __init__(self, wanted: ProcessList, size: int = PAGE_SIZE) -> None:
        super().__init__(wanted.start, size)
        self._wanted = wanted
        self._period: timedelta | None = PERIODS[wanted.period]
        self.ages = self._period is not None
        self._unnamed: set[str] = set()

    @property
    def _errors_first(self) -> bool:
        return self._wanted.order == "errors" and self._wanted.status == "all"

    def every(self) -> Filter:
        wanted = self._wanted
        chosen = dict(STATUSES[wanted.status])
        if wanted.worker:
            chosen["workerIds"] = [wanted.worker]
        if wanted.pipeline:
            chosen["pipelineIds"] = [wanted.pipeline]
        if wanted.failure:
            chosen["failureIds"] = [wanted.failure]
        if wanted.version:
            chosen["versions"] = [wanted.version]
        since = [datetime.now(UTC) - self._period] if self._period else []
        if span := wanted.span:
            # The API leaves out the instant itself.
            since.append(span.since - timedelta(microseconds=1))
            chosen["startedBefore"] = instant(span.until)
        if since:
            chosen["startedAfter"] = instant(max(since))
        return chosen

    def parts(self) -> list[Filter]:
        every = self.every()
        if not self._errors_first:
            return [every]
        return [every | {"status": ["ERROR"]}, every | {"status": ["RUNNING", "SUCCESS"]}]

    def rank(self, node: Node) -> str:
        part = int(self._errors_first and node["status"] != "ERROR")
        return f"{part} {downwards(node['startedAt'] + node['id'])}"

    def row(self, node: Node) -> Row:
        return process_row(node)

    def take(self, node: Node) -> None:
        super().take(node)
        if not self._wanted.worker:
            self._unnamed.add(node["id"])
            self.incomplete.set()

    async def complete(self, api: Api) -> None:
        unnamed, self._unnamed = self._unnamed & self.nodes.keys(), set()
        for node in await self.ask_for(api, unnamed, {}):
            if node["id"] in self.nodes:
                self.nodes[node["id"]] |= {"pipeline": node["pipeline"]}

    def age(self) -> bool:
        gone = [id_ for id_, node in self.nodes.items() if self._is_too_old(node)]
        for id_ in gone:
            self._drop(id_)
        return bool(gone)

    def _is_too_old(self, node: Node) -> bool:
        if self._period is None:
            return False
        return datetime.fromisoformat(node["startedAt"]) < datetime.now(UTC) - self._period

    def belongs_on_first_page(self, node: Node) -> bool:
        return not self._is_too_old(node) and super().belongs_on_first_page(node)
