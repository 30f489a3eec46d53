"""The magics: `%%sageturner_load`, `%%sageturner_predict`, `%sageturner` and `%%sageturner`.

Only IPython is imported here, and the parts of this package that need nothing else: what a verb
needs is imported when the verb is used, so that loading the extension takes milliseconds.
"""

from __future__ import annotations

import json
import re
import time
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import (
    Magics,
    cell_magic,
    line_cell_magic,
    magics_class,
    needs_local_scope,
    no_var_expand,
)

from sageturner_magic.errors import DeploymentCancelled, SageturnerError, UsageError
from sageturner_magic.notebook.asking import ask, offer
from sageturner_magic.notebook.offered_lease import with_lease
from sageturner_magic.notebook.session import NotebookSession
from sageturner_magic.notebook.settings import Settings
from sageturner_magic.text import clip, visible

if TYPE_CHECKING:
    from sageturner_magic.deployment import DeploymentHandle, TrialHandle
    from sageturner_magic.endpoints import Listing, PredictionStream
    from sageturner_magic.endpoints.measured import LoadRun
    from sageturner_magic.notebook.display import Lines
    from sageturner_magic.verbs import PlannedRemoval, Verb

PROG = "%sageturner"


@magics_class
class SageturnerMagics(Magics, Settings):
    """From notebook cells to an endpoint."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self._began = 0.0
        self.session = NotebookSession(shell, self, self._show_form)

    @no_var_expand
    @cell_magic
    def sageturner_load(self, line: str, cell: str) -> None:
        """Capture the cell that defines load().

            %%sageturner_load [NAME]
            import joblib
            def load(model_dir):
                return joblib.load(f"{model_dir}/model.joblib")

        The cell runs in the notebook as any other; it is recorded as the code that loads the
        model of endpoint NAME (or of the unnamed model). It must define load() or
        load(model_dir). Running it again replaces what was captured. Only comments may stand
        above the `%%sageturner_load` line.
        """
        __tracebackhide__ = True
        print(self.session.capture("load", _capture_name(line, "load"), cell))

    @no_var_expand
    @cell_magic
    def sageturner_predict(self, line: str, cell: str) -> None:
        """Capture the cell that defines predict().

            %%sageturner_predict [NAME]
            def predict(model, request):
                return {"label": int(model.predict([request["features"]])[0])}

        The cell runs in the notebook as any other; it is recorded as the code that answers
        requests to endpoint NAME (or to the unnamed model). It must define
        predict(model, request) or predict(model, request, context); `request` is the decoded
        body. It may also define predict_batch(model, requests) and example_request().
        """
        __tracebackhide__ = True
        print(self.session.capture("predict", _capture_name(line, "predict"), cell))

    @no_var_expand
    @needs_local_scope
    @line_cell_magic
    def sageturner(
        self, line: str, cell: str | None = None, local_ns: Mapping[str, object] | None = None
    ) -> Any:
        """Deploy, call and look after endpoints.

            %sageturner                   the verbs, a line each
            %sageturner VERB --help       what a verb takes
            %%sageturner deploy           with the YAML configuration as the cell's body
            %sageturner invoke NAME {"a": x}

        `$name` and `{name}` in a line stand for a variable of the notebook, except in the
        payload of `invoke`, which is Python. In a function they are its variables first.
        """
        self._began = time.monotonic()
        from sageturner_magic.verbs import HelpShown, overview

        verb, _, rest = line.strip().partition(" ")
        if not verb or verb in ("-h", "--help", "help"):
            print(overview(PROG))
            return None
        try:
            return self._verb(verb, rest, cell, self._names(local_ns))
        except HelpShown:
            return None
        except SageturnerError:
            raise
        except KeyboardInterrupt:
            raise DeploymentCancelled(f"`{PROG} {verb}` was stopped") from None
        except Exception as error:
            from sageturner_magic.deployment import unexpected

            raise unexpected(error) from error

    def _names(self, local: Mapping[str, object] | None) -> Mapping[str, object]:
        """The variables where the magic stands: a function's own, and then the notebook's."""
        return ChainMap(dict(local or {}), self.session.namespace)

    def _verb(self, name: str, rest: str, cell: str | None, names: Mapping[str, object]) -> Any:
        from sageturner_magic.rendering import registered
        from sageturner_magic.verbs import (
            bound,
            by_flag,
            is_name,
            parse,
            split,
            split_payload,
            verb_of,
        )

        verb, payload = verb_of(name), ""
        if verb.takes_payload:
            may_be_name = is_name if name == "try" else bool
            words, payload = split_payload(rest, by_flag(verb.arguments), may_be_name)
        else:
            words = split(rest)
        values = parse(name, [_expanded(word, names) for word in words], PROG, self.defaults())
        given: dict[str, Any] = {}
        if verb.takes_payload:
            given |= self._payload(verb, values, payload, cell, names)
        given |= self._expressions(values, names)
        if cell is not None:
            given |= self._configuration(verb, values, cell)
        values.lines = self._lines()
        values.line = f"{PROG} {name} {rest}".rstrip()
        begin = bound(verb, values, listener=values.lines, **given)
        begin = with_lease(self._shell, begin) if verb.name == "deploy" else begin
        if "listener" in begin.keywords:
            # Before the work begins: an interrupt while this is imported would not reach it.
            from sageturner_magic.notebook.display import show_blocking  # noqa: F401
        work = begin()
        follow = registered(FOLLOW, work)
        shown = follow(self, work, values) if follow else self._shown(work, values)
        if given.get("payload") is not None:
            self.session.remember_request(values.name or "", given["payload"])
        return shown

    def _show_form(self, **asked: Any) -> None:
        from sageturner_magic.notebook.form import show_form

        show_form(self._shell, self.session, **asked)

    def _configuration(self, verb: Verb, values: SimpleNamespace, cell: str) -> dict[str, Any]:
        """The configuration in a cell's body, for verbs that take one."""
        if not verb.cell:
            raise UsageError(
                f"`%%sageturner {verb.name}` has no use for a cell's body",
                do=f"write `%sageturner {verb.name}` in a line of its own",
            )
        named = getattr(values, "name", None)
        if verb.cell == "payload" or (named and not cell.strip()):
            return {}
        if values.config is not None:
            raise UsageError(
                "There are two configurations: the cell's body and --config-path",
                do="leave one of them out",
            )
        if verb.name == "form":
            return {"text": cell}
        from sageturner_magic.config import Origin, parse_config

        origin = Origin.cell(self.session.number, first_line=2)
        config = parse_config(cell, folder=Path.cwd(), origin=origin, name=named)
        self.session.remember(config)
        return {"config": config}

    def _expressions(self, values: SimpleNamespace, names: Mapping[str, object]) -> dict[str, Any]:
        """The objects of the notebook that a line names."""
        from sageturner_magic.notebook.payload import expressions

        texts = {flag: getattr(values, flag, None) for flag in ("model", "example")}
        return {**expressions(texts, names, self.session.number)}

    def _with_example(self, names: Mapping[str, object], name: str) -> Mapping[str, object]:
        """`names` with the example_request() that is generated for endpoint `name`."""
        model = self.session.notebook.model_for(name)
        if model is None or model.example is None:
            return names
        return {**names, "example_request": lambda: model.example}

    def _payload(
        self,
        verb: Verb,
        values: SimpleNamespace,
        payload: str,
        cell: str | None,
        names: Mapping[str, object],
    ) -> dict[str, Any]:
        """The payload, an expression's value or a file, and its media type as far as given."""
        from sageturner_magic.endpoints import read_payload
        from sageturner_magic.notebook.payload import evaluate

        del values.payload
        body = (cell or "") if verb.cell == "payload" else ""
        if sum(map(bool, (payload, body, values.file))) > 1:
            raise UsageError("There is more than one payload", do=WRITE_PAYLOAD)
        if values.file:
            data, content_type = read_payload(values.file, values.content_type)
            return {"payload": data, "content_type": content_type}
        if payload or body:
            return {"payload": evaluate(payload or body, self._with_example(names, values.name))}
        if verb.name == "invoke":
            raise UsageError("There is no payload", do=WRITE_PAYLOAD)
        return {}

    @property
    def _shell(self) -> InteractiveShell:
        assert self.shell is not None
        return self.shell

    def _lines(self) -> Lines | None:
        """What prints the events, where lines of text are wanted."""
        from sageturner_magic.notebook.display import Lines

        return Lines() if self.progress_style == "text" else None

    def _shown(self, result: Any, values: SimpleNamespace) -> Any:
        """Print a result, or return what the cell shows."""
        from sageturner_magic.notebook.display import show
        from sageturner_magic.rendering import json_of, text_of

        if isinstance(result, Iterator):
            return self._logs(result, values)
        if result is None:
            return None
        if values.json:
            print(json_of(result))
            return None
        shown = show(result)
        if shown is None and (text := text_of(result)):
            print(text, end="" if text.endswith("\n") else "\n")
        return shown

    def _logs(self, found: Iterator[str], values: SimpleNamespace) -> None:
        from sageturner_magic.rendering import json_of

        lines: list[str] | Iterator[str] = found
        if not values.runs:
            lines = [*found]
            if values.json:
                print(json_of(lines))
                return
            if values.last is None and len(lines) > LOG_LINES:
                print(f"(the last {LOG_LINES:,} of {len(lines):,} lines; `-n N` shows more)")
                lines = lines[-LOG_LINES:]
        for line in lines:
            print(json.dumps(line, ensure_ascii=False) if values.json else visible(clip(line)))

    # --- work that has begun --------------------------------------------------------------

    def _deployment(self, handle: DeploymentHandle, values: SimpleNamespace) -> Any:
        from sageturner_magic.notebook.display import show_blocking, show_in_background, told

        handle.progress.begin = self._began
        self.session.endpoints.add(handle.progress.name)
        lines = values.lines
        if getattr(values, "no_wait", False):
            handle.leave()
            if lines is None:
                show_in_background(self._shell, handle, self.session.request)
            return handle
        if lines is None:
            show_blocking(self._shell, handle, self.session.request)
        else:
            handle.watch(lines.draw)
        try:
            deployment = handle.result()
        except SageturnerError as error:
            raise (told(self._shell, error) if lines is None else error) from None
        if lines is not None or values.json:
            self._shown(deployment, values)
        return None

    def _trial(self, handle: TrialHandle, values: SimpleNamespace) -> Any:
        from sageturner_magic.notebook.display import show_trial, told

        if values.lines is None:
            show_trial(self._shell, handle)
        else:
            handle.watch(values.lines.draw)
        try:
            tried = handle.result()
        except SageturnerError as error:
            raise (told(self._shell, error) if values.lines is None else error) from None
        return self._shown(tried, values)

    def _load_test(self, load: LoadRun, values: SimpleNamespace) -> Any:
        from sageturner_magic.notebook.display import show_load_test

        return self._shown(show_load_test(self._shell, load), values)

    def _stream(self, stream: PredictionStream, values: SimpleNamespace) -> Any:
        from sageturner_magic.notebook.display import show_stream

        return show_stream(self._shell, self.session, stream)

    def _listing(self, listing: Listing, values: SimpleNamespace) -> Any:
        self.session.endpoints.update(each.name for each in listing.endpoints)
        return self._shown(listing, values)

    def _remove(self, removal: PlannedRemoval, values: SimpleNamespace) -> None:
        if removal.lines and removal.asks and not values.yes:
            print("This will be removed:", *(f"  {line}" for line in removal.lines), sep="\n")
            agreed = ask(self._shell, "Remove it?")
            if agreed is None:
                self._offer(removal, values)
                raise UsageError(
                    "Nothing was removed",
                    why="nobody can be asked here",
                    do=f"run `{values.line} --yes`",
                )
            if not agreed:
                print("Nothing was removed.")
                return
        removal.run((lambda line: None) if values.json else print)
        self._shown(removal, values)

    def _offer(self, removal: PlannedRemoval, values: SimpleNamespace) -> None:
        def remove() -> None:
            removal.run(print)
            self._shown(removal, values)

        offer(self._shell, "Remove it", f"To remove it, run `{values.line} --yes`.", remove)


