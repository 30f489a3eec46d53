"""The places where moto has to say something else while a stand runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.core.resource_tagging import TaggedResource
from moto.ecr.models import Repository
from moto.iam.access_control import PermissionResult
from moto.s3.models import FakeBucket, S3Backend
from moto.sagemaker.models import SageMakerModelBackend, sagemaker_backends

from tests.stand.wire import ACCOUNT

TagsOf = Callable[[str], Mapping[str, Mapping[str, str]]]


@contextmanager
def seams(registry_host: Callable[[], str], sagemaker_tags: TagsOf) -> Iterator[None]:
    """Hold moto to the stand for as long as the block runs; it starts and ends empty.

    Args:
        registry_host: Where ECR's repositories are really reached.
        sagemaker_tags: Region -> the tags of its SageMaker resources, by ARN.
    """
    plain, without_tags = Repository.__init__, S3Backend.delete_bucket

    def repository(self: Repository, *arguments: Any, **named: Any) -> None:
        plain(self, *arguments, **named)
        self.uri = f"{registry_host()}/{self.name}"

    def tagged(self: SageMakerModelBackend) -> Iterator[TaggedResource]:
        for arn, tags in sagemaker_tags(self.region_name).items():
            kind = arn.split(":")[5].partition("/")[0]
            yield TaggedResource(arn, dict(tags), f"sagemaker:{kind}")

    def neutral(self: FakeBucket, action: str, resource: str) -> PermissionResult:
        # moto's look at a bucket policy leaves conditions out; the stand has decided before.
        return PermissionResult.NEUTRAL

    def delete_bucket(self: S3Backend, bucket_name: str) -> FakeBucket | None:
        # A new bucket of the same name would have the tags of the deleted one.
        deleted = without_tags(self, bucket_name)
        if deleted:
            self.tagger.delete_all_tags_for_resource(deleted.arn)
        return deleted

    _reset()
    with ExitStack() as stack:
        stack.enter_context(patch.object(Repository, "__init__", repository))
        stack.enter_context(patch.object(SageMakerModelBackend, "iter_tagged_resources", tagged))
        stack.enter_context(patch.object(FakeBucket, "get_permission", neutral))
        stack.enter_context(patch.object(S3Backend, "delete_bucket", delete_bucket))
        # The tagging API passes over services that nobody has used.
        sagemaker_backends[ACCOUNT]["us-east-1"]
        yield
    _reset()


def _reset() -> None:
    BackendDict.reset()
    reset_model_data()
