"""Random lives of an endpoint: whatever happens, `list` says what the account holds.

What the endpoint answers follows from the orders that SageMaker has taken (`SageMaker.orders`): a
deployment that was killed before its order has changed nothing, one after it is carried out.

`python -m tests.aws.campaign --runs 20 --report docs/proof/aws.md` is the proof; a fixed sample is
in `test_campaign.py`. A seed repeats a life as far as the processes of the machine let it.
"""

from __future__ import annotations

import argparse
import collections
import datetime
import functools
import json
import platform
import random
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import docker
from botocore.loaders import create_loader

from tests.parts import engine, kept_layers
from tests.parts.no_engine import NoEngine, no_engine
from tests.parts.waiting import wait_for
from tests.stand import Keys, Stand, Timing
from tests.stand.project import Project

PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"
REGIONS = ("eu-west-1", "us-east-1")
PLACES = ("Build the image", "Push the image", "Create the endpoint", "Update the endpoint",
          "Wait until")  # fmt: skip
"""Beginnings of the lines at which a deployment is killed or interrupted."""
NETWORK = {"throttle_percent": 10, "drop_every_upload": 7, "s3_fail_upload": 1}
FAILURE = "The primary container did not pass the ping health check."

NEVER_CAME = "the line never came"

Step = Callable[["Campaign"], str]


@dataclass
class Campaign:
    """One life.

    Attributes:
        stand: The AWS that it is lived in.
        folder: Empty, for the project.
        seed: Decides what happens.
        container: `generate_container` in the configuration.
        variables: Of the command's environment.
        trace: What has happened, a line each.
    """

    stand: Stand
    folder: Path
    seed: int
    container: dict[str, Any]
    variables: dict[str, str] = field(default_factory=dict)
    trace: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.random = random.Random(self.seed)
        self.name = f"life-{self.seed}"
        self.region = REGIONS[0]
        self.factor = self.seed * 1000
        self.kind = "serverless"
        self.keys: Keys | None = None
        # What the endpoint of a region answers with; None where there is none, or it has failed.
        self.serving: dict[str, int | None] = dict.fromkeys(REGIONS)
        self.versions: dict[str, int] = {}
        self.ordered = len(self.stand.sagemaker.orders)
        self.failing = False
        self.claims: list[int | None] = []
        (self.folder / "weights.txt").write_text("42")

    @property
    def project(self) -> Project:
        """The command, in the present region and as the present user."""
        variables = {**self.variables, "AWS_REGION": self.region, "AWS_DEFAULT_REGION": self.region}
        return Project(self.stand, self.folder, self.name, self.keys, variables)

    def live(self, steps: int) -> None:
        """Begin, take `steps` random steps, and end. Raises AssertionError with the trace."""
        before = {region: self.stand.inventory(region) for region in REGIONS}
        try:
            self._begin()
            for _ in range(steps):
                (step,) = self.random.choices([*STEPS], weights=[*STEPS.values()])
                self.trace.append(f"{step.__name__.strip('_')} in {self.region}: ")
                self.trace[-1] += step(self)
                self.stand.faults.clear()
                self._look()
            self._end(before)
        except BaseException as error:
            self.stand.faults.clear()
            raise AssertionError("\n".join([f"seed {self.seed}", *self.trace])) from error

    def _begin(self) -> None:
        project = self.project
        project.configure(
            artefact="./weights.txt", container={"generate_container": self.container}
        )
        project.write_code(self.factor)
        for self.region in reversed(REGIONS):
            self.project.run("setup")
        documents = json.loads(self.project.run("setup", "--show-policy").out)
        # Only the deployer's document of each region: whoever deploys need not set up.
        policies = [documents["deploy"]]
        self.region = REGIONS[1]
        policies.append(json.loads(self.project.run("setup", "--show-policy").out)["deploy"])
        self.region = REGIONS[0]
        self.user = self.stand.create_user(f"{self.name}-{id(self)}", *policies)

    def command(self, *words: str) -> tuple[int, str]:
        """Exit status and what was said; the command may be refused, and never breaks."""
        code, _, said = self.project.call(*words)
        assert code in (0, 2) and "Traceback" not in said, (words, code, said)
        assert code == 0 or "Do: " in said or "?" in said, (words, said)
        return code, said

    def deploy(self) -> tuple[int, str]:
        return self.command("deploy", "-e", self.kind, "--no-smoke-test")

    def change(self) -> None:
        """New code, or the same again, or instances in place of serverless."""
        if self.random.random() < 0.8:
            self.factor += 1
            self.project.write_code(self.factor)
        if self.random.random() < 0.2:
            self.kind = "server"

    def settled(self) -> None:
        sagemaker = self.stand.client("sagemaker", region_name=self.region)

        def nothing_under_way() -> bool:
            found = sagemaker.list_endpoints(MaxResults=100)["Endpoints"]
            return all(each["EndpointStatus"] in ("InService", "Failed") for each in found)

        wait_for("endpoints to settle", nothing_under_way, seconds=120)

    def expected(self) -> int | None:
        """What the endpoint answers with after the orders of this step."""
        orders = self.stand.sagemaker.orders[self.ordered :]
        self.ordered += len(orders)
        answer = self.serving[self.region]
        for order in orders:
            assert (order.region, order.endpoint) == (self.region, self.name), order
            fails = self.failing and order is orders[-1]
            if order.operation == "DeleteEndpoint":
                answer = None
                continue
            factor = self.versions.setdefault(order.config, self.factor)
            if not fails:
                answer = factor
            elif order.operation == "CreateEndpoint":
                answer = None
        self.failing = False
        return answer

    def _look(self) -> None:
        """Compare what the command says with what the account holds and what is answered."""
        self.settled()
        sagemaker = self.stand.client("sagemaker", region_name=self.region)
        there = {}
        for each in sagemaker.list_endpoints(MaxResults=100)["Endpoints"]:
            found = sagemaker.describe_endpoint(EndpointName=each["EndpointName"])
            config = sagemaker.describe_endpoint_config(
                EndpointConfigName=found["EndpointConfigName"]
            )
            instances = "InstanceType" in config["ProductionVariants"][0]
            there[found["EndpointName"]] = (
                found["EndpointStatus"],
                "server" if instances else "serverless",
                found["EndpointConfigName"].rpartition("-")[2],
            )
        listed = {
            each["name"]: (each["status"], each["endpoint_type"], each["version"])
            for each in self.project.json("list")["endpoints"]
        }
        assert listed == there, (listed, there)
        status = there.get(self.name, ("", "", ""))[0]
        answer = self.project.invoke({"x": 1})["answer"] if status == "InService" else None
        expected = self.expected()
        assert answer == expected, (answer, expected, status, self.stand.sagemaker.orders)
        assert self.claims in ([], [answer]), (answer, self.claims)
        self.claims = []
        self.serving[self.region] = answer
        self.trace[-1] += f"; {status or 'none'}, answers {answer}"

    def _end(self, before: dict[str, Any]) -> None:
        self.keys = None
        for self.region in REGIONS:
            self.settled()
            self.command("delete", self.name, "--yes", "--if-exists")
            assert self.project.json("list")["endpoints"] == []
        for self.region in REGIONS:
            self.project.run("teardown", "--yes")
            left = self.stand.inventory(self.region)
            assert self.region != REGIONS[-1] or left == before[self.region], left
        assert self.stand.inventory() == before[REGIONS[0]]
        images = docker.APIClient(base_url=self.stand.docker_host).images()
        tags = [tag for image in images for tag in image.get("RepoTags") or ()]
        assert not [tag for tag in tags if f":{self.name}-" in tag], tags


