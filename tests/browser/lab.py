"""JupyterLab or Notebook 7 on a free port with a home of its own, driven in Chromium."""

import contextlib
import json
import os
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import nbformat
from playwright.sync_api import Page, sync_playwright

from tests.browser.kernels import NEWEST, kernel_command
from tests.parts.ports import free_port
from tests.parts.runners import PROGRAM

CHROMIUM = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
]
NOTEBOOK = "window.jupyterapp.shell.currentWidget.content"
KERNEL = "window.jupyterapp.shell.currentWidget.sessionContext.session.kernel"
START_SECONDS = 180
CELL_SECONDS = 240


App = Literal["lab", "notebook"]

EXPOSE = {
    "lab": "--LabApp.expose_app_in_browser=True",
    "notebook": "--JupyterNotebookApp.expose_app_in_browser=True",
}
PAGE = {"lab": "lab/tree/{}?reset", "notebook": "notebooks/{}"}


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab or Notebook 7.

    Attributes:
        url: Its address.
        root: The folder that it shows.
        state: Where its kernels keep their endpoints.
        app: Which of the two.
    """

    url: str
    root: Path
    state: Path
    app: App = "lab"


@contextlib.contextmanager
def jupyter(
    root: Path,
    home: Path,
    *,
    app: App = "lab",
    kernel: Sequence[str] = (),
    options: Sequence[str] = (),
) -> Iterator[Lab]:
    """A server over the notebooks in `root`, untouched by the user's own settings.

    Args:
        root: The folder that it shows.
        home: Where everything else goes.
        app: JupyterLab or Notebook 7.
        kernel: The command that starts a kernel, but for its connection file; this interpreter's
            by default.
        options: Further ones of the server's command line.
    """
    port = free_port()
    environment = os.environ | {
        "HOME": str(home),
        "JUPYTER_CONFIG_DIR": str(home / "config"),
        "JUPYTER_DATA_DIR": str(home / "data"),
        "JUPYTER_RUNTIME_DIR": str(home / "runtime"),
        "IPYTHONDIR": str(home / "ipython"),
        "SAGETURNER_STATE_DIR": str(home / "state"),
        # The kernel's own environment is not where the one that is written here stands.
        "JUPYTER_PREFER_ENV_PATH": "0",
    }
    add_kernel(home, "python3", kernel or kernel_command(NEWEST))
    settings = home / "config/lab/user-settings/@jupyterlab/apputils-extension"
    settings.mkdir(parents=True)
    (settings / "notification.jupyterlab-settings").write_text('{"fetchNews": "false"}')
    # No Node.js looks at each start whether JupyterLab should be built anew.
    pages = home / "config/labconfig"
    pages.mkdir()
    (pages / "page_config.json").write_text('{"buildCheck": false}')
    with (home / "server.log").open("wb") as log:
        server = subprocess.Popen(
            [
                *(*PROGRAM, f"jupyter-{app}", "--no-browser", "--allow-root"),
                *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
                *("--IdentityProvider.token=", "--ServerApp.password="),
                *("--ServerApp.disable_check_xsrf=True", f"--ServerApp.root_dir={root}"),
                *(EXPOSE[app], *options),
            ],
            env=environment,
            stdout=log,
            stderr=log,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        deadline = time.monotonic() + START_SECONDS
        while True:
            with contextlib.suppress(OSError), urllib.request.urlopen(f"{url}/api", timeout=1):
                break
            assert server.poll() is None, (home / "server.log").read_text()
            assert time.monotonic() < deadline, "Jupyter did not start"
            time.sleep(0.1)
        yield Lab(url, root, home / "state", app)
    finally:
        server.terminate()
        try:
            server.wait(30)
        except subprocess.TimeoutExpired:
            # Its kernels have ended; JupyterLab may wait for what it asks the network.
            server.kill()
            server.wait()


def add_kernel(home: Path, name: str, command: Sequence[str]) -> None:
    """Make notebooks find a kernel; `command` starts it, but for its connection file."""
    spec = {
        "argv": [*command, "-f", "{connection_file}"],
        "display_name": name,
        "language": "python",
    }
    kernels = home / "data/kernels" / name
    kernels.mkdir(parents=True)
    (kernels / "kernel.json").write_text(json.dumps(spec))


@contextlib.contextmanager
def browser_page(width: int = 1100, height: int = 900) -> Iterator[Page]:
    """A page of a fresh Chromium."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=CHROMIUM)
        try:
            yield browser.new_page(viewport={"width": width, "height": height})
        finally:
            browser.close()


def open_notebook(page: Page, lab: Lab, name: str, *, kernel: bool) -> None:
    """Open a notebook alone on the page; waits for its kernel if one is wanted."""
    page.goto(f"{lab.url}/{PAGE[lab.app].format(name)}")
    page.wait_for_selector(".jp-Notebook .jp-CodeCell", timeout=START_SECONDS * 1000)
    if lab.app == "lab":
        page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')")
    if kernel:
        page.wait_for_function(
            """() => {
                const context = window.jupyterapp.shell.currentWidget?.sessionContext;
                return context?.isReady && context.session?.kernel?.status === 'idle';
            }""",
            timeout=START_SECONDS * 1000,
        )


def write(path: Path, *sources: str, kernel: str = "python3") -> None:
    """Write a notebook of these cells."""
    cells = [nbformat.v4.new_code_cell(source) for source in sources]
    notebook = nbformat.v4.new_notebook(cells=cells)
    notebook.metadata["kernelspec"] = {"name": kernel, "display_name": kernel}
    nbformat.write(notebook, path)


def start_all(page: Page) -> None:
    """Begin to run every cell, without waiting."""
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")


def run_all(page: Page, seconds: float = CELL_SECONDS) -> None:
    """Run every cell, wait until all have ended, and save."""
    start_all(page)
    page.wait_for_function(
        """() => {
            const notebook = window.jupyterapp.shell.currentWidget.content;
            const cells = notebook.widgets.filter(cell => cell.model.type === 'code');
            return cells.every(cell => cell.model.executionCount !== null)
                && window.jupyterapp.shell.currentWidget.sessionContext
                    .session.kernel.status === 'idle';
        }""",
        timeout=seconds * 1000,
    )
    save(page)


def run_each(page: Page, seconds: float = CELL_SECONDS) -> None:
    """Run the cells one after another, each when the one before has ended, and save."""
    count = page.evaluate(f"{NOTEBOOK}.widgets.length")
    for place in range(count):
        kind = page.evaluate(f"{NOTEBOOK}.widgets[{place}].model.type")
        page.evaluate(f"{NOTEBOOK}.activeCellIndex = {place}")
        if kind == "code":
            run_active(page, seconds)
    save(page)


def run_active(page: Page, seconds: float = CELL_SECONDS) -> None:
    """Run the active cell and wait until it has ended well."""
    page.evaluate(f"{NOTEBOOK}.activeCell.model.clearExecution()")
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-cell'); }")
    page.wait_for_function(
        f"""() => {NOTEBOOK}.activeCell.model.executionCount !== null
            && {KERNEL}.status === 'idle'""",
        timeout=seconds * 1000,
    )
    outputs = page.evaluate(f"{NOTEBOOK}.activeCell.model.outputs.toJSON()")
    errors = [output for output in outputs if output["output_type"] == "error"]
    assert not errors, errors


def save(page: Page) -> None:
    """Save the notebook and wait until it is."""
    page.evaluate("window.jupyterapp.commands.execute('docmanager:save')")
    page.wait_for_function("() => !window.jupyterapp.shell.currentWidget.context.model.dirty")
