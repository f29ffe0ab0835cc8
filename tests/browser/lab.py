"""JupyterLab in Chromium, handled as a person does, and pictures of it."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

from playwright.async_api import Locator, Page, async_playwright, expect

from tests.server.servers import TOKEN, Home, Server, serving

PICTURES = "JUPYTER_MIG_PICTURES"
"""Environment variable: the directory to keep pictures in. Without it there are none."""

PATIENCE_MS = 60_000

EXTENSION = Path(__file__).resolve().parents[2] / "jupyter_mig" / "labextension"
"""The JupyterLab extension as built from this tree (``make frontend``): not what is installed."""

Theme = Literal["Light", "Dark"]

_CHROMIUM = ("chromium", "chromium-browser", "google-chrome")
_QUIET = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Lab:
    """One browser tab with JupyterLab."""

    def __init__(self, page: Page, server: Server) -> None:
        self.page = page
        self.server = server
        self.user = server.user
        self.notebook = page.locator(".jp-NotebookPanel:not(.lm-mod-hidden)")
        self.kernel_button = self.notebook.locator(".jp-Toolbar-kernelName")
        self.statusbar = page.locator("#jp-main-statusbar")
        self.dialog = page.locator(".jp-Dialog")
        self.slice = page.locator(".jp-mig-Status")
        self.panel = page.locator(".jp-mig-Panel")
        self.output = self.notebook.locator(".jp-OutputArea-output")
        self.size_button = self.notebook.locator(".jp-mig-Size-button")
        self.size_menu = page.locator(".jp-mig-SizeMenu")

    def card(self, size: str) -> Locator:
        """The launcher's card for a notebook of that size."""
        cards = self.page.locator(".jp-LauncherCard[data-category='Notebook']:visible")
        return cards.filter(has_text=f"({size})")

    async def new_notebook(self, size: str) -> None:
        """Open the launcher and pick a size."""
        await self.command("launcher:create")
        await self.card(size).click()
        await expect(self.notebook).to_be_visible()

    async def open_notebook(self, name: str, size: str) -> None:
        """Open a notebook that was saved with a kernel of that size (or none: without a GPU)."""
        save_notebook(self.user, name, size)
        await self.show(name)

    async def show(self, name: str) -> None:
        """Open a file, or bring it to the front; return when it is there and has been read."""
        await self.command("docmanager:open", {"path": name})
        await self.page.wait_for_function(
            """name => {
              const current = window.jupyterapp.shell.currentWidget;
              const ready = current?.context?.path === name && current.context.isReady;
              return ready && current.isVisible;
            }""",
            arg=name,
        )

    async def command(self, name: str, arguments: dict[str, str] | None = None) -> None:
        """Run one of JupyterLab's commands, without waiting for it to be done."""
        await self.page.evaluate(
            "([name, arguments]) => void window.jupyterapp.commands.execute(name, arguments)",
            [name, arguments or {}],
        )

    async def run_cell(self, code: str) -> None:
        """Type code into a new last cell and run it."""
        cell = self.notebook.locator(".jp-CodeCell .cm-content").last
        await cell.click()
        await self.page.keyboard.insert_text(code)
        await self.page.keyboard.press("Shift+Enter")

    async def is_idle(self) -> None:
        """Wait until the kernel of the notebook in front is idle, and the status bar says so.

        The status bar alone may still speak of the notebook that was in front before.
        """
        await self.page.wait_for_function(
            "window.jupyterapp.shell.currentWidget?.sessionContext?.session?.kernel?.status"
            " === 'idle'"
        )
        await expect(self.statusbar).to_contain_text(re.compile(r"\| Idle"))

    async def choose_kernel(self, text: str) -> None:
        """Change the notebook's kernel in JupyterLab's dialog, to the one with that text."""
        await self.kernel_button.click()
        option = self.dialog.locator("option", has_text=text).first
        value = await option.get_attribute("value")
        await self.dialog.locator("select").select_option(value=value)
        await self.accept()

    async def accept(self) -> None:
        """Press the dialog's main button: Ok, Select, Restart."""
        await self.dialog.locator("button.jp-mod-accept").click()

    async def picture(self, name: str) -> None:
        """Keep a picture, if somebody wants pictures."""
        await _keep(self.page, name)

    async def let_time_pass(self, seconds: float) -> None:
        """For a picture with a past, if somebody wants pictures."""
        if os.environ.get(PICTURES):
            await self.page.wait_for_timeout(1000 * seconds)

    async def part(self, part: Locator, name: str) -> None:
        """Keep a picture of one part."""
        await _keep(part, name)

    async def statusbar_picture(self, name: str) -> None:
        """Keep pictures of the status bar, light and dark."""
        await self.in_both_themes(name, self.statusbar)

    async def in_both_themes(self, name: str, part: Locator | None = None) -> None:
        """Keep pictures of the page or of a part, if somebody wants pictures: dark, then light. By
        then what slides in has done so.
        """
        if not os.environ.get(PICTURES):
            return
        await expect(self.page.locator(".Toastify--animate")).to_have_count(0)
        for theme in ("Dark", "Light"):
            await self.command("apputils:change-theme", {"theme": f"JupyterLab {theme}"})
            light = str(theme == "Light").lower()
            await expect(self.page.locator("body")).to_have_attribute("data-jp-theme-light", light)
            await expect(self.page.locator("#jupyterlab-splash")).to_have_count(0)
            await _keep(part or self.page, f"{name}-{theme}")

    async def hide(self, *, hidden: bool) -> None:
        """Tell the page that its tab is hidden, or seen again. (A headless one always is seen.)"""
        await self.page.evaluate(
            """hidden => {
              const value = hidden ? 'hidden' : 'visible';
              Object.defineProperty(document, 'visibilityState', { value, configurable: true });
              document.dispatchEvent(new Event('visibilitychange'));
            }""",
            hidden,
        )


