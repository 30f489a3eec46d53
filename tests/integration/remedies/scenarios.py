"""For each error code: how a person meets the error, and what they paste to end it.

A step is a line of a shell (`sageturner …`, `tar …`, `export NAME=VALUE`), a file
(`FILE <- text`), or else a notebook cell. Each scenario has its own folder with `sageturner.yaml`
and `code/sageturner.py` of a model that doubles, and a local endpoint `digits` of the same model.
"""

from __future__ import annotations

from typing import NamedTuple

YAML = "name: doubler\ncontainer: {generate_container: {code_dir: ./code}}\n"
CODE = """\
import os
import time


def load(model_dir):
    return 2


def predict(model, request):
    if request.get("stop"):
        os._exit(1)
    time.sleep(request.get("sleep", 0))
    return {"doubled": request["x"] * model}


def example_request():
    return {"x": 21}
"""
CONFIGURED = f"sageturner.yaml <- {YAML}"
LOAD = "%%sageturner_load\ndef load():\n    return 2"
PREDICT = "%%sageturner_predict\ndef predict(model, request):\n    return request['x'] * model"
VARIABLE = """\
from sklearn.linear_model import LogisticRegression
classifier = LogisticRegression().fit([[0], [1]], [0, 1])"""
TRY = "%sageturner try doubled {'x': 21}"


class Scenario(NamedTuple):
    """How an error comes about and ends.

    Attributes:
        fails: The step that shows the error; `before` are those that lead to it.
        pasted: What the remedy has to paste; empty where it describes an edit.
        works: The step that ends well, after those of `fix`.
    """

    fails: str
    pasted: str
    works: str
    fix: tuple[str, ...] = ()
    before: tuple[str, ...] = ()


def config(fails: str, pasted: str, works: str, do: str = "sageturner plan -e local") -> Scenario:
    """An error in sageturner.yaml, which an edit ends."""
    return Scenario(
        do, pasted, do, (f"sageturner.yaml <- {works}",), (f"sageturner.yaml <- {fails}",)
    )


def code(fails: str, pasted: str, works: str, do: str = "sageturner try '{\"x\": 1}'") -> Scenario:
    """An error in sageturner.py, which an edit ends."""
    before, after = f"code/sageturner.py <- {fails}", f"code/sageturner.py <- {works}"
    return Scenario(do, pasted, do, (after,), (before,))


def cells(*before: str, pasted: str, fix: tuple[str, ...], fails: str = TRY) -> Scenario:
    """An error in captured cells, which running other cells ends."""
    return Scenario(fails, pasted, fails, fix, before)


def artefact(fails: str, pasted: str, works: str) -> Scenario:
    """A notebook's variable under `artefact` that cannot be shipped like this."""
    cell = "%%sageturner plan -e local\nname: doubled\nartefact: "
    return Scenario(cell + fails, pasted, cell + works, before=(LOAD, PREDICT, VARIABLE))


