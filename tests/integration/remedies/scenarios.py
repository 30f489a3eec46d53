"""Errors about commands, the configuration, the code and the model files."""

from __future__ import annotations

from tests.integration.remedies.scenario import (
    CODE,
    CONFIGURED,
    LOAD,
    PREDICT,
    VARIABLE,
    YAML,
    Scenario,
    artefact,
    cells,
    code,
    config,
)

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
        ("import shutil\nshutil.rmtree('model/a')",),
        (
            f"{CONFIGURED}artefact: ./model\n",
            "model/model.txt <- the model",
            "import os\nos.makedirs('model/' + '/'.join(['a'] * 201))",
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
    "ST15": Scenario("%sageturner form", "%sageturner init", "%sageturner init another.yaml"),
    "ST37": Scenario(
        LOAD.replace(
            "def load():\n    return 2",
            "from math import log\nfactor = 2 + log(1)\ndef log(x):\n    return 0\n"
            "def load():\n    return factor + log(1)",
        ),
        "",
        LOAD.replace(
            "def load():\n    return 2",
            "from math import log as ln\nfactor = 2 + ln(1)\ndef log(x):\n    return 0\n"
            "def load():\n    return factor + log(1)",
        ),
    ),
    "ST41": cells(
        "factor = 2",
        LOAD.replace("return 2", "import __main__\n    return __main__.factor"),
        PREDICT,
        pasted="",
        fix=(LOAD.replace("2", "factor"),),
    ),
    "ST45": Scenario(
        "%sageturner try doubled [[1]] --model classifier --example {1,2}",
        "--example X_test.head(3)",
        "%sageturner try doubled [[1]] --model classifier --example X_test.head(3)",
        before=(VARIABLE, "import pandas\nX_test = pandas.DataFrame([[0], [1]])"),
    ),
    "ST49": Scenario(
        "%%sageturner deploy -e local\nname: doubler",
        "--no-compare",
        "%%sageturner deploy -e local --no-compare\nname: doubler",
        before=(
            "%%sageturner_load\nimport sys\ndef load():\n    return 2",
            (
                "%%sageturner_predict\ndef predict(model, request):\n"
                "    return request['x'] * (model + ('IPython' in sys.modules))\n"
                "def example_request():\n    return {'x': 21}"
            ),
        ),
    ),
    "ST58": Scenario(
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

_ENDPOINT = "needs an endpoint on SageMaker, whose container takes seconds"
_DEPLOYED = "tests/aws/test_deploy_account.py does what it says"
_INDEX = "needs a package index of its own: tests/integration/image"
NOT_RUN = {
    **dict.fromkeys(("ST14", "ST80", "ST83", "ST97"), _ENDPOINT),
    **dict.fromkeys(("ST18", "ST62", "ST64", "ST65"), _INDEX),
    **dict.fromkeys(("ST72", "ST75"), _DEPLOYED),
    **dict.fromkeys(("ST67", "ST88"), "needs an image that is built"),
    **dict.fromkeys(("ST68", "ST69"), "needs a registry: tests/integration/image"),
    "ST39": "no short example is known: capture follows most changes",
    "ST63": "tests/unit/packages reads such lines",
    **dict.fromkeys(("ST66", "ST87"), "needs a machine with a registry and without Docker"),
    "ST76": "tests/aws/test_deploy_failures.py lowers a quota; a session looks them up once",
    "ST77": "tests/unit/aws names the nearest type",
    "ST79": "needs a network that is cut and comes back",
    "ST55": "needs objects of 50 MB",
    "ST60": "needs a full or damaged disk",
    "ST70": "only what has no narrower code has it",
    "ST78": "needs wheels for GPUs: tests/unit/gpu",
    "ST82": "needs an image or model files of several GB",
    "ST99": "only a bug of ours gives it",
}
"""Codes without a scenario, and why. The list may only become shorter."""