@asynccontextmanager
async def lab(
    user: Home, *options: str, theme: Theme = "Light", base: str = ""
) -> AsyncIterator[Lab]:
    """JupyterLab for ``user``, its launcher shown, in a browser without a past."""
    link_extension(user)
    settle(user)
    _set(user, "themes", {"theme": f"JupyterLab {theme}"})
    options = ("--expose-app-in-browser", *options)
    async with serving(user, *options, app="jupyterlab", base=base) as server, chromium() as page:
        await page.goto(f"{server.url}/lab?token={TOKEN}&reset")
        await page.locator(".jp-LauncherCard").first.wait_for()
        yield Lab(page, server)


@asynccontextmanager
async def chromium() -> AsyncIterator[Page]:
    """A browser without a past, one tab of it."""
    async with async_playwright() as playwright:
        executable = next(filter(None, map(shutil.which, _CHROMIUM)), None)
        assert executable, "the browser tests need Chromium: run make chromium"
        browser = await playwright.chromium.launch(executable_path=executable, args=_QUIET)
        page = await browser.new_page(viewport={"width": 1280, "height": 800})
        page.set_default_timeout(PATIENCE_MS)
        expect.set_options(timeout=PATIENCE_MS)
        try:
            yield page
        except BaseException:
            await _keep(page, "failed")
            raise
        finally:
            await browser.close()


@asynccontextmanager
async def notebook(user: Home, name: str, size: str) -> AsyncIterator[Lab]:
    """Notebook 7 for ``user``, with one notebook that was saved with a kernel of that size."""
    link_extension(user)
    save_notebook(user, name, size)
    options = ("--expose-app-in-browser",)
    async with serving(user, *options, app="notebook") as server, chromium() as page:
        await page.goto(f"{server.url}/notebooks/{name}?token={TOKEN}")
        await page.locator(".jp-NotebookPanel").wait_for()
        yield Lab(page, server)


async def _keep(what: Page | Locator, name: str) -> None:
    directory = os.environ.get(PICTURES)
    if directory:
        await what.screenshot(path=Path(directory) / f"{name}.png")


def save_notebook(user: Home, name: str, size: str) -> None:
    """Put a notebook into the user's folder."""
    kernelspec = f"python3-mig-{size}" if size else "python3"
    kernel = {"name": kernelspec, "display_name": kernelspec, "language": "python"}
    cell = {"cell_type": "code", "source": "", "outputs": [], "metadata": {}, "id": "first"}
    document = {"nbformat": 4, "nbformat_minor": 5, "metadata": {"kernelspec": kernel}}
    saved = json.dumps({**document, "cells": [{**cell, "execution_count": None}]})
    (user.notebooks / name).write_text(saved)


def link_extension(user: Home) -> None:
    """JupyterLab finds what was built from this tree."""
    assert (EXTENSION / "package.json").is_file(), "the extension is not built: run make frontend"
    extensions = user.directory / "data" / "labextensions"
    extensions.mkdir(parents=True)
    (extensions / "jupyter-mig").symlink_to(EXTENSION)
    # In a virtual environment Jupyter otherwise prefers what is installed there.
    user.environ["JUPYTER_PREFER_ENV_PATH"] = "no"


def settle(user: Home) -> None:
    """JupyterLab's first question, which covers the bottom right corner, is answered."""
    _set(user, "notification", {"fetchNews": "false", "checkForUpdates": False})


def set_notices(user: Home, settings: dict[str, object]) -> None:
    """Which notices a new user wants."""
    _set(user, "notices", settings, of="jupyter-mig")


def _set(
    user: Home,
    plugin: str,
    settings: dict[str, object],
    of: str = "@jupyterlab/apputils-extension",
) -> None:
    """Settings of a new user."""
    folder = user.directory / "settings" / of
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{plugin}.jupyterlab-settings").write_text(json.dumps(settings))
