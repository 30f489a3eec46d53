"""Record the cells of this notebook, and the code that was captured from them."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Literal, NamedTuple

from IPython.core.interactiveshell import ExecutionInfo, ExecutionResult, InteractiveShell

from sageturner_magic.notebook.asking import ask
from sageturner_magic.notebook.settings import Settings

if TYPE_CHECKING:
    from sageturner_magic.capture import Notebook
    from sageturner_magic.config import Config
    from sageturner_magic.notebook.remembered import Remembered


class _Ran(NamedTuple):
    """A cell that ran; `line` is that of `source` on which it failed, where that is known."""

    number: int
    source: str
    cell_id: str
    failed: bool
    line: int | None


class NotebookSession:
    """Feeds what happens in a shell to the capture room.

    Attributes:
        show_form: Displays what the public function `form` asks for.
        endpoints: Names of the endpoints that this notebook has deployed or listed.
    """

    def __init__(
        self, shell: InteractiveShell, settings: Settings, show_form: Callable[..., None]
    ) -> None:
        self._shell = shell
        self.show_form = show_form
        self._settings = settings
        self.endpoints: set[str] = set()
        self._cell_id = ""
        self._failed_inside = False
        self._first = self.number
        self._environment = dict(os.environ)
        self._ran: list[_Ran] = []
        self._configurations: dict[str, Config] = {}
        self._offered: set[str] = set()
        self._next_cells: list[str] = []
        self._requests: dict[str, str] = {}

    @cached_property
    def notebook(self) -> Notebook:
        """What the capture room knows of this notebook.

        It is loaded when it is first asked for: most cells of most notebooks never need it.
        """
        from sageturner_magic.capture import Cell, Notebook

        notebook = Notebook(self.namespace)
        notebook.recover([Cell(number, source) for number, source in self._before()])
        for ran in self._ran:
            _tell(notebook, ran)
        self._ran.clear()
        return notebook

    def _before(self) -> list[tuple[int, str]]:
        """Number and source of the cells that ran before the extension was loaded."""
        history = self._shell.history_manager
        sources = history.input_hist_raw[: self._first] if history else []
        return [(number, source) for number, source in enumerate(sources) if source.strip()]

    @property
    def namespace(self) -> dict[str, object]:
        """The notebook's variables."""
        namespace: dict[str, object] = self._shell.user_ns
        return namespace

    @cached_property
    def environment(self) -> Mapping[str, str]:
        """The environment variables that the kernel was started with."""
        from sageturner_magic.capture import environment_at_start

        return environment_at_start(self._environment)

    @property
    def profile(self) -> str | None:
        """The AWS profile where a call names none."""
        return self._settings.profile or None

    @property
    def region(self) -> str | None:
        """The AWS region where a call names none."""
        return self._settings.region or None

    @property
    def number(self) -> int:
        """The number of the cell that runs, n of `In[n]`."""
        # Newer IPythons count up before they run a cell, older ones after; the list of inputs
        # has the cell in both.
        count = int(self._shell.execution_count)
        history = self._shell.history_manager
        last = len(history.input_hist_parsed) - 1 if history else count
        return last if last in (count, count - 1) else count

    def configuration(self, name: str | None) -> Config | None:
        """The last configuration of that name in this session; for None the only one there is.

        One that was a file's is read again.
        """
        from sageturner_magic.config import read_config

        if name is None and len(self._configurations) == 1:
            (name,) = self._configurations
        config = self._configurations.get(name or "")
        file = config.places.file if config else None
        return read_config(file) if file else config

    def earlier_configuration(self, name: str | None) -> Config | None:
        """The last configuration of an earlier session, if the user agrees to use it."""
        kept = {key: each for key, each in self._remembered.read().items() if each.is_told}
        if name is None and len(kept) == 1:
            (name,) = kept
        found = kept.get(name or "")
        if name is None or found is None or name in self._offered:
            return None
        self._offered.add(name)
        print(f"The last configuration of `{name}`, of {found.origin}:", found.text, sep="\n")
        agreed = ask(self._shell, "Use it?")
        if agreed is None:
            print(
                "It is not used, as nobody can be asked here. Paste it below `%%sageturner deploy`"
                " to use it."
            )
        if not agreed:
            return None
        self._configurations[name] = found.config()
        return self._configurations[name]

    def remember(self, config: Config) -> None:
        """Make it the last configuration of its name, in this session and the next."""
        self._configurations[config.name] = config
        if config.places.file is None:
            self._remembered.write(config)

    @cached_property
    def _remembered(self) -> Remembered:
        from sageturner_magic.notebook.remembered import Remembered, notebook_file

        return Remembered(notebook_file(self.namespace, self._environment))

    def remember_request(self, name: str, payload: object) -> None:
        """Remember the last request that worked, to be copied; `name` may be empty for `try`."""
        from sageturner_magic.endpoints import plain

        with suppress(TypeError, ValueError):
            self._requests[name] = json.dumps(payload, ensure_ascii=False, default=plain)

    def request(self, name: str) -> str:
        """The last request to an endpoint as JSON; empty where there was none."""
        return self._requests.get(name, self._requests.get("", ""))

    def begin(self, info: ExecutionInfo) -> None:
        """Remember which cell runs (the shell calls this before each cell)."""
        # A cell that runs inside another, as below `%%capture`, has no place in the history.
        if info.store_history:
            self._cell_id = info.cell_id or ""
            self._failed_inside = False

    def record(self, result: ExecutionResult) -> None:
        """Remember a cell that ran (the shell calls this after each cell)."""
        info = result.info
        if info is None or not info.store_history:
            # It ran inside a cell, which ends well nevertheless.
            self._failed_inside |= not result.success
            return
        source = info.raw_cell
        if not source or result.execution_count is None:
            return
        failed, line = self._failed_inside or not result.success, None
        if failed:
            from sageturner_magic.capture import failing_line

            line = failing_line(source, result.error_in_exec, self.namespace)
        ran = _Ran(result.execution_count, source, self._cell_id, failed, line)
        if "notebook" in self.__dict__:
            _tell(self.notebook, ran)
            for endpoint, name in self.notebook.watched.changed(source, self.namespace):
                print(
                    f"endpoint `{endpoint}` still serves the former `{name}`: deploy it again to"
                    " serve this one"
                )
        else:
            self._ran.append(ran)

    def capture(self, role: Literal["load", "predict"], name: str, body: str) -> str:
        """Check the body of a cell, run it in the notebook and remember it; says what was done.

        Raises:
            CaptureError: The cell cannot be captured; it was not run.
            Exception: What the cell's own code raises.
        """
        __tracebackhide__ = True
        from sageturner_magic.capture import Cell, check_name, failing_line

        shell = self._shell
        cell = Cell(self.number, body, first_line=2, cell_id=self._cell_id)
        if name:
            check_name(name)
        self.notebook.check(role, cell)
        # The magic's own line is line 1 of the cell that a person sees.
        source = "\n" + body
        file = shell.compile.cache(source, cell.number, raw_code=source)
        code = shell.compile(source, file, "exec")
        try:
            exec(code, shell.user_ns)
        except BaseException as error:
            line = failing_line(body, error, self.namespace)
            self.notebook.record_failed(cell, line)
            raise
        self.notebook.capture(role, name, cell)
        if self._next_cells and f"\nname: {name}\n" in f"{self._next_cells[-1]}\n":
            self.offer_cells(self._next_cells)
        named = f"`{name}`" if name else "the unnamed model"
        lines = [f"{role}() of {named} is captured from In[{cell.number}]"]
        lines += [
            f"endpoint `{endpoint}` runs the code from In[{number}] until you deploy it again"
            for endpoint, number in self.notebook.captures.outdated(role, name).items()
        ]
        return "\n".join(lines)

    def offer_cells(self, sources: Sequence[str]) -> None:
        """Put cells below the one that runs: JupyterLab takes one at a time.

        Each that captures brings the next.
        """
        first, *self._next_cells = sources
        self._shell.set_next_input(first)

    def ended(self, endpoint: str) -> None:
        """Forget an endpoint that was deleted."""
        self.endpoints.discard(endpoint)
        if "notebook" in self.__dict__:
            self.notebook.captures.ended(endpoint)
            self.notebook.watched.ended(endpoint)


def _tell(notebook: Notebook, ran: _Ran) -> None:
    from sageturner_magic.capture import Cell

    cell = Cell(ran.number, ran.source, cell_id=ran.cell_id)
    if ran.failed:
        notebook.record_failed(cell, ran.line)
    else:
        notebook.record(cell)
