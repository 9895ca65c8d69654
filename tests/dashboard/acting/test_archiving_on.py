"""Archiving goes on until nothing is left, for a while; what was done is said in any case."""

from collections.abc import Sequence
from typing import Any

import pytest

from dashboard.acting.acts import ARCHIVING_SECONDS, Acts
from dashboard.acting.asked import Asked
from dashboard.acting.mutations import Mutations
from dashboard.api import ApiGone

FINISHED = Asked("archiveFinished", "pipeline_1", "", "key")


class Api(Mutations):
    """Archives so many at a time, each time a quarter of what there is time for; or is gone."""

    def __init__(self, *archived: int | None) -> None:
        super().__init__("http://api", "token")
        self._archived: Sequence[int | None] = archived
        self.asked = 0

    async def run(self, name: str, address: str, **variables: Any) -> dict[str, Any]:
        assert (name, address, variables) == ("archive_workers", "::1", {"of": "pipeline_1"})
        archived = self._archived[min(self.asked, len(self._archived) - 1)]
        self.asked += 1
        if archived is None:
            raise ApiGone("the API cannot be reached")
        return {"archiveWorkers": archived}

    def monotonic(self) -> float:
        return self.asked * ARCHIVING_SECONDS / 4


@pytest.mark.parametrize(
    ("archived", "told"),
    [
        ([0], "There was nothing to archive."),
        ([1, 0], "1 worker was archived."),
        ([20_000, 7, 0], "20,007 workers were archived."),
        ([1_000], "4,000 workers were archived. There are more: archive again."),
    ],
)
async def test_it_is_said_how_many_were_archived(archived: list[int], told: str) -> None:
    api = Api(*archived)
    assert await Acts(api, monotonic=api.monotonic).do(FINISHED, "::1") == told


@pytest.mark.parametrize(
    ("archived", "told"),
    [
        ([None], "the API cannot be reached"),
        ([300, None], "300 workers were archived. Then: the API cannot be reached"),
    ],
)
async def test_an_api_that_goes_away_takes_nothing_with_it(
    archived: list[int | None], told: str
) -> None:
    api = Api(*archived)
    with pytest.raises(ApiGone) as raised:
        await Acts(api, monotonic=api.monotonic).do(FINISHED, "::1")
    assert str(raised.value) == told
