"""Create, update and watch SageMaker endpoints."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal, TypeVar

from sageturner_magic.aws.endpoints import autoscaling, logs
from sageturner_magic.aws.endpoints.endpoint import (
    GONE,
    EndpointState,
    busy,
    delete_endpoint,
    find_endpoint,
    ours,
    read_endpoint,
    release_endpoint,
)
from sageturner_magic.aws.endpoints.spec import (
    EndpointSpec,
    config_request,
    endpoint_request,
    model_request,
    update_request,
)
from sageturner_magic.aws.endpoints.versions import (
    find_version,
    running_on,
)
from sageturner_magic.aws.errors import diagnose, is_aws, message, patiently, unless
from sageturner_magic.aws.freshness import CONSISTENCY_S, Pause
from sageturner_magic.aws.names import (
    TAG_PREVIOUS,
    TAG_SECONDS,
    TAG_VERSION,
    log_group,
    own_tags,
    split_versioned,
    tag_list,
)
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.config import Server, Serverless
from sageturner_magic.errors import AwsError, EndpointError, Finding

T = TypeVar("T")
Deed = Literal["created", "updated", "replaced", "unchanged", "under way"]

_ROLE_NOT_YET = (
    r"could not assume role|cannot assume role|could not access model data|"
    r"the role \S+ does not have [\w:]+ permission"
)
_NOT_YET = rf"{_ROLE_NOT_YET}|could not find (model|endpoint configuration) \""
_EXISTS = r"already existing"
_POLL_S = (1.0, 15.0)
_TICK_S = 1.0
_DELETION_S = 900.0


@dataclass(frozen=True)
class Patience:
    """How calls wait for what they name to be known everywhere.

    Attributes:
        pause: Called with the seconds to wait; what it raises ends the work.
        say: Told what is waited for.
    """

    pause: Pause = time.sleep
    say: Callable[[str], object] = lambda line: None

    def __call__(self, call: Callable[[], T]) -> T:
        """`call()`, repeated while a thing it names is too new."""
        return patiently(_NOT_YET, call, seconds=CONSISTENCY_S, pause=self.pause, say=self.say)


@dataclass(frozen=True)
class Update:
    """What `watch` yields: the endpoint, and for how many seconds it has been watched."""

    endpoint: EndpointState
    elapsed: float


def apply_spec(
    session: AwsSession,
    spec: EndpointSpec,
    *,
    pause: Pause = time.sleep,
    say: Callable[[str], object] = lambda line: None,
) -> Deed:
    """Make the endpoint what `spec` says: create it, update it in place, or leave it.

    An endpoint of ours that has failed is deleted and made anew. One that is on its way to this
    very version is left to get there (`under way`): so an interrupted deployment goes on.
    Returns when SageMaker has taken the order; `watch` follows it and `settle` judges it.

    Permissions: sagemaker:CreateModel, sagemaker:CreateEndpointConfig, sagemaker:CreateEndpoint,
    sagemaker:UpdateEndpoint, sagemaker:AddTags, iam:PassRole; those of `find_endpoint`,
    `find_version`, `delete_endpoint` and `autoscaling.describe`.

    Args:
        session: Who asks.
        spec: What the endpoint becomes.
        pause: Called with the seconds to wait; what it raises ends the work.
        say: Told when SageMaker does not know something yet.

    Raises:
        EndpointError: The endpoint is not ours, is busy with another change, or would have to
            become serverless.
        AwsError: A call failed.
    """
    patient = Patience(pause, say)
    present = find_endpoint(session, spec.name)
    deed: Deed = "created"
    if present and ours(present):
        if present.heads_for == spec.resource and present.status in ("Creating", "Updating"):
            return "under way"
        if present.status in ("Failed", "Deleting"):
            delete_endpoint(session, spec.name)
            release_endpoint(session, spec.name)
            wait_until_gone(session, spec.name, pause=pause)
            present, deed = None, "replaced"
        elif not present.settled:
            raise busy(present)
    _ensure_version(session, spec, patient)
    if present is None:
        return _create(session, spec, deed, patient)
    if present.config != spec.resource:
        switch(session, present, spec.resource, spec.compute, patient)
        deed = "updated"
    else:
        deed = "unchanged"
    if spec.tags:
        _tag(session, present, dict(spec.tags))
    return deed


def watch(
    session: AwsSession,
    name: str,
    *,
    pause: Pause = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> Iterator[Update]:
    """The endpoint every second until it has settled or is gone.

    SageMaker is asked less and less often, down to every 15 s.

    Permissions: sagemaker:DescribeEndpoint. Raises AwsError.

    Args:
        session: Who asks.
        name: The endpoint's.
        pause: Called with the seconds to wait; what it raises ends the watching.
        clock: Seconds, from any start.
    """
    start, asked, interval = clock(), float("-inf"), _POLL_S[0]
    endpoint = EndpointState(name)
    while True:
        now = clock()
        if now - asked >= interval:
            with session.call("watch the endpoint", f"endpoint {name}"):
                endpoint = read_endpoint(session, name)
            asked, interval = now, min(interval * 1.3, _POLL_S[1])
        yield Update(endpoint, now - start)
        if endpoint.settled:
            return
        pause(_TICK_S)


def wait_until_gone(
    session: AwsSession,
    name: str,
    *,
    pause: Pause = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Wait until an endpoint that is being deleted is no more. Permissions: as `watch`.

    Raises:
        EndpointError: It is still there after 15 minutes, or its deletion failed.
    """
    for update in watch(session, name, pause=pause, clock=clock):
        if update.elapsed > _DELETION_S:
            break
    if update.endpoint.status != GONE:
        raise EndpointError(
            f"{name} was not deleted",
            where=f"endpoint {name}",
            why=f"it is {update.endpoint.status}"
            + (f": {update.endpoint.failure_reason}" if update.endpoint.failure_reason else ""),
            do=f"run `sageturner delete {name}` again in a few minutes",
        )