def _deployed(life: Campaign) -> str:
    life.change()
    code, said = life.deploy()
    if code == 0:
        life.claims = [life.factor]
        return "done"
    assert "cannot become serverless" in said, said
    return "refused: instances"


def _deployed_over_a_bad_network(life: Campaign) -> str:
    life.stand.faults.set(**NETWORK, seed=life.random.randrange(100))
    return _deployed(life)


def _deployed_and_failed(life: Campaign) -> str:
    life.change()
    life.stand.faults.set(endpoint_failure=FAILURE)
    code, _ = life.deploy()
    if code == 0:
        # The same version again, so that nothing was deployed.
        assert life.stand.faults.endpoint_failure
        life.claims = [life.factor]
    life.failing = not life.stand.faults.endpoint_failure
    return "refused" if code else "unchanged"


def _ended(life: Campaign, *signals: int) -> str:
    life.change()
    life.stand.faults.set(transition_s=1)
    place = life.random.choice(PLACES)
    running = life.project.start("deploy", "-e", life.kind, "--no-smoke-test")
    assert running.stderr is not None
    said, reached = [], False
    for line in running.stderr:
        said.append(line)
        if reached := line.startswith(place):
            for number in signals:
                running.send_signal(number)
            break
    said.append(running.stderr.read())
    text = "".join(said)
    running.wait(timeout=240)
    assert running.returncode in (0, 2, 130, -signal.SIGKILL), (running.returncode, text)
    assert "Traceback" not in text, text
    if not reached:
        # Refused before, or there was nothing to change.
        assert running.returncode in (0, 2), (running.returncode, text)
        return NEVER_CAME
    return f"at `{place}`, exit status {running.returncode}"


def _killed(life: Campaign) -> str:
    return _ended(life, signal.SIGKILL)


