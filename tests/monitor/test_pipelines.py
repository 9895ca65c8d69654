"""Pipelines are found or made by name, whoever registers first and however it is written."""

import asyncio
import json

import pytest
from sqlalchemy import select

from db import models
from db.session import Database
from monitor.entities import TaskDefinition
from monitor.ids import pipeline_id
from monitor.reading.figures import get_totals
from monitor.reading.pipelines import find_pipelines
from monitor.upkeep.counters import check_counters
from monitor.writing.job import UNHURRIED
from tests.client import Client
from tests.monitor.reports import register, replica

ROUNDS = 40
LONGEST = "😀" * 255


async def test_replicas_that_see_a_new_name_at_once_make_one_pipeline(database: Database) -> None:
    replicas = [replica(database, UNHURRIED) for _ in "ab"]
    for round_ in range(ROUNDS):
        name = f"pipeline {round_}"
        workers = await asyncio.gather(*(register(each, name=name) for each in replicas * 3))
        assert {worker.pipeline_id for worker in workers} == {pipeline_id(name)}
    async with database.reading() as connection:
        ids = (await connection.scalars(select(models.pipelines.c.id))).all()
    assert len(ids) == ROUNDS
    found = await find_pipelines(database, ids)
    assert {pipeline.workers_alive for pipeline in found.values()} == {6}
    assert (await get_totals(database)).pipelines == ROUNDS
    assert await check_counters(database, repair=False) == []
    for each in replicas:
        await each.close()


async def test_many_new_names_in_different_orders_hold_nobody_up(database: Database) -> None:
    replicas = [replica(database, UNHURRIED) for _ in "ab"]
    for round_ in range(5):
        names = [f"{round_} {number}" for number in range(20)]
        await asyncio.gather(
            *(register(replicas[0], name=name) for name in names),
            *(register(replicas[1], name=name) for name in reversed(names)),
        )
    assert (await get_totals(database)).pipelines == 100
    assert await check_counters(database, repair=False) == []
    for each in replicas:
        await each.close()


async def test_names_are_as_they_are_written(database: Database) -> None:
    written = ["etl", "ETL", "Etl", "etl ", "etl  ", " etl", "ETL ", "étl", "e\u0301tl", "ß", "ss"]
    written += ["", " ", LONGEST, LONGEST[:-1], LONGEST[:-1] + "😁", "İ" * 255]
    transactions = replica(database)
    for _ in range(2):
        for name in written:
            await register(transactions, name=name, steps=[TaskDefinition(name, "v1")])
    found = await find_pipelines(database, [pipeline_id(name) for name in written])
    assert {pipeline.name: pipeline.workers_alive for pipeline in found.values()} == dict.fromkeys(
        written, 2
    )
    assert (await get_totals(database)).pipelines == len(written)
    assert await check_counters(database, repair=False) == []
    await transactions.close()


HALVES = [r"\ud83d", r"x\ude00", r"\ude00\ud83d"]


@pytest.mark.parametrize("half", HALVES)
async def test_half_of_a_surrogate_pair_is_no_name(client: Client, half: str) -> None:
    headers = client.headers | {"Content-Type": "application/json"}
    rest = f'{{"name": "{half}", "version": "v1", "tasks": []}}'
    response = await client.http.post("/matricula", content=rest, headers=headers)
    assert response.status_code == 400, response.text
    assert response.json()["detail"].startswith("name: has half of a surrogate pair")
    mutation = "mutation ($i: RegisterWorkerInput!) { registerWorker(input: $i) { id } }"
    query = "query ($name: String!) { pipeline(name: $name) { id } }"
    for document, variables in ((mutation, f'{{"i": {rest}}}'), (query, f'{{"name": "{half}"}}')):
        body = f'{{"query": {json.dumps(document)}, "variables": {variables}}}'
        response = await client.http.post("/graphql", content=body, headers=headers)
        (error,) = response.json()["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
    assert (await client.graphql("{ summary { pipelines } }"))["summary"]["pipelines"] == 0