def came_too_early(endpoint: EndpointState, wanted: str) -> bool:
    """Whether a change failed because the role, or its policies, may be too new for SageMaker.

    The plan has seen that the role allows what the endpoint needs, but IAM tells changes to
    some services later than to others.
    """
    failed = endpoint.status == "Failed" or endpoint.config != wanted
    return failed and bool(re.search(_ROLE_NOT_YET, endpoint.failure_reason, re.IGNORECASE))


def settle(
    session: AwsSession, endpoint: EndpointState, wanted: str, seconds: float
) -> tuple[Finding, ...]:
    """Judge an endpoint that has settled: note the success in its tags, or say why it failed.

    Permissions: sagemaker:AddTags, sagemaker:DescribeEndpointConfig, sagemaker:DescribeModel,
    sagemaker:ListTags; those of `logs.tail` and `logs.claim_group`.

    Args:
        session: Who asks.
        endpoint: From the last `Update` of `watch`.
        wanted: The name of the config that it was to serve.
        seconds: How long the deployment took.

    Returns:
        Notes for what was refused and is not necessary.

    Raises:
        EndpointError: It failed, was rolled back, or is gone; with the cause and the log's end.
        AwsError: A call failed.
    """
    if endpoint.status == "InService" and endpoint.config == wanted:
        parts = split_versioned(wanted)
        _tag(
            session,
            endpoint,
            {TAG_VERSION: parts[1] if parts else "", TAG_SECONDS: f"{seconds:.0f}"},
        )
        return logs.claim_group(session, endpoint.name)
    where = f"endpoint {endpoint.name}"
    if endpoint.status == GONE:
        raise EndpointError(
            f"{endpoint.name} was deleted while it was deployed",
            where=where,
            do="deploy again",
            code="ST84",
        )
    if endpoint.status == "InService" and _superseded(session, endpoint, wanted):
        raise EndpointError(
            f"Another deployment of {endpoint.name} has followed this one",
            where=where,
            why=f"the endpoint serves version {endpoint.version or endpoint.config}",
            do="deploy again if yours is still wanted",
            code="ST84",
        )
    finding = _why(session, endpoint, wanted, seconds)
    what, do = finding.what, finding.do
    if endpoint.status == "InService":
        what = f"The update failed, and {endpoint.name} serves its former version again"
    raise EndpointError(what, why=finding.why, do=do, where=where, details=finding.details)


def _superseded(session: AwsSession, endpoint: EndpointState, wanted: str) -> bool:
    """Whether `wanted` served before what serves now, so that it did not fail."""
    parts = split_versioned(wanted)
    present = find_endpoint(session, endpoint.name)
    return bool(parts and present and present.tags.get(TAG_PREVIOUS) == parts[1])


