"""An administrator's rule as a person meets it in JupyterLab, on a node with a broker for all."""

from __future__ import annotations

import re

import pytest_asyncio
from playwright.async_api import Locator, ViewportSize, expect

from tests.browser.lab import Lab, lab
from tests.server.ruled import QUICK, RuledHome, ruled_user
from tests.server.servers import keep_old_spec

WIDE: ViewportSize = {"width": 1600, "height": 1000}
"""In a narrow toolbar the button may be put away."""


user = pytest_asyncio.fixture(ruled_user)


def _toast(page: Lab, text: str) -> Locator:
    return page.page.locator(".Toastify__toast", has_text=text)


async def test_what_a_rule_allows(user: RuledHome) -> None:
    """Only that is offered; until when it is had is said; what it never allows is marked where a
    kernel of another time asks for it, and refused by name of the rule.
    """
    keep_old_spec(user.directory / "data" / "kernels", "3g.20gb")
    async with lab(user, *QUICK) as page:
        await page.page.set_viewport_size(WIDE)
        await expect(page.card("2g.10gb")).to_be_visible()
        await expect(page.card("7g.40gb")).to_have_count(0)
        await page.command("jupyter-mig:open-panel")
        room = page.panel.get_by_role("img", name="Free: room for 1g.5gb, 2g.10gb")
        await expect(room).to_contain_text("up to 2g.10gb")
        await page.picture("ruled-free")
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        await expect(
            _toast(page, "1g.5gb slice of train.ipynb ends in 8 min by rule 1 (*)")
        ).to_be_visible()
        await expect(page.slice).to_contain_text(re.compile(r"1g\.5gb until \S*\d\d:\d\d"))
        await page.kernel_button.click()
        small = page.dialog.locator("option", has_text="2g.10gb")
        await expect(small).to_contain_text("you hold 1 of 1 slices allowed: would wait")
        await page.picture("ruled-dialog")
        await page.dialog.locator("button.jp-mod-reject").click()
        await page.command("jupyter-mig:open-panel")
        await expect(page.panel).to_contain_text("Now you hold 1 of 1 slices allowed")
        await expect(page.panel.get_by_label("Free by size")).not_to_contain_text("7g.40gb")
        none = page.panel.get_by_role("img", name="Free, but by rule 1 (*) you may have none there")
        await expect(none.first).to_contain_text("not for you")
        await page.in_both_themes("ruled-panel")
        await page.size_button.click()
        await expect(page.size_menu).to_contain_text("2g.10gb")
        await page.in_both_themes("ruled-menu")
        row = page.size_menu.locator(".lm-Menu-item", has_text="3g.20gb")
        await expect(row).to_contain_text("not allowed by rule 1 (*)")
        await expect(row).to_have_class(re.compile("lm-mod-disabled"))
        await page.page.keyboard.press("Escape")
        await page.open_notebook("big.ipynb", "3g.20gb")
        await expect(page.dialog).to_contain_text("You may not have 3g.20gb slices on this node.")
        await page.picture("ruled-refused")
        await page.accept()


async def test_who_holds_all_he_may(user: RuledHome) -> None:
    """Waits, and is told that it is for himself; a slice that an administrator takes is not his
    again until he asks for it, and why is said. Then the one that waits has its own.
    """
    async with lab(user, *QUICK) as page:
        await page.page.set_viewport_size(WIDE)
        await page.open_notebook("train.ipynb", "1g.5gb")
        await page.is_idle()
        (lease,) = await user.leases()
        await page.open_notebook("plain.ipynb", "")
        await page.is_idle()
        await page.size_button.click()
        await page.size_menu.locator(".lm-Menu-item", has_text="9.6 GiB").click()
        await page.accept()
        await expect(page.dialog).to_contain_text("You hold as much as you may have on this node.")
        await page.picture("ruled-over-quota")
        await page.dialog.get_by_role("button", name="Ok").click()
        await page.open_notebook("sweep.ipynb", "1g.5gb")
        await expect(page.slice).to_contain_text("waiting for 1g.5gb: until one of yours ends")
        await expect(
            _toast(page, "sweep.ipynb waits for a 1g.5gb slice until one of yours ends")
        ).to_be_visible()
        await page.command("jupyter-mig:open-panel")
        here = page.panel.get_by_role("region", name="This notebook")
        await expect(here).to_contain_text("You hold 1 slice, 0.125 of a GPU. Rule 1 (*):")
        await page.in_both_themes("ruled-waiting")
        user.revoke(lease.lease_id, "maintenance at noon")
        lost = _toast(page, "The administrator revoked it: maintenance at noon")
        await expect(lost).to_be_visible()
        await page.is_idle()
        await page.show("train.ipynb")
        await page.page.wait_for_timeout(3000)
        await page.picture("ruled-revoked")
        assert [each.label for each in await user.leases()] == ["sweep.ipynb"]
        await lost.get_by_role("button", name="Restart").click()
        await expect(page.slice).to_contain_text("waiting for 1g.5gb: until one of yours ends")
