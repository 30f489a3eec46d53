"""How a deployment reads."""

import pytest

from sageturner_magic.deployment.events import Deployment, Ended
from sageturner_magic.deployment.progress import Measure, Progress
from sageturner_magic.errors import EndpointError
from sageturner_magic.rendering import deployments


@pytest.mark.parametrize(
    ("measure", "text"),
    [
        (Measure(1_000_000, 2_000_000, "B"), "1.0 MB of 2.0 MB"),
        (Measure(1_000_000, None, "B"), "1.0 MB"),
        (Measure(1, 3, "instances"), "1 of 3 instances"),
        (Measure(2, None, "files"), "2 files"),
    ],
)
def test_measures(measure, text):
    assert deployments.measure(measure) == text


def test_what_was_to_be_rolled_back_is_not_said_to_be_deployed():
    progress = Progress("digits", "Rolling back", "rolled back")
    assert deployments.headline(progress) == "Rolling back digits"
    progress.apply(Ended(1.0, None, EndpointError("no")))
    assert deployments.headline(progress) == "digits was not rolled back"


def test_a_deployment_takes_the_time_from_pressing_the_key():
    progress = Progress("digits")
    progress.begin = 10.0
    deployment = Deployment("digits", "local", "v", "http://h", "", "In[1]", 1.0)
    progress.apply(Ended(15.0, deployment, None))
    assert deployments.headline(progress) == "digits answers at http://h, deployed in 5.0 s"
