"""Where things are in a tab."""

from playwright.async_api import Locator, Page


def row(tab: Page, table: str, id_: str) -> Locator:
    """The row of a table, without what AG Grid pins beside it."""
    return tab.locator(f'#{table} .ag-row[row-id="{id_}"]')


def connection(tab: Page) -> Locator:
    return tab.locator("#connection")
