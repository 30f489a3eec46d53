"""Public functions: what they say to wrong arguments, and how they are awaited."""

import asyncio
import inspect
import threading

import pytest

import sageturner_magic
from sageturner_magic.calls import checked, followed, in_thread
from sageturner_magic.context import DEFAULT_AWS, AwsOptions
from sageturner_magic.errors import DeploymentCancelled, UsageError

FUNCTIONS = [
    name for name in sageturner_magic.__all__ if inspect.isfunction(getattr(sageturner_magic, name))
]


class Nothing:
    """A value that no argument takes."""


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_argument_of_a_wrong_type_gets_further(name):
    function = getattr(sageturner_magic, name)
    takes_all = {"payload", "model", "example"}
    for argument in inspect.signature(function).parameters.keys() - takes_all:
        needed = {
            each.name: "x"
            for each in inspect.signature(function).parameters.values()
            if each.default is each.empty
        }
        with pytest.raises(UsageError) as error:
            function(**{**needed, argument: Nothing()})
        (finding,) = error.value.findings
        assert finding.what == f"`{argument}` of `{name}()` is a Nothing"
        assert finding.do.startswith("pass ")


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (
            lambda s: s.deploy(name="digits", endpoint_type="serverles"),
            (
                "`endpoint_type` of `deploy()` is 'serverles', a str: it takes one of 'local', "
                "'serverless', 'server'. Do: did you mean `endpoint_type='serverless'`?"
            ),
        ),
        (
            lambda s: s.deploy(name="digits", memroy=2048),
            "`deploy()` has no argument `memroy`",
        ),
        (
            lambda s: s.AwsOptions(regoin="eu-west-1"),
            (
                "`AwsOptions()` has no argument `regoin`: it takes `profile`, `region`, "
                "`endpoint_type`. Do: write `region=`"
            ),
        ),
        (
            lambda s: s.invoke("digits"),
            (
                "`invoke()` does not fit its arguments: missing a required argument: 'payload'. "
                "Do: write `invoke(name=…, payload=…)`"
            ),
        ),
        (
            lambda s: s.plan(42),
            (
                "`config` of `plan()` is 42, an int. Do: pass a dict, text, a path or "
                "sageturner_magic.Config(…)."
            ),
        ),
        (lambda s: s.Endpoint(b"digits"), "`name` of `Endpoint()` is a bytes. Do: pass text."),
        (
            lambda s: s.Endpoint("digits", regoin="eu"),
            (
                "`Endpoint()` has no argument `regoin`: it takes `name`, `profile`, `region`, "
                "`endpoint_type`. Do: write `region=`"
            ),
        ),
    ],
)
def test_wrong_arguments_are_told_with_the_remedy(call, said):
    with pytest.raises(UsageError) as error:
        call(sageturner_magic)
    assert said in str(error.value)


def test_all_wrong_arguments_are_told_at_once():
    with pytest.raises(UsageError) as error:
        sageturner_magic.deploy(name=3, memory="5", environment=["A"], aws="eu-west-1")
    assert [each.do for each in error.value.findings] == [
        "pass text",
        "pass a whole number",
        "pass a dict",
        "pass sageturner_magic.AwsOptions(…)",
    ]


def test_a_function_of_aws_takes_profile_and_region_too():
    @checked
    def where(*, aws: AwsOptions = DEFAULT_AWS) -> AwsOptions:
        return aws

    assert where() is DEFAULT_AWS
    assert where(region="eu-west-1") == AwsOptions(region="eu-west-1")
    there = AwsOptions(profile="team", endpoint_type="server")
    assert where(aws=there, region="eu-west-1") == AwsOptions("team", "eu-west-1", "server")
    for name in FUNCTIONS:
        takes = inspect.signature(getattr(sageturner_magic, name)).parameters
        assert "aws" not in takes or {"profile", "region"} <= takes.keys()


def test_values_reach_the_function_as_they_were_given():
    given = {"a": ["b"]}

    @checked
    def same(value: dict[str, list[str]], *rest: object) -> object:
        return value

    assert same(given) is given


def test_an_awaited_function_leaves_the_event_loop_to_others():
    may_end = threading.Event()

    def wait(result: int) -> int:
        assert may_end.wait(30)
        return result

    async def both():
        waiting = asyncio.create_task(in_thread(wait)(4))
        await asyncio.sleep(0)
        may_end.set()
        return await waiting

    assert asyncio.run(both()) == 4


class Work:
    """Work that has begun, and cleans up when it is cancelled."""

    def __init__(self):
        self.said = []
        self.ended = threading.Event()

    def done(self):
        return self.ended.is_set()

    def cancel(self):
        self.said.append("cancel")
        threading.Timer(0.01, self._clean_up).start()

    def _clean_up(self):
        self.said.append("cleaned up")
        self.ended.set()

    def result(self):
        if self.said:
            raise DeploymentCancelled("The deployment was stopped")
        return "deployed"


def test_work_is_awaited_to_its_result():
    work = Work()
    work.ended.set()
    assert asyncio.run(followed(Work, lambda: work)()) == "deployed"


def test_cancelling_stops_the_work_and_waits_for_its_clean_up():
    work = Work()

    async def cancelled():
        task = asyncio.create_task(followed(Work, lambda: work)())
        await asyncio.sleep(0)
        task.cancel()
        await task

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(cancelled())
    assert work.said == ["cancel", "cleaned up"]
