"""Where things are in a tab."""

from playwright.async_api import Locator, Page


def row(tab: Page, table: str, id_: str) -> Locator:
    """The row of a table, without what AG Grid pins beside it."""
    return tab.locator(f'#{table} .ag-row[row-id="{id_}"]')


def nothing_to_show(tab: Page, table: str) -> Locator:
    """What a table says in place of rows; AG Grid says it a second time to screen readers."""
    return tab.locator(f"#{table} .ag-overlay-no-rows-center")


def connection(tab: Page) -> Locator:
    return tab.locator("#connection")
