"""What the manual tells people to do works, and what it links to is there."""

import asyncio
import json
import os
import re
import sys
from importlib.resources import files
from pathlib import Path
from urllib.parse import urlsplit

import nbformat
import pytest

from tests.server.servers import Home

ROOT = Path(__file__).resolve().parent.parent.parent
NOTEBOOK = files("jupyter_mig.cli.demo").joinpath("welcome.ipynb")
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("binder/*.md")])


def block(page: str, language: str, containing: str) -> str:
    """Cut the one fenced block with that word out of a page."""
    text = (ROOT / page).read_text(encoding="utf-8")
    blocks = re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    (found,) = [one for one in blocks if containing in one]
    return str(found)


def anchors(page: Path) -> set[str]:
    """List what one can link to in a page where it is read in the repository: GitHub's names of
    its headings.
    """
    prose = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    headings = re.findall(r"^#+ (.*)$", prose, re.MULTILINE)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


async def run(user: Home, *command: str) -> str:
    """Run a command as the user, who has this Python's programs on the path; its output."""
    programs = str(Path(sys.executable).parent)
    environ = {**user.environ, "PATH": f"{programs}{os.pathsep}{user.environ['PATH']}"}
    process = await asyncio.create_subprocess_exec(
        *command,
        env=environ,
        cwd=user.notebooks,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode == 0, output.decode()
    return output.decode()


def outputs(path: Path) -> list[str]:
    """Read what the code cells of an executed notebook printed."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    return [
        "".join(
            output.get("text") or output.get("data", {}).get("text/plain", "")
            for output in cell.outputs
        )
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


async def test_the_demo_notebook_runs_on_a_slice(user: Home) -> None:
    """With kernels installed as the how-to says: each cell shows the slice, which is free then."""
    (user.notebooks / "in.ipynb").write_bytes(NOTEBOOK.read_bytes())
    await run(user, "jupyter", "mig", "kernels", "install", "--sizes", "1g.5gb")
    await run(user, "papermill", "--kernel", "python3-mig-1g.5gb", "in.ipynb", "out.ipynb")
    variables, monitor, status, leases, sizes = outputs(user.notebooks / "out.ipynb")
    uuid = re.findall(r"CUDA_VISIBLE_DEVICES = (MIG-\S+)", variables)[0]
    assert monitor.startswith("1g.5gb on GPU 0 (simulated): ")
    assert re.findall("JUPYTER_MIG_KEY = .*", variables) == ["JUPYTER_MIG_KEY = (not to be shared)"]
    assert "SIMULATED" in status
    assert uuid[:10] in leases
    assert "7g.40gb" in sizes.splitlines()[-1]
    await user.empty()


def test_the_demo_notebook_says_simulated_first() -> None:
    """Nobody who opens it can take it for hardware."""
    notebook = json.loads(NOTEBOOK.read_text(encoding="utf-8"))
    assert "SIMULATED" in notebook["cells"][0]["source"][0]
    assert notebook["metadata"]["kernelspec"]["name"] == "python3-mig-1g.5gb"


async def test_the_kernelspec_in_the_reference_works(user: Home) -> None:
    """A kernelspec of one's own asks for at least 20 GB and gets the smallest slice that has it."""
    directory = user.directory / "data" / "kernels" / "mine"
    directory.mkdir(parents=True)
    spec = block("docs/reference/configuration.md", "json", "mig-provisioner")
    (directory / "kernel.json").write_text(spec)
    cell = nbformat.v4.new_code_cell("import os; print(os.environ['JUPYTER_MIG_PROFILE'])")  # type: ignore[no-untyped-call]
    notebook = nbformat.v4.new_notebook(cells=[cell])  # type: ignore[no-untyped-call]
    nbformat.write(notebook, user.notebooks / "in.ipynb")  # type: ignore[no-untyped-call]
    await run(user, "papermill", "--kernel", "mine", "in.ipynb", "out.ipynb")
    assert outputs(user.notebooks / "out.ipynb") == ["3g.20gb\n"]


async def test_the_python_in_the_manual_runs(user: Home) -> None:
    """Any pynvml program sees the simulated node."""
    program = block("docs/explanation/simulation.md", "python", "pynvml")
    assert await run(user, sys.executable, "-c", program) == "NVIDIA A100-SXM4-40GB\n"


async def test_the_python_of_the_monitors_page_runs(user: Home) -> None:
    """On a slice: what it is, and how much memory it has."""
    program = block("docs/howto/monitor.md", "python", "current_slice")
    command = ("jupyter", "mig", "run", "--size", "1g.5gb", "--", sys.executable, "-c", program)
    assert re.search(r"^1g\.5gb \d+$", await run(user, *command), re.MULTILINE)


async def test_the_node_in_the_tutorial_can_be_used(user: Home) -> None:
    """The configuration passes the check, which says of it what the page says."""
    page, place = "docs/tutorial/littlest-jupyterhub.md", "/etc/jupyter/jupyter_mig_broker.json"
    file = user.directory / "broker.json"
    own = json.loads(block(page, "json", "MIGBroker"))
    # The page's may be an account here, and the Python of these tests is not for it to read.
    own["MIGBroker"]["user"] = "no-account-yet"
    file.write_text(json.dumps(own))
    said = await run(user, "jupyter-mig", "broker", "--check", "--config", str(file))
    said = said.replace("no-account-yet", "jupyter-mig")
    told = block(page, "console", "--check").partition("\n")[2]
    assert said.replace(str(file), place) == told


async def test_the_brokers_door_speaks_plain_http(user: Home) -> None:
    """The reference's curl command, written out: the path it names, on the socket shown."""
    socket = json.loads(await run(user, "jupyter", "mig", "status", "--json"))["socket"]
    url = urlsplit(block("docs/reference/doors.md", "sh", "curl").split()[-1])
    reader, writer = await asyncio.open_unix_connection(socket)
    writer.write(f"GET {url.path} HTTP/1.1\r\nHost: {url.netloc}\r\n".encode())
    writer.write(b"Connection: close\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(b"HTTP/1.1 200 ")
    assert json.loads(body) == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    """Relative links work where the pages are read: in the repository too, not only when built."""
    targets = re.findall(r"\]\((?!https?:|#)([^)#\s]+)", page.read_text(encoding="utf-8"))
    assert [target for target in targets if not (page.parent / target).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_into_pages_lead_to_headings(page: Path) -> None:
    """Sphinx names some headings in its own way; what is linked to has that name on GitHub, too."""
    links = re.findall(
        r"\]\((?!https?:)([^)#\s]*\.md)?#([^)\s]+)\)", page.read_text(encoding="utf-8")
    )
    places = [(page.parent / target if target else page, anchor) for target, anchor in links]
    assert [anchor for place, anchor in places if anchor not in anchors(place)] == []
