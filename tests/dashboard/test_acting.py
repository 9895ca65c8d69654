"""What an administrator is offered to do in the page, and nobody else."""

from collections.abc import Iterator

import httpx
import pytest
from playwright.async_api import Browser, Page, expect

from tests.conftest import TOKEN
from tests.dashboard.locators import row
from tests.dashboard.reporter import Reporter
from tests.servers import DashboardServer, MonitorServer

ADMIN = "the administrator's password"
VIEWER = "the password of everybody else"
# Until a worker is lost, and that is told.
LOST_MILLISECONDS = 20_000


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MonitorServer]:
    """An API to which every silence is a loss soon."""
    settings = {"MONITOR_OFFLINE_AFTER_SECONDS": "2", "MONITOR_SILENT_STEP_SECONDS": "2"}
    server = MonitorServer(tmp_path_factory.mktemp("impatient"), {"TOKEN": TOKEN, **settings})
    server.start()
    yield server
    server.stop()


@pytest.fixture(scope="module")
def guarded(
    impatient: MonitorServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DashboardServer]:
    """Its dashboard, for administrators and others."""
    passwords = {
        "MONITOR_DASHBOARD_ADMIN_PASSWORD": ADMIN,
        "MONITOR_DASHBOARD_PASSWORD": VIEWER,
    }
    server = DashboardServer(
        tmp_path_factory.mktemp("guarded"),
        {"TOKEN": TOKEN, "BACKEND": f"127.0.0.1:{impatient.port}", **passwords},
    )
    server.start()
    yield server
    server.stop()


@pytest.fixture
def reporter(impatient: MonitorServer) -> Iterator[Reporter]:
    with httpx.Client(
        base_url=impatient.url, headers={"Authorization": f"Bearer {TOKEN}"}, timeout=10
    ) as http:
        yield Reporter(http)


async def sign_in(browser: Browser, guarded: DashboardServer, password: str, search: str) -> Page:
    """A tab at the address."""
    tab = await browser.new_page(base_url=guarded.url)
    await tab.goto(f"/{search}")
    await tab.locator("input[type=password]").fill(password)
    await tab.keyboard.press("Enter")
    return tab


async def test_an_administrator_ends_a_stalled_run_and_it_says_who_did(
    browser: Browser, guarded: DashboardServer, reporter: Reporter
) -> None:
    run = reporter.start(reporter.register("killed"))
    reporter.report(run, 1, "start")
    tab = await sign_in(browser, guarded, ADMIN, f"?process={run.id}")
    facts = tab.locator("#facts")
    await expect(facts).to_contain_text("Stalled: its worker is lost", timeout=LOST_MILLISECONDS)
    await facts.get_by_role("button", name="End it as failed").click()
    dialog = tab.get_by_role("dialog", name="End this run as failed?")
    await dialog.get_by_role("button", name="End it as failed").click()
    await expect(dialog).to_be_visible()  # without a reason nothing is done
    await dialog.get_by_role("textbox").fill("power cut in rack 4")
    await dialog.get_by_role("button", name="End it as failed").click()
    await expect(dialog).to_contain_text("The process was ended as ERROR.")
    await dialog.get_by_role("button", name="Close").click()
    await expect(facts).to_contain_text("Failed")
    await expect(facts).to_contain_text("Ended by dashboard admin from 127.0.0.1")
    await expect(tab.locator(".failure-message")).to_contain_text("power cut in rack 4")
    await expect(facts.get_by_role("button", name="End it as failed")).to_have_count(0)
    await tab.close()


async def test_an_administrator_archives_the_finished_workers_of_a_pipeline(
    browser: Browser, guarded: DashboardServer, reporter: Reporter
) -> None:
    workers = [reporter.register("finished-ones") for _ in range(3)]
    run = reporter.succeed(workers[0])
    tab = await sign_in(browser, guarded, ADMIN, f"?process={run.id}")
    await tab.locator("#facts").get_by_role("link", name="finished-ones").click()
    page = tab.locator("#pipeline-panel")
    await expect(page).to_contain_text("3 finished", timeout=LOST_MILLISECONDS)
    await page.get_by_role("button", name="Archive finished workers").click()
    dialog = tab.get_by_role("dialog")
    await dialog.get_by_role("button", name="Cancel").click()
    await expect(row(tab, "workers", workers[2])).to_be_visible()
    await page.get_by_role("button", name="Archive finished workers").click()
    await dialog.get_by_role("button", name="Archive finished workers").click()
    await expect(dialog).to_contain_text("3 workers were archived.")
    await dialog.get_by_role("button", name="Close").click()
    await expect(row(tab, "workers", workers[2])).to_have_count(0)
    await expect(row(tab, "processes", run.id)).to_be_visible()
    await tab.close()