SCENARIOS = {
    "ST10": Scenario("sageturner invoke", "--help", "sageturner invoke --help"),
    "ST11": Scenario(
        "sageturner invoke digits",
        "sageturner invoke digits '{\"x\": 1}'",
        "sageturner invoke digits '{\"x\": 1}'",
    ),
    "ST12": Scenario(
        "sageturner invoke digits {x:1}",
        "@request.json",
        "sageturner invoke digits @request.json",
        ('request.json <- {"x": 1}',),
    ),
    "ST16": Scenario(
        "handle.result()",
        "wait()",
        "handle.wait()",
        before=(
            (
                "import sageturner_magic\n"
                "handle = sageturner_magic.start_deployment('sageturner.yaml')"
            ),
        ),
    ),
    "ST17": Scenario("sageturner init", "", "sageturner init another.yaml"),
    "ST20": config(
        YAML + "compute: {serverless: {memory: 1500}}\n",
        "2048",
        YAML + "compute: {serverless: {memory: 2048}}\n",
    ),
    "ST21": config(
        YAML + "compute:\n\tserverless: {memory: 2048}\n",
        "",
        YAML + "compute:\n  serverless: {memory: 2048}\n",
    ),
    "ST22": Scenario(
        "sageturner plan -e local -c sageturner.yml",
        "sageturner.yaml",
        "sageturner plan -e local -c sageturner.yaml",
    ),
    "ST23": config("", "name: my-model", "name: my-model\n" + YAML.partition("\n")[2]),
    "ST27": Scenario(
        "sageturner try",
        "HF_TOKEN",
        "sageturner try",
        ("export HF_TOKEN=value",),
        (f"{CONFIGURED}secrets: {{HF_TOKEN: team/hf}}\n",),
    ),
    "ST31": cells(LOAD, pasted="%%sageturner_predict", fix=(PREDICT,)),
    "ST32": Scenario(
        "%sageturner try doubled {'x': 21} --model double",
        "",
        "%sageturner try doubled {'x': 21}",
        before=(
            LOAD.replace("_load", "_load doubled"),
            PREDICT.replace("_predict", "_predict doubled"),
            "def double(x):\n    return 2 * x",
        ),
    ),
    "ST33": code("def load(:\n    pass\n", "", CODE),
    "ST34": code(
        CODE.replace("predict(model, request)", "predict(model)"),
        "predict(model, request)",
        CODE,
    ),
    "ST35": Scenario(f"{LOAD}\n!echo hello", "", LOAD),
    "ST36": cells(LOAD.replace("2", "factor"), PREDICT, pasted="", fix=("factor = 2",)),
    "ST38": cells(
        "import sqlite3\nconnection = sqlite3.connect(':memory:')",
        LOAD.replace("2", "connection.execute('select 2').fetchone()[0]"),
        PREDICT,
        pasted="",
        fix=(
            LOAD.replace(
                "return 2",
                "import sqlite3\n"
                "    return sqlite3.connect(':memory:').execute('select 2').fetchone()[0]",
            ),
        ),
    ),
    "ST40": cells(
        "factor = int('x')",
        LOAD.replace("2", "factor"),
        PREDICT,
        pasted="",
        fix=("factor = int('2')",),
    ),
    "ST42": cells(
        "KEY = 'AKIAIOSFODNN7EXAMQLE'",
        LOAD.replace("2", "len(KEY)"),
        PREDICT,
        pasted="",
        fix=("import os\nKEY = os.environ.get('KEY', '')",),
    ),
    "ST43": config(YAML.replace("./code", "./cod"), "code_dir", YAML.replace("./cod}", "./code}")),
    "ST44": cells(
        "from sklearn.linear_model import LogisticRegression\nclassifier = LogisticRegression()",
        pasted="",
        fix=("classifier.fit([[0], [1]], [0, 1])",),
        fails="%sageturner try doubled [[1]] --model classifier",
    ),
    "ST46": code(CODE.replace("return 2", "return open('absent')"), "", CODE),
    "ST47": Scenario(
        "sageturner try",
        "startup_timeout_s",
        "sageturner try",
        (f"{CONFIGURED}compute: {{local: {{startup_timeout_s: 60}}}}\n",),
        (
            f"{CONFIGURED}compute: {{local: {{startup_timeout_s: 1}}}}\n",
            "code/sageturner.py <- " + CODE.replace("return 2", "time.sleep(3)\n    return 2"),
        ),
    ),
    "ST48": code(
        CODE.replace('return {"doubled": request["x"] * model}', "return object"),
        "float(x)",
        CODE.replace('{"doubled": request["x"] * model}', "float(x)").replace(
            "    time.sleep", '    x = request["x"]\n    time.sleep'
        ),
    ),
    "ST50": Scenario(
        "sageturner plan -e local",
        "",
        "sageturner plan -e local",
        ("import os\nos.remove('model/latest')",),
        (
            f"{CONFIGURED}artefact: ./model\n",
            "model/model.txt <- the model",
            "import os\nos.symlink('.', 'model/latest')",
        ),
    ),
    "ST51": config(YAML + "artefact: ./modell\n", "", YAML + "artefact: ./code\n"),
    "ST52": artefact("{c.joblib: clasifier}", "classifier", "{c.joblib: classifier}"),
    "ST53": artefact("{model.xyz: classifier}", "model.joblib", "{model.joblib: classifier}"),
    "ST54": artefact("{model.npy: classifier}", ".joblib", "{model.joblib: classifier}"),
    "ST56": Scenario(
        "sageturner plan -e local",
        "tar -czf model.tar.gz -C",
        "sageturner plan -e local",
        ("tar -czf model.tar.gz -C code .",),
        (f"{CONFIGURED}artefact: ./model.tar.gz\n", "model.tar.gz <- no archive"),
    ),
    "ST57": Scenario(
        "sageturner plan -e local",
        "",
        "sageturner plan -e local",
        ("model/model.onnx <- the model",),
        (
            f"{CONFIGURED}artefact: ./model\n",
            (
                "model/model.onnx <- version https://git-lfs.github.com/spec/v1\n"
                f"oid sha256:{'0' * 64}\nsize 12\n"
            ),
        ),
    ),
    "ST59": config(
        YAML + "artefact: s3://team/models/\n", "", YAML + "artefact: ./code\n", "sageturner try"
    ),
    "ST81": Scenario("sageturner status digit", "sageturner list", "sageturner list"),
    "ST85": Scenario(
        "sageturner rollback digits -e local", "", "sageturner deploy -e local --detach"
    ),
    "ST91": Scenario("sageturner invoke digits '{}'", "", "sageturner invoke digits '{\"x\": 1}'"),
    "ST92": Scenario(
        'sageturner invoke digits --timeout 1 \'{"x": 1, "sleep": 3}\'',
        "--timeout",
        'sageturner invoke digits --timeout 30 \'{"x": 1, "sleep": 3}\'',
    ),
    "ST94": Scenario(
        "%sageturner invoke digits {'x': object()}", "", "%sageturner invoke digits {'x': 1}"
    ),
    "ST96": Scenario(
        "sageturner load-test digits '{}' --requests 2",
        "sageturner logs digits",
        "sageturner logs digits",
    ),
}

