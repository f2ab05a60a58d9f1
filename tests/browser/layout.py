"""What is measured of a page once its layout has settled: on a slow machine it does so after its texts are there."""

from typing import Final

from playwright.async_api import Page, expect

CUT: Final = (
    "all => all.filter((one) => one.scrollWidth > one.clientWidth && one.clientWidth).map((one) => one.innerText)"
)
APART: Final = """() => {
  const boxes = [...document.querySelectorAll("main button, main .button")]
    .map((one) => one.getBoundingClientRect()).filter((box) => box.width && box.height);
  const near = (one, other) => one.left < other.right + 6 && other.left < one.right + 6 &&
    one.top < other.bottom + 6 && other.top < one.bottom + 6;
  return !boxes.some((one, at) => boxes.slice(at + 1).some((other) => near(one, other)));
}"""
"""Whether six pixels at least lie between any two buttons."""
PATIENCE: Final = 300
"""How many tenths of a second a page may take to settle."""


async def fits(page: Page) -> None:
    """See that nothing is wider than the window."""
    await page.wait_for_function("document.scrollingElement.scrollWidth <= window.innerWidth")


async def apart(page: Page) -> None:
    """See that no finger on a button meets another one."""
    await page.wait_for_function(APART)


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