async def test_an_administrator_archives_a_single_worker(
    browser: Browser, guarded: DashboardServer, reporter: Reporter
) -> None:
    worker, other = (reporter.register("one-of-two") for _ in range(2))
    tab = await sign_in(browser, guarded, ADMIN, f"?worker={worker}&name=one-of-two")
    facts = tab.locator("#worker-facts")
    await expect(facts).to_contain_text("Finished", timeout=LOST_MILLISECONDS)
    await facts.get_by_role("button", name="Archive").click()
    dialog = tab.get_by_role("dialog", name="Archive this worker?")
    await dialog.get_by_role("button", name="Archive").click()
    await expect(dialog).to_contain_text("1 worker was archived.")
    await dialog.get_by_role("button", name="Close").click()
    await expect(row(tab, "workers", worker)).to_have_count(0)
    await expect(row(tab, "workers", other)).to_be_visible()
    await expect(facts).to_contain_text("archived")
    await tab.close()


async def test_an_administrator_resolves_mutes_and_reopens_a_failure_and_it_says_who_did(
    browser: Browser, guarded: DashboardServer, reporter: Reporter
) -> None:
    run = reporter.fail(reporter.register("acted-on"), "made something of")
    tab = await sign_in(browser, guarded, ADMIN, f"?process={run.id}")
    await tab.locator(".failure-alike").get_by_role("link").click()
    facts, dialog = tab.locator("#failure-facts"), tab.get_by_role("dialog")

    async def confirm(name: str, said: str) -> None:
        await dialog.get_by_role("button", name=name).click()
        await expect(dialog).to_contain_text(said)
        await dialog.get_by_role("button", name="Close").click()

    await expect(facts.locator(".act")).to_have_text(["Resolve", "Mute …"])
    await facts.get_by_role("button", name="Resolve").click()
    await confirm("Resolve", "The failure is resolved.")
    await expect(facts.locator(".status")).to_have_text("Resolved")
    await expect(facts).to_contain_text("Resolved by dashboard admin from 127.0.0.1")
    await expect(facts.locator(".act")).to_have_text(["Reopen"])
    await facts.get_by_role("button", name="Reopen").click()
    await confirm("Reopen", "The failure is open.")
    await expect(facts.locator(".status")).to_have_text("New")
    await facts.get_by_role("button", name="Mute").click()
    await dialog.get_by_role("combobox").select_option("1 week")
    await confirm("Mute", "The failure is muted")
    await expect(facts).to_contain_text("Muted until")
    await facts.get_by_role("button", name="Reopen").click()
    await confirm("Reopen", "The failure is open.")
    await facts.get_by_role("button", name="Mute").click()
    await dialog.get_by_role("combobox").select_option("ever")
    await confirm("Mute", "The failure is muted")
    await expect(facts).to_contain_text("Muted for ever by dashboard admin from 127.0.0.1")
    await expect(facts.locator(".acts li")).to_have_count(5)
    await tab.close()


async def test_others_are_offered_nothing(
    browser: Browser, guarded: DashboardServer, reporter: Reporter
) -> None:
    run = reporter.start(reporter.register("only-looked-at"))
    tab = await sign_in(browser, guarded, VIEWER, f"?process={run.id}")
    await expect(tab.locator("#facts")).to_contain_text("Stalled", timeout=LOST_MILLISECONDS)
    await expect(tab.locator("[data-act=endProcess]")).to_have_count(1)
    await expect(tab.locator(".act")).to_have_count(0)
    answer = await tab.evaluate(
        """async (id) => {
            const body = JSON.stringify({ action: "endProcess", id, reason: "because" });
            const headers = { "Content-Type": "application/json" };
            return (await fetch("act", { method: "POST", headers, body })).status;
        }""",
        run.id,
    )
    assert answer == 403
    await expect(tab.locator("#facts")).to_contain_text("Stalled")
    await tab.close()
