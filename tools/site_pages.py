"""Generate the pages of the documentation site that the code or the notebooks are the source of.

MkDocs calls the functions `on_…` (see `hooks` in mkdocs.yml), mkdocstrings `ArgumentsOfVerbs`.
Generated are the Python functions (from the table of verbs and the docstrings), the IAM policies,
the error codes, the JSON output, the example notebooks with their outputs, the benchmarks'
results, and llms.txt.
"""

from __future__ import annotations

import base64
import inspect
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import griffe
import nbformat
from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

import sageturner_magic
from sageturner_magic.aws import symptoms
from sageturner_magic.aws.account import (
    Extras,
    Scope,
    caller_policies,
    execution_policy,
    lease_policy,
)
from sageturner_magic.aws.names import names_in
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.error_codes import KINDS
from sageturner_magic.image.docker.errors import PROBLEMS
from sageturner_magic.packages.uv_errors import CAUSES
from sageturner_magic.rendering import ERROR, FINDING, SCHEMAS, VARIANTS
from sageturner_magic.verbs import PERMITTED, VERBS

ROOT = Path(__file__).parents[1]
NOTEBOOKS = ROOT / "example_notebooks"
RESULTS = ROOT / "benchmarks" / "results"
SKILL = "skill.md"
PICTURES = {"image/png": "png", "image/jpeg": "jpg"}
TEXT_LENGTH = 3000
"""Characters of one output that a page shows."""
ERRORS = """\
# Errors of AWS, Docker and package installers

What others report is translated, with a remedy. A message begins with what failed and where,
continues with the cause, and ends with what to do. This page is generated from the tables that
translate. [Error codes](error-codes.md) has every kind of error.
[From cells to a module](../capture.md#what-is-refused-and-what-to-do) has the errors of your
cells, and [the model server](../server.md#requests-and-answers) those of requests.

"""
CODES = """\
# Error codes

Each error and each warning ends with a code, such as `[ST12]`. A code keeps its meaning in all
versions. In Python, `error.findings[0].code` has it, and with [`--json`](json.md) the field `code`.

"""
AWS_ERRORS = {
    "Credentials and region": symptoms.CREDENTIALS,
    "Network": symptoms.NETWORK,
    "Permissions, quotas and requests to AWS": symptoms.SERVICE,
    "Requests to an endpoint": symptoms.INVOCATION,
    "Errors that the model reports": symptoms.MODEL_ERROR,
    "Lines in the log of an endpoint that did not start": symptoms.ENDPOINT_LOG,
}
LLMS = """\
# sageturner_magic

> From notebook cells or a code folder to a live Amazon SageMaker endpoint, or to a local one that
> behaves the same. Every verb is a command (`sageturner VERB`), a magic (`%sageturner VERB`) and a
> function (`sageturner_magic.VERB()`). `--json` prints results for programs. Exit codes are 0, 2 (a
> message says what to do) and 130 (stopped). `skill` is what an assistant follows that deploys.

## Pages

"""
TYPES = (
    *("Deployment", "Endpoint", "Prediction", "PredictionStream", "DeploymentHandle", "LoadTest"),
    "AwsOptions",
)
FUNCTIONS = ("invoke_stream", "start_deployment", "follow_logs", "read_config")
"""Public functions beside those of the verbs."""