def _interrupted(life: Campaign) -> str:
    return _ended(life, signal.SIGINT)


def _interrupted_twice(life: Campaign) -> str:
    return _ended(life, signal.SIGINT, signal.SIGINT)


def _rolled_back(life: Campaign) -> str:
    code, _ = life.command("rollback", life.name)
    return "refused" if code else "done"


def _rolled_back_during_an_update(life: Campaign) -> str:
    life.change()
    life.stand.faults.set(transition_s=2)
    ordered, _ = life.command("deploy", "-e", life.kind, "--no-smoke-test", "--no-wait")
    code, _ = life.command("rollback", life.name)
    return f"ordered {not ordered}, rollback {'refused' if code else 'done'}"


def _deleted(life: Campaign) -> str:
    code, said = life.command("delete", life.name, "--yes", "--if-exists")
    assert code == 0, said
    life.claims = [None]
    life.kind = "serverless"
    return "done"


def _moved(life: Campaign) -> str:
    life.region = next(region for region in REGIONS if region != life.region)
    return f"to {life.region}"


def _handed_over(life: Campaign) -> str:
    life.keys = life.user if life.keys is None else None
    return "to the administrator" if life.keys is None else "to whoever may deploy only"


STEPS: dict[Step, int] = {
    _deployed: 4,
    _deployed_over_a_bad_network: 2,
    _deployed_and_failed: 2,
    _killed: 4,
    _interrupted: 2,
    _interrupted_twice: 2,
    _rolled_back: 2,
    _rolled_back_during_an_update: 2,
    _deleted: 2,
    _moved: 2,
    _handed_over: 2,
}
"""What may happen, and how often."""


def container(builder: str, away: NoEngine) -> tuple[dict[str, Any], dict[str, str]]:
    """`generate_container` for a builder, and the environment that it needs."""
    code = {"code_dir": "./code"}
    if builder == "docker":
        return {**code, "python_version": "3.11", "builder": "docker"}, {}
    base = {"python_version": PYTHON, "base_image": away.base, "builder": "layers"}
    return {**code, **base}, away.environment


@contextmanager
def _places() -> Iterator[tuple[Stand, NoEngine, Path]]:
    once = functools.cache(create_loader)
    with (
        tempfile.TemporaryDirectory() as name,
        patch("botocore.session.create_loader", once),
        no_engine(Path(name) / "away", PYTHON) as away,
        Stand(
            Path(name) / "stand",
            timing=Timing(provisioning_s=0.1, deletion_s=0.1),
            find_engine=engine.start,
        ) as stand,
    ):
        kept_layers.keep("3.11")
        yield stand, away, Path(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--steps", type=int, default=12)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--report", type=Path)
    given = parser.parse_args()
    began, failed = time.monotonic(), []
    counts: collections.Counter[str] = collections.Counter()
    with _places() as (stand, away, folder):
        for seed in range(given.seed, given.seed + given.runs):
            made = folder / str(seed)
            made.mkdir()
            life = Campaign(stand, made, seed, *container(["docker", "layers"][seed % 2], away))
            try:
                life.live(given.steps)
            except AssertionError as error:
                failed.append(seed)
                print(error, repr(error.__cause__), sep="\n", flush=True)
            counts.update(
                line.partition(" in ")[0] + f" ({NEVER_CAME})" * (NEVER_CAME in line)
                for line in life.trace
            )
            counts["lives"] += 1
            print(f"seed {seed}: {len(life.trace)} steps", flush=True)
            if given.report:
                seconds = time.monotonic() - began
                given.report.write_text(_report(given, counts, failed, seconds))
    return 1 if failed else 0


def _report(
    given: argparse.Namespace, counts: collections.Counter[str], failed: list[int], seconds: float
) -> str:
    asked = f"--runs {given.runs} --steps {given.steps} --seed {given.seed}"
    lines = [
        "# Random lives of an endpoint on the AWS stand-in",
        "",
        f"`python -m tests.aws.campaign {asked}`",
        "",
        "After each step `list` is compared with the account, and the endpoint is invoked: it",
        "answers what the orders say that SageMaker has taken.",
        "At the end all is deleted and torn down, and the account has what it had before.",
        "Odd seeds build with layers, even ones with Docker.",
        "",
        "| | |",
        "|---|---|",
        f"| date | {datetime.date.today().isoformat()} |",
        f"| machine | {platform.machine()}, {platform.system()}, 2 cores shared with other work |",
        f"| Python | {platform.python_version()} |",
        f"| lives that went wrong | {len(failed)}{f' (seeds {failed})' if failed else ''} |",
        *(f"| {name.replace('_', ' ')} | {count} |" for name, count in sorted(counts.items())),
        f"| seconds | {seconds:.0f} |",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.exit(main())
