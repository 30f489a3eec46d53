"""Check a plan's packages in a clean environment, for `plan --verify`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from sageturner_magic.constants import THIS_PYTHON
from sageturner_magic.deployment.plan import Fact, Plan
from sageturner_magic.deployment.request import DeployRequest
from sageturner_magic.deployment.tried import findings_of, run_trial, trial_figures
from sageturner_magic.endpoints import container
from sageturner_magic.errors import Finding, UsageError
from sageturner_magic.packages import Target, find_interpreter, make_environment
from sageturner_magic.values import Reporter


def verified(plan: Plan, reporter: Reporter) -> Plan:
    """`plan` with what came of it: the module imports, loads and answers with its packages only.

    Raises:
        UsageError: The image is the user's own, or the artefact is not on this machine.
        ImageError: A package cannot be had or installed.
        CaptureError: The module fails in the clean environment.
    """
    ingredients = plan.ingredients
    assert ingredients is not None
    _refuse_what_is_not_here(ingredients.request)
    wanted = ingredients.python_version
    interpreter = find_interpreter(wanted)
    findings: list[Finding] = []
    if interpreter is None:
        interpreter = Path(sys.executable)
        findings.append(
            Finding(
                f"Verified with Python {THIS_PYTHON}, the image has {wanted}",
                why=f"there is no Python {wanted} on this machine",
                do=f"install Python {wanted} and verify again",
                severity="warning",
                code="ST19",
            )
        )
        wanted = THIS_PYTHON
    requirements = plan.requirements
    if requirements is None or requirements.target.python_version != wanted:
        requirements = ingredients.requirements(
            Target(wanted, container.sandbox_architecture()), reporter
        )
    made = make_environment(requirements, interpreter, reporter)
    trial = run_trial(ingredients, reporter, clean_python=str(made.python))
    if not made.same_files:
        findings.append(
            Finding(
                "Verified with packages for this machine, at the versions of the image",
                why=f"the image is {requirements.target.platform}",
                severity="note",
            )
        )
    count = len(requirements.packages)
    said = "loads" if not trial.asked else "answers its example"
    fact = Fact(
        "Verified",
        f"{said} on Python {wanted} with {count} package{'' if count == 1 else 's'} and nothing"
        f" else; {trial_figures(trial)}",
    )
    return replace(
        plan,
        facts=(*plan.facts, fact),
        findings=(*plan.findings, *findings, *findings_of(trial, ingredients)),
    )


def _refuse_what_is_not_here(request: DeployRequest) -> None:
    if request.container_mode == "provide":
        raise UsageError(
            "There are no packages to verify",
            why="the image is built from your own Dockerfile",
            do="leave `--verify` out",
        )
    if request.config.s3_artefact:
        raise UsageError(
            "The artefact is in S3, so load() cannot be tried here",
            where=request.config.where("artefact"),
            do="download it and name the folder as `artefact`, or leave `--verify` out",
            code="ST59",
        )
