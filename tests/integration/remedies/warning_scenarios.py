"""Warnings: the verb ends well and says so, and says it no more after the remedy."""

from __future__ import annotations

from tests.integration.remedies.scenario import CODE, LOAD, PREDICT, Scenario

_PLAN = "%%sageturner plan -e local\nname: doubled\n"

WARNINGS = {
    "ST19": Scenario(
        "sageturner plan -e local",
        "",
        "sageturner plan -e local",
        (f"code/sageturner.py <- {CODE}",),
        (
            "code/sageturner.py <- "
            + CODE.replace("return 2", "return len(open('/opt/ml/model/factor').read())"),
        ),
    ),
    "ST25": Scenario(
        _PLAN,
        "environment: {MODE: faster}",
        f"{_PLAN}environment: {{MODE: faster}}",
        before=(
            "%env MODE=faster",
            LOAD.replace("def", "import os\ndef").replace("2", "len(os.environ['MODE'])"),
            PREDICT,
        ),
    ),
    "ST28": Scenario(
        _PLAN,
        "",
        _PLAN,
        (
            LOAD.replace(
                "return 2",
                "import colorsys\n    colorsys.ONE_THIRD = 0.25\n    return colorsys.ONE_THIRD",
            ),
        ),
        (
            "import colorsys\nwith open('/dev/null') as file:\n    found = len(file.read())",
            "colorsys.ONE_THIRD = found",
            LOAD.replace("2", "colorsys.ONE_THIRD"),
            PREDICT,
        ),
    ),
    "ST29": Scenario(
        _PLAN,
        "sorted(set(request['words']))",
        _PLAN,
        (PREDICT.replace("request['x'] * model", "list(sorted(set(request['words'])))"),),
        (LOAD, PREDICT.replace("request['x'] * model", "list(set(request['words']))")),
    ),
}