FOLLOW: dict[str, Callable[[SageturnerMagics, Any, SimpleNamespace], Any]] = {
    "sageturner_magic.deployment.run:DeploymentHandle": SageturnerMagics._deployment,
    "sageturner_magic.deployment.trial_handle:TrialHandle": SageturnerMagics._trial,
    "sageturner_magic.endpoints.measured.load_run:LoadRun": SageturnerMagics._load_test,
    "sageturner_magic.endpoints.prediction:PredictionStream": SageturnerMagics._stream,
    "sageturner_magic.endpoints.endpoint:Listing": SageturnerMagics._listing,
    "sageturner_magic.verbs.account.removing:PlannedRemoval": SageturnerMagics._remove,
}
"""Path of a type -> what a notebook does with it until it has ended, and then shows."""

LOG_LINES = 1000
"""What `logs` leaves in the notebook where it was not told how many lines."""

WRITE_PAYLOAD = (
    'write one: `%sageturner invoke NAME {"key": value}`, the cell\'s body under'
    " `%%sageturner invoke NAME`, or `--file PATH`"
)


def _capture_name(line: str, role: str) -> str:
    words = line.split()
    if len(words) > 1:
        raise UsageError(
            f"`%%sageturner_{role}` takes one name, not {len(words)}",
            do=f"write `%%sageturner_{role} {words[0]}`",
        )
    return words[0] if words else ""


def _expanded(word: str, names: Mapping[str, object]) -> str:
    def value(match: re.Match[str]) -> str:
        name = match[1] or match[2]
        if name not in names:
            raise UsageError(
                f"`{match[0]}` names the variable `{name}`, which the notebook does not have",
                do=f"define `{name}` first, or write the value itself",
            )
        return str(names[name])

    return re.sub(r"\$([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\}", value, word)
