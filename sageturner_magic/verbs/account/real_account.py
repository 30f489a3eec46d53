"""Check on a real account what this package takes for granted about AWS.

An endpoint of a name of its own lives for some minutes, first serverless and then on a small
instance. Each thing that is taken for granted is met on the way and reported, and all is removed.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from sageturner_magic.aws import AwsSession, find_repository, names_in
from sageturner_magic.aws import account as aws_account
from sageturner_magic.aws.endpoints import watch
from sageturner_magic.aws.storage import bucket_region
from sageturner_magic.config import Config, Origin, parse_config
from sageturner_magic.constants import EndpointType
from sageturner_magic.context import DEFAULT_AWS, AwsOptions
from sageturner_magic.endpoints import Endpoint
from sageturner_magic.errors import Cancelled, InvocationError, SageturnerError, UsageError
from sageturner_magic.scratch import scratch_folder
from sageturner_magic.verbs.account.removing import delete, teardown
from sageturner_magic.verbs.account.setting_up import setup
from sageturner_magic.verbs.deploying import start_deployment
from sageturner_magic.verbs.diagnosis import Report
from sageturner_magic.verbs.verb import finish

NAME = "sageturner-check"
INSTANCE = "ml.t2.medium"
MINUTES = 40
DOLLARS = 0.25
"""The most that it costs: an hour of the instance is $0.06, and requests, S3 and ECR are cents."""

REPORT = "sageturner-aws-check.md"

_MB = 1_000_000
_CODE = """\
import getpass
import multiprocessing
import os


def load():
    return None


def predict(model, request, context):
    if isinstance(request, bytes):
        return {"size": len(request), "type": context.content_type}
    if request == "stream":
        return iter(["a", "b"])
    try:
        shared = bool(multiprocessing.Lock())
    except OSError:
        shared = False
    written = os.path.join(os.path.expanduser("~"), "written")
    open(written, "w").close()
    return {"user": getpass.getuser(), "shared_memory": shared}
