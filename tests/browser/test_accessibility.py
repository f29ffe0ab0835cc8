"""What axe-core finds in what we show."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.async_api import ViewportSize, expect

from tests.browser.lab import Lab, lab
from tests.server.servers import Home

AXE = Path(__file__).parents[2] / "labextension/node_modules/axe-core/axe.min.js"

OURS = (".jp-mig-Panel", ".jp-mig-Status", ".jp-mig-Size", ".jp-mig-SizeMenu", ".jp-Dialog-content")
"""Panel, status item, the button in the toolbar, its menu, the question before a change."""

WIDE: ViewportSize = {"width": 1600, "height": 1000}
"""In a narrow toolbar the button may be put away."""

FIND = """async selectors => {
  const seen = selectors.filter(each => document.querySelector(each) !== null);
  const { violations } = await axe.run({ include: seen.map(each => [each]) });
  return [seen, violations.map(({ id, impact, nodes }) => ({
    id, impact, where: nodes.map(node => `${node.html} ${node.failureSummary}`)
  }))];
}"""


async def _violations(page: Lab, *expected: str) -> list[dict[str, Any]]:
    """What is wrong, and seriously so, with the parts that are seen."""
    seen, found = await page.page.evaluate(FIND, list(OURS))
    assert set(expected) <= set(seen)
    return [each for each in found if each["impact"] in ("serious", "critical")]


async def test_nobody_is_kept_out(user: Home) -> None:
    """Nothing serious: a kernel on a slice, one in line, menu and dialog, light and dark."""
    assert AXE.is_file(), "axe-core is not installed: run make frontend"
    async with lab(user) as page:
        await page.page.set_viewport_size(WIDE)
        await page.page.add_script_tag(path=AXE)
        await page.open_notebook("train.ipynb", "7g.40gb")
        await page.is_idle()
        await page.open_notebook("sweep.ipynb", "7g.40gb")
        await page.command("jupyter-mig:open-panel")
        await expect(page.panel).to_contain_text("next in line")
        await page.show("train.ipynb")
        await expect(page.slice).to_contain_text("of 39.2 GiB")
        for theme in ("Dark", "Light"):
            await page.command("apputils:change-theme", {"theme": f"JupyterLab {theme}"})
            light = str(theme == "Light").lower()
            await expect(page.page.locator("body")).to_have_attribute("data-jp-theme-light", light)
            await page.size_button.click()
            await expect(page.size_menu).to_contain_text("No GPU")
            assert await _violations(page, *OURS[:4]) == []
            await page.size_menu.locator(".lm-Menu-item", has_text="1g.5gb").click()
            await expect(page.dialog).to_contain_text("variables are lost")
            assert await _violations(page, *OURS[:3], OURS[4]) == []
            await page.dialog.get_by_role("button", name="Cancel").click()
