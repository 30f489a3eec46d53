"""The magics: `%%sageturner_load`, `%%sageturner_predict`, `%sageturner` and `%%sageturner`.

Only IPython is imported here, and the parts of this package that need nothing else: what a verb
needs is imported when the verb is used, so that loading the extension takes milliseconds.
"""

from __future__ import annotations

import json
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
from sageturner_magic.notebook.settings import Settings
from sageturner_magic.text import clip, visible

if TYPE_CHECKING:
    from sageturner_magic.config import Config
    from sageturner_magic.deployment.request import AwsOptions
    from sageturner_magic.deployment.run import DeploymentHandle
    from sageturner_magic.notebook.lines import Lines
    from sageturner_magic.values import Request

PROG = "%sageturner"


@magics_class
class SageturnerMagics(Magics, Settings):
    """From notebook cells to an endpoint."""

    def __init__(self, shell: InteractiveShell) -> None:
        super().__init__(shell)
        self.session = Session(shell, self)

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
        from sageturner_magic.verbs.arguments import HelpShown, overview

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
        from sageturner_magic.verbs.arguments import (
            TAKES_CELL,
            is_name,
            parse,
            parser,
            split,
            split_payload,
        )

        if verb in TAKES_PAYLOAD:
            options = parser(verb, PROG).options()
            words, payload = split_payload(rest, options, is_name if verb == "try" else bool)
            arguments = parse(verb, [self._expand(word) for word in words], PROG, self.defaults())
            ask: Callable[[Namespace, str, str | None], Any] = getattr(self, _method(verb))
            return ask(arguments, payload, cell)
        words = [self._expand(word) for word in split(rest)]
        arguments = parse(verb, words, PROG, self.defaults())
        if cell is not None and verb not in TAKES_CELL:
            raise UsageError(
                f"`%%sageturner {verb}` has no use for a cell's body",
                do=f"write `%sageturner {verb}` in a line of its own",
            )
        run: Callable[[Namespace, str | None], Any] = getattr(self, _method(verb))
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
        config = parse_config(cell, folder=Path.cwd(), origin=origin)
        self.session.configurations[config.name] = config
        return config

    @property
    def _shell(self) -> InteractiveShell:
        assert self.shell is not None
        return self.shell

    def _init(self, arguments: Namespace, cell: None) -> None:
        from sageturner_magic.deployment import verbs

        print(f"wrote {verbs.init(arguments.path)}")

    def _form(self, arguments: Namespace, cell: str | None) -> None:
        from sageturner_magic.notebook.forms import show_form

        show_form(self._shell, self.session, arguments, cell)

    def _plan(self, arguments: Namespace, cell: str | None) -> Any:
        from sageturner_magic.deployment import verbs
        from sageturner_magic.notebook.html import plan_shown
        from sageturner_magic.rendering import plans

        plan = verbs.plan(
            self._config(arguments, cell),
            endpoint_type=arguments.endpoint_type,
            container_mode=arguments.container_mode,
            verify=arguments.verify,
            aws=_aws(arguments),
        )
        if arguments.dockerfile:
            print(plans.plan_dockerfile(plan), end="")
            return None
        return plan_shown(plan)

    def _deploy(self, arguments: Namespace, cell: str | None) -> Any:
        from sageturner_magic.deployment import verbs
        from sageturner_magic.notebook.progress import show_in_background

        lines = self._lines()
        handle = verbs.start_deployment(
            self._config(arguments, cell),
            endpoint_type=arguments.endpoint_type,
            container_mode=arguments.container_mode,
            detach=arguments.detach,
            smoke_test=not arguments.no_smoke_test,
            aws=_aws(arguments),
            listener=lines,
        )
        self.session.endpoints.add(handle.progress.name)
        if arguments.no_wait:
            if lines is None:
                show_in_background(self._shell, handle)
            return handle
        self._show(handle, lines)
        return None

    def _lines(self) -> Lines | None:
        """What prints the events, where lines of text are wanted."""
        from sageturner_magic.notebook.lines import Lines

        return Lines() if self.progress_style == "text" else None

    def _show(self, handle: DeploymentHandle, lines: Lines | None) -> None:
        from sageturner_magic.notebook.progress import show_blocking
        from sageturner_magic.rendering import deployments

        if lines is None:
            show_blocking(self._shell, handle)
        else:
            handle.watch(lines.draw)
        try:
            deployment = handle.result()
        except SageturnerError as error:
            # In a widget the details stand in the deployment's own output, right above.
            raise (error.brief() if lines is None else error) from None
        if lines is not None:
            print(deployments.outcome(deployment))

    def _status(self, arguments: Namespace, cell: None) -> Any:
        from sageturner_magic.deployment.dashboard import dashboard
        from sageturner_magic.notebook.html import dashboard_shown

        shown = dashboard(arguments.name, hours=arguments.hours, aws=_aws(arguments))
        return dashboard_shown(shown)

    def _list(self, arguments: Namespace, cell: None) -> Any:
        from sageturner_magic.deployment.endpoint import endpoints
        from sageturner_magic.notebook.html import endpoints_shown

        found, notes = endpoints(_aws(arguments))
        self.session.endpoints.update(each.name for each in found)
        return endpoints_shown(found, time.time(), notes)

    def _logs(self, arguments: Namespace, cell: None) -> None:
        from sageturner_magic.deployment import asking

        def show(line: str) -> None:
            print(visible(clip(line)))

        aws = _aws(arguments)
        if arguments.follow:
            for line in asking.follow_logs(arguments.name, aws=aws):
                show(line)
            return
        lines = list(asking.logs(arguments.name, last=arguments.lines, aws=aws))
        if arguments.lines is None and len(lines) > LOG_LINES:
            print(f"(the last {LOG_LINES:,} of {len(lines):,} lines; `-n N` shows more)")
            lines = lines[-LOG_LINES:]
        for line in lines:
            show(line)

    def _invoke(self, arguments: Namespace, payload: str, cell: str | None) -> Any:
        from sageturner_magic.deployment.endpoint import Endpoint

        request = self._request(arguments, payload, cell, _no_payload)
        endpoint = Endpoint.at(arguments.name, _aws(arguments))
        if not arguments.stream:
            return endpoint.send(request)
        from sageturner_magic.notebook.stream import show_stream

        return show_stream(self._shell, self.session, endpoint.send_stream(request))

    def _try(self, arguments: Namespace, payload: str, cell: str | None) -> Any:
        from sageturner_magic.deployment import verbs
        from sageturner_magic.notebook.predictions import tried_shown
        from sageturner_magic.notebook.progress import show_trial
        from sageturner_magic.targets.payload import encode

        given = payload or arguments.file
        sample = encode(*self._payload(arguments, payload)) if given else None
        config = self._config(arguments, cell) or self.session.configuration(arguments.name)
        lines = self._lines()
        handle = verbs.start_trial(sample, config, name=arguments.name, listener=lines)
        if lines is None:
            show_trial(self._shell, handle)
        else:
            handle.watch(lines.draw)
        return tried_shown(handle.result())

    def _load_test(self, arguments: Namespace, payload: str, cell: str | None) -> Any:
        from sageturner_magic.deployment.endpoint import Endpoint
        from sageturner_magic.deployment.load_test import start_load_test
        from sageturner_magic.notebook.load import show_load_test

        endpoint = Endpoint.at(arguments.name, _aws(arguments))
        run = start_load_test(
            endpoint,
            self._request(arguments, payload, cell, endpoint.example_payload),
            requests=arguments.requests,
            concurrency=arguments.concurrency,
        )
        return show_load_test(self._shell, run)

    def _request(
        self,
        arguments: Namespace,
        payload: str,
        cell: str | None,
        example: Callable[[], object],
    ) -> Request:
        """The request that is asked for, with the payload of `example` where none is given."""
        from sageturner_magic.targets.payload import encode

        if payload and cell:
            raise UsageError("There is more than one payload", do=WRITE_PAYLOAD)
        if payload or cell or arguments.file:
            value, content_type = self._payload(arguments, payload or cell or "")
        else:
            value, content_type = example(), arguments.content_type
        return encode(value, content_type, arguments.accept, arguments.timeout)

    def _payload(self, arguments: Namespace, payload: str) -> tuple[object, str | None]:
        """The value to send and its media type: a file's, or an expression's."""
        from sageturner_magic.notebook.payload import evaluate
        from sageturner_magic.targets.payload import read_payload

        if not arguments.file:
            return evaluate(payload, self.session.namespace), arguments.content_type
        if payload:
            raise UsageError("There is more than one payload", do=WRITE_PAYLOAD)
        return read_payload(arguments.file, arguments.content_type)

    def _setup(self, arguments: Namespace, cell: None) -> None:
        from sageturner_magic.deployment import upkeep

        aws, config = _aws(arguments), arguments.config_path
        if arguments.show_policy:
            print(upkeep.show_policy(config, verbs=arguments.verbs, aws=aws))
            return
        changed = upkeep.setup(config, aws=aws)
        print("\n".join(changed) or "everything is as it should be; nothing was changed")

    def _rollback(self, arguments: Namespace, cell: None) -> None:
        from sageturner_magic.deployment import verbs

        lines = self._lines()
        handle = verbs.start_rollback(
            arguments.name, arguments.version, aws=_aws(arguments), listener=lines
        )
        self._show(handle, lines)

    def _delete(self, arguments: Namespace, cell: None) -> None:
        from sageturner_magic.deployment import upkeep
        from sageturner_magic.deployment.endpoint import is_local

        name, aws = arguments.name, _aws(arguments)
        if bool(name) == arguments.orphans:
            raise UsageError("`delete` takes a NAME or --orphans", do="write one of the two")
        if name and is_local(name, aws):
            upkeep.delete(name)
        else:
            removal = upkeep.plan_removal(
                name, arguments.config_path, everybody=arguments.everybody, aws=aws
            )
            if not _agreed(removal.lines, arguments.yes):
                return
            removal.run(print)
        if name:
            self.session.ended(name)
        print(f"{name} is deleted; nothing of it is left" if name else "no orphans are left")

    def _teardown(self, arguments: Namespace, cell: None) -> None:
        from sageturner_magic.deployment import upkeep

        removal = upkeep.plan_teardown(arguments.config_path, aws=_aws(arguments))
        if _agreed(removal.lines, arguments.yes):
            removal.run(print)

    def _export(self, arguments: Namespace, cell: str | None) -> None:
        from sageturner_magic.deployment import verbs

        for path in verbs.export(arguments.folder, self._config(arguments, cell)):
            print(path)

    def _code(self, arguments: Namespace, cell: str | None) -> Any:
        from sageturner_magic.deployment import verbs
        from sageturner_magic.notebook.html import code_shown

        config = self._config(arguments, cell)
        if arguments.diff:
            return code_shown(verbs.code_diff(config, name=arguments.name, aws=_aws(arguments)))
        return code_shown(verbs.code(config, name=arguments.name))

    def _schema(self, arguments: Namespace, cell: None) -> Any:
        from sageturner_magic.config import json_schema
        from sageturner_magic.notebook.html import code_shown

        return code_shown(json.dumps(json_schema(), indent=2, ensure_ascii=False))

    def _doctor(self, arguments: Namespace, cell: None) -> Any:
        from sageturner_magic.deployment.doctor import doctor
        from sageturner_magic.notebook.html import code_shown

        return code_shown(doctor(_aws(arguments)))


