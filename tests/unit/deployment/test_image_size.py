"""An image that is too large for its endpoint is refused before it is pushed."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sageturner_magic.aws.endpoints.limits import SERVERLESS_IMAGE_BYTES
from sageturner_magic.config import Server, Serverless
from sageturner_magic.deployment.plans.sagemaker_steps import refuse_too_large
from sageturner_magic.errors import ImageError
from sageturner_magic.image.spec import BuiltImage

IMAGE = BuiltImage(
    "digits-0123456789ab", "sageturner:digits", "amd64", SERVERLESS_IMAGE_BYTES, reused=False
)


def test_an_image_that_is_too_large_for_serverless_is_refused_before_the_push() -> None:
    larger = replace(IMAGE, size=SERVERLESS_IMAGE_BYTES + 1)
    with pytest.raises(ImageError, match="serverless endpoint takes"):
        refuse_too_large(larger, Serverless(memory=2048, max_concurrency=5))
    refuse_too_large(larger, Server(instance_type="ml.m5.xlarge"))
    refuse_too_large(IMAGE, Serverless(memory=2048, max_concurrency=5))
