"""Errors that an AWS account and images give, on the AWS stand-in; `stand` is a cell's variable."""

from __future__ import annotations

from tests.integration.remedies.scenario import Scenario, plain

_PLAN = "sageturner plan -e serverless"
_SETUP = "sageturner setup"


def plan(fails: str, pasted: str, works: str, *before: str, do: str = _PLAN) -> Scenario:
    """A problem of the configuration that an edit ends."""
    return Scenario(do, pasted, do, (plain(works),), (_SETUP, *before, plain(fails)))


def edit(fails: str, pasted: str, works: str, *before: str) -> Scenario:
    """The same for lines beside `container`."""
    return Scenario(_PLAN, pasted, _PLAN, (plain("", works),), (_SETUP, *before, plain("", fails)))


def packages(line: str) -> str:
    """The YAML's key for one package, or none."""
    return f"python_packages: [{line}]"


ACCOUNT = {
    "ST24": Scenario(
        "sageturner plan -e server",
        "ml.g5.xlarge",
        "sageturner plan -e server --instance-type ml.g5.xlarge",
        before=(_SETUP, plain("install_cuda: true")),
    ),
    "ST61": plan(packages("--no-index absent==1.0"), "", packages("")),
    "ST71": Scenario("sageturner list --profile absent", "", "sageturner list"),
    "ST73": edit("overrides: {role_name: nobody}", "", ""),
    "ST74": edit(
        "overrides: {bucket_name: strangers-sagemaker}\nartefact: ./code",
        "",
        "artefact: ./code",
        "stand.create_strangers_bucket('strangers-sagemaker')",
    ),
    "ST13": Scenario("sageturner teardown", "--yes", "sageturner teardown --yes", before=(_SETUP,)),
}
