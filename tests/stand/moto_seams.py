"""The places where moto has to say something else while a stand runs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any
from unittest.mock import patch

from moto.core.base_backend import BackendDict
from moto.core.model_instances import reset_model_data
from moto.core.resource_tagging import TaggedResource
from moto.ecr.models import Repository
from moto.iam.access_control import PermissionResult
from moto.iam.exceptions import LimitExceededException
from moto.iam.models import Group, PolicyVersion, Role, User
from moto.s3.models import FakeBucket, S3Backend
from moto.sagemaker.models import SageMakerModelBackend, sagemaker_backends

from tests.stand.wire import ACCOUNT

TagsOf = Callable[[str], Mapping[str, Mapping[str, str]]]


@contextmanager
def seams(registry_host: Callable[[str], str], sagemaker_tags: TagsOf) -> Iterator[None]:
    """Hold moto to the stand for as long as the block runs; it starts and ends empty.

    Args:
        registry_host: Region -> where its ECR repositories are really reached.
        sagemaker_tags: Region -> the tags of its SageMaker resources, by ARN.
    """
    plain, without_tags = Repository.__init__, S3Backend.delete_bucket

    def repository(self: Repository, *arguments: Any, **named: Any) -> None:
        plain(self, *arguments, **named)
        self.uri = f"{registry_host(self.region_name)}/{self.name}"

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

    with ExitStack() as stack:
        # AWS's own managed policies are there.
        managed = {"MOTO_IAM_LOAD_MANAGED_POLICIES": "true"}
        stack.enter_context(patch.dict(os.environ, managed))
        _reset()
        for patched in _iam_sizes():
            stack.enter_context(patched)
        stack.enter_context(patch.object(Repository, "__init__", repository))
        stack.enter_context(patch.object(SageMakerModelBackend, "iter_tagged_resources", tagged))
        stack.enter_context(patch.object(FakeBucket, "get_permission", neutral))
        stack.enter_context(patch.object(S3Backend, "delete_bucket", delete_bucket))
        # The tagging API passes over services that nobody has used.
        sagemaker_backends[ACCOUNT]["us-east-1"]
        yield
    _reset()


def _iam_sizes() -> Iterator[Any]:
    """IAM's limits for policies, in which white space does not count.

    https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """
    for holder, limit in ((User, 2048), (Group, 5120), (Role, 10_240)):
        yield patch.object(holder, "put_policy", _inline(holder.put_policy, limit))
    version = PolicyVersion.__init__

    def sized(self: PolicyVersion, arn: str, document: str, *more: Any, **named: Any) -> None:
        if not arn.split(":")[4] == "aws" and _size(document) > 6144:
            raise LimitExceededException("Cannot exceed quota for PolicySize: 6144")
        version(self, arn, document, *more, **named)

    yield patch.object(PolicyVersion, "__init__", sized)


def _inline(plain: Callable[..., None], limit: int) -> Callable[..., None]:
    def put_policy(self: User | Group | Role, name: str, document: str) -> None:
        others = [each for other, each in self.policies.items() if other != name]
        if sum(map(_size, [*others, document])) > limit:
            raise LimitExceededException(
                f"Maximum policy size of {limit} bytes exceeded for "
                f"{type(self).__name__.lower()} {self.name}"
            )
        plain(self, name, document)

    return put_policy


def _size(document: str) -> int:
    return len("".join(document.split()))


def _reset() -> None:
    BackendDict.reset()
    reset_model_data()
