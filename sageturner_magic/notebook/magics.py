"""The magics: `%%sageturner_load`, `%%sageturner_predict`, `%sageturner` and `%%sageturner`.

Only IPython is imported here, and the parts of this package that need nothing else: what a verb
needs is imported when the verb is used, so that loading the extension takes milliseconds.
"""

from __future__ import annotations

import re
import time
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from IPython.core.interactiveshell import InteractiveShell
from IPython.core.magic import Magics, cell_magic, line_cell_magic, magics_class, no_var_expand

from sageturner_magic.errors import DeploymentCancelled, SageturnerError, UsageError
from sageturner_magic.notebook.session import Session

if TYPE_CHECKING:
    from sageturner_magic.config import Config

PROG = "%sageturner"


@magics_class
class SageturnerMagics(Magics):
    """From notebook cells to an endpoint."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.session = Session(shell)

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
        load(model_dir). Running it again replaces what was captured. Nothing may stand above
        the `%%sageturner_load` line, not even a comment.
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
    @line_cell_magic
    def sageturner(self, line: str, cell: str | None = None) -> Any:
        """Deploy, call and look after endpoints.

            %sageturner                   the verbs, a line each
            %sageturner VERB --help       what a verb takes
            %%sageturner deploy           with the YAML configuration as the cell's body
            %sageturner invoke NAME {"a": x}

        `$name` and `{name}` in a line stand for a variable of the notebook, except in the
        payload of `invoke`, which is Python.
        """
        from sageturner_magic.arguments import HelpShown, overview

        verb, _, rest = line.strip().partition(" ")
        if not verb or verb in ("-h", "--help", "help"):
            print(overview(PROG))
            return None
        try:
            return self._verb(verb, rest, cell)
        except HelpShown:
            return None
        except SageturnerError:
            raise
        except KeyboardInterrupt:
            raise DeploymentCancelled(f"`{PROG} {verb}` was stopped") from None
        except Exception as error:
            from sageturner_magic.deployment.run import unexpected

            raise unexpected(error) from error

    def _verb(self, verb: str, rest: str, cell: str | None) -> Any:
        from sageturner_magic.arguments import parse, parser, split, split_payload

        if verb == "invoke":
            words, payload = split_payload(rest, parser(verb, PROG).options())
            arguments = parse(verb, [self._expand(word) for word in words], PROG)
            return self._invoke(arguments, payload, cell)
        arguments = parse(verb, [self._expand(word) for word in split(rest)], PROG)
        if cell is not None and verb not in TAKES_CELL:
            raise UsageError(
                f"`%%sageturner {verb}` has no use for a cell's body",
                do=f"write `%sageturner {verb}` in a line of its own",
            )
        run: Callable[[Namespace, str | None], Any] = getattr(self, f"_{verb}")
        return run(arguments, cell)

    def _expand(self, word: str) -> str:
        def value(match: re.Match[str]) -> str:
            name = match[1] or match[2]
            if name not in self.session.namespace:
                raise UsageError(
                    f"`{match[0]}` names the variable `{name}`, which the notebook does not have",
                    do=f"define `{name}` first, or write the value itself",
                )
            return str(self.session.namespace[name])

        return re.sub(r"\$([A-Za-z_]\w*)|\{([A-Za-z_]\w*)\}", value, word)

    def _config(self, arguments: Namespace, cell: str | None) -> Config | str | None:
        path: str | None = arguments.config_path
        if cell is None:
            return path
        if path is not None:
            raise UsageError(
                "There are two configurations: the cell's body and --config-path",
                do="leave one of them out",
            )
        from sageturner_magic.config import Origin, parse_config

        origin = Origin.cell(self.session.number, first_line=2)
        return parse_config(cell, folder=Path.cwd(), origin=origin)

    @property
    def _shell(self) -> InteractiveShell:
        assert self.shell is not None
        return self.shell

    def _init(self, arguments: Namespace, cell: None) -> None:
        from sageturner_magic.deployment import verbs

        print(f"wrote {verbs.init(arguments.path)}")

    def _plan(self, arguments: Namespace, cell: str | None) -> Any:
        from sageturner_magic.deployment import verbs
        from sageturner_magic.notebook.html import plan_shown

        plan = verbs.plan(
            self._config(arguments, cell),
            endpoint_type=arguments.endpoint_type,
            container_mode=arguments.container_mode,
        )
        return plan_shown(plan)

    def _deploy(self, arguments: Namespace, cell: str | None) -> Any:
        from sageturner_magic.deployment import verbs
        from sageturner_magic.notebook.progress import show_blocking, show_in_background

        handle = verbs.start_deployment(
            self._config(arguments, cell),
            endpoint_type=arguments.endpoint_type,
            container_mode=arguments.container_mode,
            detach=arguments.detach,
        )
        if arguments.no_wait:
            show_in_background(self._shell, handle)
            return handle
        show_blocking(self._shell, handle)
        try:
            handle.result()
        except SageturnerError as error:
            # The details stand in the deployment's own output, right above.
            raise error.brief() from None
        return None

    def _status(self, arguments: Namespace, cell: None) -> Any:
        from sageturner_magic.deployment import verbs
        from sageturner_magic.notebook.html import endpoints_shown

        return endpoints_shown([verbs.status(arguments.name)], time.time())

    def _list(self, arguments: Namespace, cell: None) -> Any:
        from sageturner_magic.deployment import verbs
        from sageturner_magic.notebook.html import endpoints_shown

        return endpoints_shown(verbs.list_endpoints(), time.time())

    def _logs(self, arguments: Namespace, cell: None) -> None:
        from sageturner_magic.deployment import verbs

        if arguments.follow:
            lines = verbs.follow_logs(arguments.name)
        else:
            lines = verbs.logs(arguments.name, last=arguments.lines)
        for line in lines:
            print(line)

    def _invoke(self, arguments: Namespace, payload: str, cell: str | None) -> Any:
        from sageturner_magic.deployment import verbs
        from sageturner_magic.notebook.payload import evaluate

        given = [text for text in (payload, cell, arguments.file) if text]
        if len(given) != 1:
            raise UsageError(
                "There is no payload" if not given else "There is more than one payload",
                do='write one: `%sageturner invoke NAME {"key": value}`, the cell\'s body under'
                " `%%sageturner invoke NAME`, or `--file PATH`",
            )
        content_type: str | None = arguments.content_type
        value: object
        if arguments.file:
            value, content_type = verbs.read_payload(arguments.file, content_type)
        else:
            value = evaluate(given[0], self.session.namespace)
        return verbs.invoke(
            arguments.name,
            value,
            content_type=content_type,
            accept=arguments.accept,
            timeout_s=arguments.timeout,
        )

    def _delete(self, arguments: Namespace, cell: None) -> None:
        from sageturner_magic.deployment import verbs

        verbs.delete(arguments.name)
        print(f"{arguments.name} is deleted; nothing of it is left")

    def _export(self, arguments: Namespace, cell: str | None) -> None:
        from sageturner_magic.deployment import verbs

        for path in verbs.export(arguments.folder, self._config(arguments, cell)):
            print(path)

    def _code(self, arguments: Namespace, cell: str | None) -> Any:
        from sageturner_magic.deployment import verbs
        from sageturner_magic.notebook.html import code_shown

        config = self._config(arguments, cell)
        show = verbs.code_diff if arguments.diff else verbs.code
        return code_shown(show(config, name=arguments.name))


TAKES_CELL = ("plan", "deploy", "export", "code")


def _capture_name(line: str, role: str) -> str:
    words = line.split()
    if len(words) > 1:
        raise UsageError(
            f"`%%sageturner_{role}` takes one name, not {len(words)}",
            do=f"write `%%sageturner_{role} {words[0]}`",
        )
    return words[0] if words else ""
