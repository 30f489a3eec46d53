"""A program that uses the public functions. `test_typed_use.py` checks its types."""

import asyncio
from pathlib import Path

from typing_extensions import assert_type

import sageturner_magic as sageturner
from sageturner_magic import AwsOptions, Config, Deployment, Endpoint, Prediction

CONFIG = {"name": "digits", "compute": {"serverless": {"memory": 2048}}}


def deploy_and_ask() -> None:
    config: Config = sageturner.read_config(CONFIG)
    aws = AwsOptions(profile="team", region="eu-west-1")
    print(sageturner.plan(config, endpoint_type="serverless", aws=aws).version)
    digits = sageturner.deploy(CONFIG, endpoint_type="serverless", aws=aws)
    assert_type(digits, Deployment)
    assert_type(digits.invoke({"pixels": [0.0]}), Prediction)
    print(digits.name, digits.url, digits.version, digits.status().status, [*digits.logs(last=5)])
    for piece in digits.invoke_stream({"prompt": "Once"}):
        print(piece)
    digits.delete()
    sageturner.deploy(Path("sageturner.yaml"), memory=2048, environment={"A": "1"})
    sageturner.deploy("name: digits\n", packages=["numpy"])
    print(sageturner.status("digits").cost_per_hour, sageturner.list()[0].name)
    print(sageturner.load_test("digits", {"pixels": []}, requests=10).throughput)
    sageturner.delete("digits", if_exists=True, say=print)
    assert_type(Endpoint("digits", region="eu-west-1").endpoint, Endpoint)


async def deploy_and_await() -> None:
    digits = await sageturner.adeploy("sageturner.yaml")
    assert_type(digits, Deployment)
    first, second = await asyncio.gather(digits.ainvoke(1), sageturner.ainvoke("digits", 2))
    assert_type(first, Prediction)
    print(second.latency_ms)
    async for piece in await digits.ainvoke_stream({"prompt": "Once"}):
        print(piece)
    await digits.adelete()


try:
    deploy_and_ask()
    asyncio.run(deploy_and_await())
except sageturner.SageturnerError as error:
    print(error.findings[0].do)
