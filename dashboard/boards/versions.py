"""The board of two versions of a pipeline, side by side."""

from dashboard.api import Api
from dashboard.boards.board import Board
from dashboard.boards.rows import Node


class VersionsBoard(Board):
    """One version of a pipeline against another.

    All that ever ended of both is read for it, so it is not asked for with each end, but now and
    then, and only while somebody has it open.
    """

    def __init__(self, pipeline: str, version: str, against: str) -> None:
        super().__init__()
        self.pipeline, self.compared, self.against = pipeline, version, against
        # None while it is not known, or there is no such pipeline.
        self.comparison: Node | None = None

    async def load(self, api: Api) -> None:
        of = {"version": self.compared, "against": self.against}
        data = await api.query("compare_versions", id=self.pipeline, **of)
        self.comparison = data["pipeline"] and data["pipeline"]["compareVersions"]
        self.is_loaded = True
