"""``pip install`` of the wheel, where there is no Node.js, and nothing else: all is there.

The oldest JupyterLab in the suite, for the other tests have the newest; ``make clean-installs`` has
the others, too. The environments are kept in pytest's cache, the wheel in them is new each time.
"""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.lab import Lab, chromium, save_notebook, settle
from tests.server.servers import TOKEN, Home, serving, until
from tests.test_build import call_backend

pytestmark = pytest.mark.timeout(300)  # installs for real

ALL = os.environ.get("JUPYTER_MIG_CLEAN_INSTALLS") == "all"
LABS = ["jupyterlab==4.2.*", *(["jupyterlab"] if ALL else [])]
PROFILE = "import os; print(os.environ['JUPYTER_MIG_PROFILE'])"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this tree."""
    return call_backend("build_wheel", tmp_path_factory.mktemp("wheel"))


def _installed(request: pytest.FixtureRequest, wheel: Path, front: str) -> Path:
    """The interpreter of an environment with the wheel and that front end."""
    place = request.config.cache.mkdir(f"clean-{front.replace('*', 'x')}") / "venv"
    python = place / "bin" / "python"
    if not python.exists():
        venv.create(place, symlinks=True)
    pip = [sys.executable, "-m", "pip", "--python", str(python), "install", "--quiet"]
    subprocess.run([*pip, str(wheel), front], check=True)
    subprocess.run([*pip, "--no-deps", "--force-reinstall", str(wheel)], check=True)
    return python


def _alone(user: Home, python: Path) -> Home:
    """The same user, with that environment and nothing of this one."""
    user.environ["PATH"] = str(python.parent)
    del user.environ["PYTHONPATH"]
    settle(user)
    return user


def _complaints(page: Page) -> list[str]:
    """What the console will say of errors that are ours."""
    found: list[str] = []

    def note(text: str) -> None:
        if "jupyter-mig" in text or "jp-mig" in text:
            found.append(text)

    page.on("console", lambda it: note(f"{it.text} {it.location}") if it.type == "error" else None)
    page.on("pageerror", lambda error: note(error.stack or error.message))
    return found


@pytest.mark.parametrize("front", LABS)
async def test_jupyterlab(
    user: Home, wheel: Path, request: pytest.FixtureRequest, front: str
) -> None:
    """Status item, panel, size button, kernel dialog: each is there and does its work."""
    python = _installed(request, wheel, front)
    async with (
        serving(
            _alone(user, python), "--expose-app-in-browser", app="jupyterlab", python=str(python)
        ) as server,
        chromium() as tab,
    ):
        complaints = _complaints(tab)
        await tab.goto(f"{server.url}/lab?token={TOKEN}&reset")
        page = Lab(tab, server)
        await page.card("1g.5gb").click()
        await expect(page.slice).to_contain_text("of 4.8 GiB")
        await page.slice.get_by_role("button").first.click()
        await _change_size(page)
        await expect(page.slice).to_contain_text("2g.10gb")
        await _change_in_the_dialog(page)
        await page.picture(f"clean-{front}")
        assert complaints == []


@pytest.mark.skipif(not ALL, reason="the other tests have the newest: make clean-installs")
async def test_notebook_7(user: Home, wheel: Path, request: pytest.FixtureRequest) -> None:
    """All but the status item, for which there is no place."""
    python = _installed(request, wheel, "notebook==7.*")
    save_notebook(user, "train.ipynb", "1g.5gb")
    async with (
        serving(
            _alone(user, python), "--expose-app-in-browser", app="notebook", python=str(python)
        ) as server,
        chromium() as tab,
    ):
        complaints = _complaints(tab)
        await tab.goto(f"{server.url}/notebooks/train.ipynb?token={TOKEN}")
        page = Lab(tab, server)
        await expect(page.size_button).to_have_text("GPU: 1g.5gb")
        await page.command("jupyter-mig:open-panel")
        await _change_size(page)
        await _change_in_the_dialog(page)
        await page.picture("clean-notebook")
        assert complaints == []


async def _change_size(page: Lab) -> None:
    here = page.panel.get_by_role("region", name="This notebook")
    await expect(here).to_contain_text("1g.5gb · GPU 0")
    await page.size_button.click()
    await page.size_menu.get_by_role("menuitem", name="2g.10gb").click()
    await page.accept()
    await expect(here).to_contain_text("2g.10gb · GPU 0")


async def _change_in_the_dialog(page: Lab) -> None:
    await page.command("notebook:change-kernel")
    option = page.dialog.locator("option", has_text="(1g.10gb)").first
    await page.dialog.locator("select").select_option(value=await option.get_attribute("value"))
    await page.accept()
    await expect(page.size_button).to_have_text("GPU: 1g.10gb")
    await page.run_cell(PROFILE)
    await expect(page.output).to_have_text("1g.10gb")

    async def only_the_last() -> bool:
        return [lease.size for lease in await page.user.leases()] == ["1g.10gb"]

    await until(only_the_last, "for the slices before it to be given back")