_WARNING = "a warning stops nothing"
_AWS = "only AWS gives it"
_IMAGE = "needs a registry, a package index or Docker"
NOT_RUN = {
    **dict.fromkeys(("ST18", "ST19", "ST25", "ST28", "ST29", "ST97"), _WARNING),
    **dict.fromkeys(("ST13", "ST14", "ST24"), _AWS),
    **dict.fromkeys((f"ST{number}" for number in range(70, 80)), _AWS),
    **dict.fromkeys(("ST80", "ST82", "ST83", "ST84", "ST89"), _AWS),
    **dict.fromkeys((f"ST{number}" for number in range(60, 70)), _IMAGE),
    **dict.fromkeys(("ST86", "ST87", "ST88"), _IMAGE),
    "ST15": "what can show a form is known in a browser only",
    "ST26": "the configuration's schema refuses such a value first (ST20)",
    "ST30": "only what has no narrower code has it",
    **dict.fromkeys(("ST37", "ST39"), "no short example is known: capture follows most changes"),
    "ST41": "needs files that other tests of a run would import",
    "ST45": "needs torch",
    "ST49": "needs a notebook whose kernel deploys",
    "ST55": "needs objects of 50 MB",
    "ST58": "only an upload to S3 gives it",
    "ST90": "needs a request of 25 MB",
    "ST93": "needs a worker that is killed",
    "ST95": "needs a server that is killed",
    "ST98": "needs an interrupt",
    "ST99": "only a bug of ours gives it",
}
"""Codes without a scenario, and why. The list may only become shorter."""