JSON_SCHEMAS = "json-schemas.json"
JSON = f"""\
# JSON output

With `--json` a verb prints one JSON document to standard output. Progress and messages for people
go to standard error. [`{JSON_SCHEMAS}`]({JSON_SCHEMAS}) has a JSON schema for each
verb, and one for failures under `error`. Later versions add fields and remove none.

A command that fails prints one object in one line, and keeps its [exit code](../cli.md). If the
command printed results before it failed (`logs --follow`, `invoke --stream`, a local endpoint that
the command serves), the object is the last line.

```console
$ sageturner status digits -e local --json
{{"severity": "error", "code": "ST81", "headline": "There is no local endpoint `digits`", …}}
```

"""
PYTHON = """\
# Python functions

Each verb is a function of the package. They return values and raise
[`SageturnerError`][sageturner_magic.errors.SageturnerError]; its text says what to do. An argument
of a wrong type is such an error, too. All functions are typed.

```python
import sageturner_magic as sageturner

digits = sageturner.deploy("sageturner.yaml")
digits.invoke({"pixels": [0.0] * 64})["digit"]
digits.delete()
```

`deploy()` returns the endpoint. `Endpoint("digits")` finds one that was deployed before.

## Configurations

Where a function takes `config`, pass one of:

- the path of a YAML file;
- YAML text: several lines, or a line with a key, such as `"name: digits"`;
- a dict with the [keys of the YAML](../configuration.md);
- what `read_config` returns for one of these.

Paths in text and in a dict start from the working directory.

```python
config = {"name": "digits", "artefact": "./model", "compute": {"serverless": {"memory": 2048}}}
aws = sageturner.AwsOptions(region="eu-west-1", profile="team")
digits = sageturner.deploy(config, endpoint_type="serverless", aws=aws)
```

## For `await`

The event loop continues while one of these waits. Each takes the arguments of its verb and returns
the same: {awaited}.

```python
digits = await sageturner.adeploy("sageturner.yaml")
first, second = await asyncio.gather(digits.ainvoke(one), digits.ainvoke(two))
async for piece in await digits.ainvoke_stream(request):
    print(piece)
```

Cancelling a task of `adeploy`, `arollback`, `atry` or `aload_test` does what Ctrl-C does:
it stops the work, waits for the clean-up, and then raises `CancelledError`. The others run in a
thread, which nothing can interrupt: cancelling ends the wait, and the call runs to its end.

"""
PERMISSIONS = """\
# IAM policies

This page shows the policies for the account `111122223333` in `eu-west-1`. To print them for your
account, region and names:

```console
$ sageturner setup --show-policy
```

To print the smallest policy for some verbs only:

```console
$ sageturner setup --show-policy --for invoke,logs
```

Verbs that have such a policy: {verbs}. Each document fits into a managed policy.

"""
POLICIES = {
    "setup": "For an administrator, who runs `sageturner setup` once in an account and region, and"
    " `teardown` to remove what it created.",
    "deploy": "For everybody who deploys, sends requests and deletes endpoints.",
    "role": "For the execution role, which SageMaker uses to run endpoints. `setup` attaches it.",
    "lease-role": "For the role that ends [leases](../how-to/costs.md). `setup` attaches it."
    " Statements about leases and schedules are printed where the configuration has `lease`.",
}
"""What each policy is for, by its document's name."""


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the generated pages to those of `docs/`."""
    pages: dict[str, str | bytes] = {
        "reference/python.md": python_page(),
        "reference/permissions.md": permissions_page(),
        "reference/error-codes.md": codes_page(),
        "reference/errors.md": errors_page(),
        "reference/json.md": json_page(),
        f"reference/{JSON_SCHEMAS}": json.dumps({"error": ERROR, **SCHEMAS}, indent=2),
    }
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        pages |= notebook_pages(notebook)
    for result in [*RESULTS.glob("*.md"), *RESULTS.glob("*.svg")]:
        pages[f"benchmarks/{result.name}"] = result.read_text(encoding="utf-8")
    for path, content in pages.items():
        files.append(File.generated(config, path, content=content))
    files.append(File.generated(config, "llms.txt", content=llms_text(files)))
    return files


def on_page_markdown(markdown: str, page: Page, **_: object) -> str:
    """Add the verbs to the skill, and let links to files outside `docs/` lead to their pages."""
    if page.file.src_uri == SKILL:
        markdown += f"\n{verbs_list()}"
    text = re.sub(r"\]\(\.\./((?:\.\./)*)benchmarks/results/", r"](\1benchmarks/", markdown)
    return re.sub(
        r"\]\(\.\./((?:\.\./)*)example_notebooks/(\w+)\.ipynb", r"](\1examples/\2.md", text
    )


def llms_text(files: Files) -> str:
    """Return llms.txt, which tells a language model where what is written."""
    pages = "".join(
        f"- [{file.src_uri.removesuffix('.md')}]({file.url})\n"
        for file in files.documentation_pages()
        if not file.src_uri.startswith(("proof/", "decisions/"))
    )
    return f"{LLMS}{pages}\n## Verbs\n\n{verbs_list()}"


def verbs_list() -> str:
    """Return every verb with what it does, as a list."""
    return "".join(f"- `{verb.name}`: {verb.sentence}\n" for verb in VERBS.values())


def python_page() -> str:
    """Return the page of all public functions and the types that they return."""
    names = [*(verb.public_name for verb in VERBS.values()), *FUNCTIONS, *TYPES]
    awaited = [
        name
        for name in sageturner_magic.__all__
        if inspect.iscoroutinefunction(inspect.unwrap(getattr(sageturner_magic, name), stop=_waits))
    ]
    text = PYTHON.replace("{awaited}", ", ".join(f"`{name}`" for name in awaited))
    return text + "\n".join([*map(_public, names), "::: sageturner_magic.errors\n"])


def _waits(function: object) -> bool:
    return inspect.iscoroutinefunction(function)


def _public(name: str) -> str:
    # Public functions check their arguments first; the page shows what they then call.
    value = getattr(sageturner_magic, name)
    value = value if isinstance(value, type) else value.__wrapped__
    options = f"{{heading: {name}, toc_label: {name}}}"
    return f"::: {value.__module__}.{value.__qualname__}\n    options: {options}\n"


class ArgumentsOfVerbs(griffe.Extension):
    """Show the arguments of verbs that take those of another function, known at run time only."""

    def on_function_instance(self, *, func: griffe.Function, **_: object) -> None:
        """Replace what the source says of such a function."""
        value = getattr(getattr(sageturner_magic, func.name, None), "__wrapped__", None)
        if getattr(value, "__module__", "") != func.module.path or not hasattr(
            value, "__wrapped__"
        ):
            return
        signature = inspect.signature(value)
        func.parameters = griffe.Parameters(*map(_parameter, signature.parameters.values()))
        func.returns = signature.return_annotation
        func.docstring = griffe.Docstring(inspect.getdoc(value) or "", parent=func)


def _parameter(parameter: inspect.Parameter) -> griffe.Parameter:
    plain = isinstance(parameter.default, str | int | float | None)
    default = repr(parameter.default) if plain else "..."
    return griffe.Parameter(
        parameter.name,
        annotation=parameter.annotation,
        kind=griffe.ParameterKind(parameter.kind.description),
        default=None if parameter.default is parameter.empty else default,
    )


def permissions_page() -> str:
    """Return the page of the IAM policies."""
    where = SimpleNamespace(account="111122223333", region="eu-west-1", partition="aws")
    names = names_in(cast(AwsSession, where))
    documents = {
        **caller_policies(Scope(names, leases=True)),
        "role": execution_policy(names, Extras()),
        "lease-role": lease_policy(names),
    }
    sections = (
        f"## {name}\n\n{POLICIES[name]}\n\n```json\n{json.dumps(document, indent=2)}\n```\n\n"
        for name, document in documents.items()
    )
    verbs = ", ".join(f"`{verb}`" for verb in PERMITTED)
    return PERMISSIONS.replace("{verbs}", verbs) + "".join(sections)


def codes_page() -> str:
    """Return the page of all error codes, with a heading to link to for each."""
    return CODES + "".join(
        f"## {code}: {kind.title} {{#{code}}}\n\n{kind.cause}\n\n"
        f"```text\n{kind.example}\n```\n\n{kind.remedy}\n\n"
        for code, kind in KINDS.items()
    )


def json_page() -> str:
    """Return the page of what `--json` prints, from its schemas."""
    parts = [JSON, _json_section("A failure", ERROR), _json_section("A finding", FINDING)]
    for verb, schema in SCHEMAS.items():
        parts.append(_json_section(f"`{verb}`", schema))
        parts += [
            f"With `{flag}`: {text}\n\n" for (of, flag), text in VARIANTS.items() if of == verb
        ]
    return "".join(parts)


def _json_section(title: str, schema: dict[str, Any]) -> str:
    rows = "".join(
        f"| `{path}` | {_cell(kind)} | {_cell(about)} |\n" for path, kind, about in _fields(schema)
    )
    about = schema["description"]
    table = f"| Field | Type | Meaning |\n|---|---|---|\n{rows}\n" if rows else ""
    return f"## {title}\n\n{about[0].upper()}{about[1:]}.\n\n{table}"


def _fields(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, str, str]]:
    """The path, the type and the meaning of all fields below a schema."""
    for name, field in schema.get("properties", {}).items():
        kind = field.get("type", "any")
        kind = kind if isinstance(kind, str) else " or ".join(kind)
        values = " (" + ", ".join(f"`{each}`" for each in field.get("enum", ()) if each) + ")"
        yield f"{path}{name}", kind, field["description"] + (values if "enum" in field else "")
        if name not in ("findings", "problems"):
            yield from _fields(field, f"{path}{name}.")
    if "items" in schema:
        yield from _fields(schema["items"], f"{path.removesuffix('.')}[].")


def errors_page() -> str:
    """Return the page of the errors of others that are translated, from the tables that do it."""
    sections = (
        (title, [(_words(row.why) or "AWS's own words", _words(row.do)) for row in rows])
        for title, rows in AWS_ERRORS.items()
    )
    docker = [(problem.what, problem.do) for problem in PROBLEMS]
    uv = [(cause.what, cause.do) for cause in CAUSES]
    parts = [*sections, ("Docker builds and registries", docker), ("Packages", uv)]
    return ERRORS + "".join(
        f"## {title}\n\n| what it says | what to do |\n|---|---|\n"
        + "".join(f"| {_cell(what)} | {_cell(do)} |\n" for what, do in rows)
        + "\n"
        for title, rows in parts
    )


def _words(text: str) -> str:
    # The places for AWS's own words and for the user's names.
    text = re.sub(r": \{\w+\}|\{(message|profile)\}", "", text)
    return re.sub(r"\{(\w+)\}", lambda name: name[1].upper(), text)


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def notebook_pages(path: Path) -> dict[str, str | bytes]:
    """Return a notebook as a page, with the pictures of its outputs as files."""
    pages: dict[str, str | bytes] = {}
    parts = []
    for index, cell in enumerate(nbformat.read(path, as_version=4).cells):
        if cell.cell_type != "code":
            parts.append(cell.source)
            continue
        parts.append(f"```python\n{cell.source}\n```")
        for number, output in enumerate(cell.outputs):
            data = output.get("data", {})
            if kind := next((kind for kind in PICTURES if kind in data), None):
                name = f"{path.stem}-{index}-{number}.{PICTURES[kind]}"
                pages[f"examples/{name}"] = base64.b64decode(data[kind])
                parts.append(f"![Output of the cell above]({name})")
            elif text := (output.get("text") or data.get("text/plain", "")).rstrip():
                shown = text if len(text) <= TEXT_LENGTH else f"{text[:TEXT_LENGTH]}\n…"
                parts.append(f"````text\n{shown}\n````")
    pages[f"examples/{path.stem}.md"] = "\n\n".join(parts) + "\n"
    return pages
