"""What is measured of a page once its layout has settled: on a slow machine it does so after its texts are there."""

from typing import Final

from playwright.async_api import Page, expect

CUT: Final = (
    "all => all.filter((one) => one.scrollWidth > one.clientWidth && one.clientWidth).map((one) => one.innerText)"
)
PATIENCE: Final = 300
"""How many tenths of a second a page may take to settle."""


async def fits(page: Page) -> None:
    """See that nothing is wider than the window."""
    await page.wait_for_function("document.scrollingElement.scrollWidth <= window.innerWidth")


async def fits_uncut(page: Page) -> None:
    """See that no name and no value of a tile is cut, and that nothing is wider than the window."""
    texts = page.locator("hui-tile-card ha-tile-info span")
    await expect(texts.first).to_be_visible()
    cut = await texts.evaluate_all(CUT)
    for _ in range(PATIENCE):
        if not cut:
            break
        await page.wait_for_timeout(100)
        cut = await texts.evaluate_all(CUT)
    assert cut == []
    await fits(page)