def _why(session: AwsSession, endpoint: EndpointState, wanted: str, seconds: float) -> Finding:
    version = find_version(session, wanted)
    compute = version.compute if version else None
    # What former containers of the endpoint wrote would mislead.
    began = endpoint.modified - seconds - 60
    try:
        log = logs.start_log(session, log_group(endpoint.name), began)
    except AwsError:
        # Without permission to read the log the FailureReason must do.
        log = ""
    return diagnose(
        endpoint.failure_reason,
        log,
        instance_type=compute.instance_type if isinstance(compute, Server) else "",
        region=session.region,
    )


def _ensure_version(session: AwsSession, spec: EndpointSpec, patient: Patience) -> None:
    tags = own_tags(session)
    # The names hold the digest of all that is in them: what exists is the same.
    with session.call("create the model", f"model {spec.resource}", resource=spec.role_arn):
        unless(
            _EXISTS,
            lambda: patient(lambda: session.sagemaker.create_model(**model_request(spec, tags))),
        )
    with session.call("create the endpoint config", f"endpoint config {spec.resource}"):
        unless(
            _EXISTS,
            lambda: patient(
                lambda: session.sagemaker.create_endpoint_config(**config_request(spec, tags))
            ),
        )


def _create(session: AwsSession, spec: EndpointSpec, deed: Deed, patient: Patience) -> Deed:
    request = endpoint_request(spec, own_tags(session))
    with session.call("create the endpoint", f"endpoint {spec.name}"):
        created = unless(
            _EXISTS,
            lambda: patient(lambda: session.sagemaker.create_endpoint(**request)),
        )
        if created:
            return deed
        winner = read_endpoint(session, spec.name)
    if winner.heads_for != spec.resource:
        raise _lost(spec.name)
    return "under way"


def one_way(name: str, old: Serverless | Server | None, new: Serverless | Server) -> Finding | None:
    """The error where an endpoint on instances would have to become serverless. Calls nothing."""
    if not (isinstance(new, Serverless) and isinstance(old, Server)):
        return None
    return Finding(
        f"{name} runs on instances and cannot become serverless",
        where="--endpoint-type",
        why="SageMaker turns serverless endpoints into real-time ones, not the reverse",
        do=f"delete it first (`sageturner delete {name}`), or choose another `name`",
        code="ST80",
    )


def switch(
    session: AwsSession,
    present: EndpointState,
    config: str,
    compute: Serverless | Server,
    patient: Patience,
) -> None:
    """Order the endpoint to serve `config`, and note in its tags what it served before."""
    name = present.name
    old = next(iter(running_on(session, present)), None)
    if finding := one_way(name, old, compute):
        raise EndpointError.of([finding])
    scales = autoscaling.describe(session, name) is not None
    same_type = (
        isinstance(old, Server)
        and isinstance(compute, Server)
        and old.instance_type == compute.instance_type
    )
    if scales and not same_type:
        # SageMaker refuses to change the instance type under a scalable target.
        autoscaling.remove(session, name)
    # First, so that an interruption in between does not lose it.
    _tag(session, present, {TAG_PREVIOUS: present.version})
    request = update_request(name, config, compute, keep_instances=scales and same_type)
    with session.call("update the endpoint", f"endpoint {name}", resource=present.arn):
        try:
            patient(lambda: session.sagemaker.update_endpoint(**request))
        except Exception as error:
            if is_aws(error) and re.search(r"in-?progress", message(error), re.IGNORECASE):
                raise _lost(name) from error
            raise


def _tag(session: AwsSession, endpoint: EndpointState, tags: dict[str, str]) -> None:
    with session.call("tag the endpoint", f"endpoint {endpoint.name}", resource=endpoint.arn):
        session.sagemaker.add_tags(
            ResourceArn=endpoint.arn,
            Tags=tag_list(tags),  # type: ignore[arg-type]
        )


def _lost(name: str) -> EndpointError:
    return EndpointError(
        f"Another deployment of {name} was faster",
        where=f"endpoint {name}",
        why="SageMaker makes one change of an endpoint at a time",
        do=f"wait until `sageturner status {name}` shows it settled, and deploy again if yours is "
        "still wanted",
        code="ST84",
    )