TAKES_PAYLOAD = ("invoke", "load-test", "try")

LOG_LINES = 1000
"""What `logs` leaves in the notebook where it was not told how many lines."""

WRITE_PAYLOAD = (
    'write one: `%sageturner invoke NAME {"key": value}`, the cell\'s body under'
    " `%%sageturner invoke NAME`, or `--file PATH`"
)


def _method(verb: str) -> str:
    """`_load_test` for `load-test`."""
    return "_" + verb.replace("-", "_")


def _no_payload() -> object:
    raise UsageError("There is no payload", do=WRITE_PAYLOAD)


def _aws(arguments: Namespace) -> AwsOptions:
    from sageturner_magic.deployment.request import AwsOptions

    return AwsOptions(arguments.profile, arguments.region)


def _agreed(lines: list[str], yes: bool) -> bool:
    """Whether what will be removed was agreed to; a notebook cannot be asked, so it is shown."""
    if yes or not lines:
        return True
    print("This will be removed:", *(f"  {line}" for line in lines), sep="\n")
    print("Run it again with `--yes` to remove it.")
    return False


def _capture_name(line: str, role: str) -> str:
    words = line.split()
    if len(words) > 1:
        raise UsageError(
            f"`%%sageturner_{role}` takes one name, not {len(words)}",
            do=f"write `%%sageturner_{role} {words[0]}`",
        )
    return words[0] if words else ""