"""


def check_account(*, yes: bool = False, aws: AwsOptions = DEFAULT_AWS) -> Report:
    """Deploy, call and remove two small endpoints, and report what AWS does differently.

    The report is also written to `sageturner-aws-check.md`, without account numbers.

    Args:
        yes: The costs are agreed to.

    Raises:
        UsageError: They are not.
        AwsError: There are no credentials.
    """
    if not yes:
        raise UsageError(
            "A check of a real account costs money",
            why=f"a serverless endpoint and one on {INSTANCE} live for {MINUTES} minutes at most,"
            f" which is less than ${DOLLARS:.2f}; all is removed afterwards, also after Ctrl-C",
            do="add `--yes`",
        )
    session = aws.open()
    check = _Check(session, aws)
    untouched = _is_untouched(session)
    try:
        check.run()
    finally:
        check.remove(with_account=untouched)
        report = check.report()
        lines = [f"# Check of AWS, {time.strftime('%Y-%m-%d')}, {session.region}", ""]
        lines += [f"- **{belief}**: {outcome}" for belief, outcome in report.parts]
        Path(REPORT).write_text("\n".join([*lines, ""]), encoding="utf-8")
    return report


def _is_untouched(session: AwsSession) -> bool:
    """Whether neither role, bucket nor repository was there before: only then all of it goes."""
    names = names_in(session)
    there = (aws_account.resolve_role, find_repository, bucket_region)
    return all(look(session, names) is None for look in there)


class _Check:
    def __init__(self, session: AwsSession, aws: AwsOptions) -> None:
        self._session = session
        self._aws = aws
        self._ends = time.monotonic() + 60 * MINUTES
        self._found: list[tuple[str, str]] = []

    def report(self) -> Report:
        """What was found so far; numbers of accounts are left out."""
        return Report(tuple((what, re.sub(r"\d{12}", "…", said)) for what, said in self._found), ())

    def run(self) -> None:
        with scratch_folder() as scratch:
            folder = scratch / "code"
            folder.mkdir()
            Path(folder, "sageturner.py").write_text(_CODE, encoding="utf-8")
            config = _config(folder)
            if not self._holds("setup makes role, bucket and repository", self._set_up):
                return
            if self._holds(
                "ECR takes the image, SageMaker assumes the role, serverless unpacks the layers",
                lambda: self._deploy(config, "serverless"),
            ):
                self._serverless()
            if self._holds(
                "a serverless endpoint becomes one on an instance in place",
                lambda: self._deploy(config, "server"),
            ):
                self._server()

    def remove(self, with_account: bool) -> None:
        """Remove the endpoint, and what setup has made for this check."""
        self._holds("the endpoint is deleted", self._delete)
        if with_account:
            self._holds("role, bucket and repository are removed", self._tear_down)

    def _holds(self, belief: str, check: Callable[[], str]) -> bool:
        """Note what comes of `check`; whether it holds."""
        try:
            self._found.append((belief, check()))
        except Cancelled:
            # By the user or by the limit of time: what follows is the removal.
            self._found.append((belief, "stopped before it was known"))
            raise
        except SageturnerError as error:
            self._found.append((belief, f"not so: {error}"))
            return False
        return True

    def _set_up(self) -> str:
        return f"yes ({len(setup(aws=self._aws))} changes)"

    def _deploy(self, config: Config, endpoint_type: EndpointType) -> str:
        begin = time.monotonic()
        handle = start_deployment(
            config, endpoint_type=endpoint_type, smoke_test=False, aws=self._aws
        )
        limit = threading.Timer(max(0.0, self._ends - begin), handle.cancel)
        limit.start()
        try:
            finish(handle)
        finally:
            limit.cancel()
        return f"yes, InService after {time.monotonic() - begin:.0f} s"

    def _serverless(self) -> None:
        self._holds("HOME can be written and getpass.getuser() works", self._home)
        self._holds("there is no shared memory", self._shared_memory)
        self._holds("a request of 3.9 MB is taken", lambda: self._size(39 * _MB // 10))
        self._holds("a request of 4.5 MB is refused", lambda: self._refused(45 * _MB // 10))
        self._holds("responses are streamed on serverless", self._stream)
        self._holds("a request without ContentType comes as octet-stream", self._untyped)

    def _server(self) -> None:
        self._holds("a request of 24 MB is taken", lambda: self._size(24 * _MB))
        self._holds("a request of 26 MB is refused", lambda: self._refused(26 * _MB))
        self._holds("responses are streamed", self._stream)

    @property
    def _endpoint(self) -> Endpoint:
        return Endpoint(NAME, region=self._session.region, profile=self._session.profile)

    def _home(self) -> str:
        return f"yes, as {self._endpoint.invoke('look').value['user']}"

    def _shared_memory(self) -> str:
        found = self._endpoint.invoke("look").value["shared_memory"]
        return "not so: multiprocessing.Lock works" if found else "yes"

    def _size(self, size: int) -> str:
        got = self._endpoint.invoke(b"\0" * size).value["size"]
        return "yes" if got == size else f"not so: {got} bytes arrive"

    def _refused(self, size: int) -> str:
        with suppress(InvocationError):
            self._size(size)
            return "not so: it is taken"
        return "yes"

    def _stream(self) -> str:
        pieces = list(self._endpoint.invoke_stream("stream"))
        return f"yes, {len(pieces)} pieces"

    def _untyped(self) -> str:
        with self._session.call("invoke the endpoint", f"endpoint {NAME}"):
            answer = self._session.runtime.invoke_endpoint(EndpointName=NAME, Body=b"{}")
            said = answer["Body"].read().decode()
        return "yes" if "octet-stream" in said else f"not so: predict answers {said}"

    def _delete(self) -> str:
        # After an interruption a change may be under way, which SageMaker lets end first.
        for _ in watch(self._session, NAME):
            pass
        delete(NAME, if_exists=True, aws=self._aws)
        return "yes"

    def _tear_down(self) -> str:
        teardown(aws=self._aws)
        return "yes"


def _config(folder: Path) -> Config:
    text = (
        f"name: {NAME}\n"
        "artefact: none\n"
        "container: {generate_container: {code_dir: ., python_packages: []}}\n"
        "compute:\n"
        "  serverless: {memory: 1024, max_concurrency: 1}\n"
        f"  server: {{instance_type: {INSTANCE}}}\n"
    )
    return parse_config(text, folder=folder, origin=Origin.file(""))
