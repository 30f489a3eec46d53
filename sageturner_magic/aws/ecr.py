"""Create and repair the ECR repository; find and delete its images."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from sageturner_magic.aws.errors import REFUSED, courtesy, refused, unless
from sageturner_magic.aws.freshness import once_seen
from sageturner_magic.aws.names import (
    TAG_CREATED_BY,
    TAG_MOUNTING,
    Names,
    own_tags,
    tag_list,
    tag_map,
)
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.errors import AwsError, Finding
from sageturner_magic.values import ImageRef

UNTAGGED_DAYS = 14
LIFECYCLE: dict[str, Any] = {
    "rules": [
        {
            "rulePriority": 1,
            "description": f"Untagged images expire after {UNTAGGED_DAYS} days",
            "selection": {
                "tagStatus": "untagged",
                "countType": "sinceImagePushed",
                "countUnit": "days",
                "countNumber": UNTAGGED_DAYS,
            },
            "action": {"type": "expire"},
        }
    ]
}
"""Only untagged images: one with a tag may be needed by a live endpoint that scales out."""

_NO_REPOSITORY = r"^RepositoryNotFoundException"


@dataclass(frozen=True)
class Repository:
    """An ECR repository.

    Attributes:
        name: Within the registry.
        uri: Host and name, as an image's address begins.
        ours: Whether it carries our tag; None where the caller may not read its tags.
        shares: Whether its tags say that setup let the region's repositories share layers.
        created: Seconds since 1970.
    """

    name: str
    uri: str
    ours: bool | None
    shares: bool = False
    created: float = 0.0


@dataclass(frozen=True)
class StoredImage:
    """An image in the repository.

    Attributes:
        digest: `sha256:…` of its manifest.
        tags: All of them; may be none.
        size: Compressed bytes.
        pushed: Seconds since 1970.
        media_type: Of its manifest.
    """

    digest: str
    tags: tuple[str, ...]
    size: int
    pushed: float
    media_type: str


def ensure_repository(session: AwsSession, names: Names) -> tuple[Repository, tuple[str, ...]]:
    """Create the repository, or repair one that carries our tag.

    A repository of the user's own is used as it is.

    Permissions: ecr:DescribeRepositories, ecr:CreateRepository, ecr:TagResource,
    ecr:ListTagsForResource, ecr:PutImageTagMutability, ecr:PutImageScanningConfiguration,
    ecr:GetLifecyclePolicy, ecr:PutLifecyclePolicy.

    Who may push need not be allowed to tag or repair it: that becomes a line, too.

    Returns:
        The repository, and a line for everything that was changed or could not be.

    Raises:
        AwsError: A call failed.
    """
    name, notes = names.repository, list[str]()
    with session.call("set up the image repository", f"repository {name}", resource=_arn(names)):
        found = find_repository(session, names)
        if found is None:
            notes.append(_create(session, name))
            found = find_repository(session, names)
        if found is None:
            raise AwsError(
                "The repository was deleted while it was being set up",
                where=f"repository {name}",
                do="run the same command again",
            )
        if found.ours:
            notes += _repair(session, names)
    return found, tuple(notes)


def _create(session: AwsSession, name: str) -> str:
    """Create the repository; returns a line for what was done."""
    tags: Any = tag_list(own_tags(session))

    def create(**more: Any) -> str:
        unless(
            # Two first deploys may meet here.
            r"^RepositoryAlreadyExistsException",
            lambda: session.ecr.create_repository(
                repositoryName=name,
                imageTagMutability="IMMUTABLE",
                imageScanningConfiguration={"scanOnPush": True},
                encryptionConfiguration={"encryptionType": "AES256"},
                **more,
            ),
        )
        return f"created repository {name}"

    if done := unless(REFUSED, lambda: create(tags=tags)):
        return done
    return f"{create()} without tags (you may not ecr:TagResource), so teardown keeps it"


def find_repository(session: AwsSession, names: Names) -> Repository | None:
    """The repository, or None if it does not exist.

    Permissions: ecr:DescribeRepositories, ecr:ListTagsForResource. Raises AwsError.
    """
    with session.call(
        "look up the image repository", f"repository {names.repository}", resource=_arn(names)
    ):
        repository = _describe(session, names)
        if repository is None:
            return None
        answer = unless(
            REFUSED,
            lambda: session.ecr.list_tags_for_resource(resourceArn=repository["repositoryArn"]),
        )
        read: Any = answer["tags"] if answer else []
        tags = tag_map(read)
        return Repository(
            name=names.repository,
            uri=repository["repositoryUri"],
            ours=TAG_CREATED_BY in tags if answer else None,
            shares=TAG_MOUNTING in tags,
            created=repository["createdAt"].timestamp(),
        )


def settled_repository(session: AwsSession, names: Names) -> Repository | None:
    """Like `find_repository`, but wait for the tags of a repository that is new."""
    found = find_repository(session, names)
    since = found.created if found else 0.0
    return once_seen(
        lambda: find_repository(session, names),
        lambda repository: repository is None or repository.ours is not False,
        lambda: since,
    )


def set_up_at(session: AwsSession, names: Names) -> float:
    """When `setup` created the repository, in seconds since 1970; 0 where that cannot be seen.

    Setup creates it last, and ECR shows it at once: what setup creates beside it is as new.

    Permissions: ecr:DescribeRepositories; without it the answer is 0.
    """
    try:
        with session.call("look up the image repository", f"repository {names.repository}"):
            repository = _describe(session, names)
    except AwsError as error:
        if not refused(error):
            raise
        return 0.0
    return repository["createdAt"].timestamp() if repository else 0.0


def find_image(
    session: AwsSession, names: Names, *, tag: str, architecture: str
) -> ImageRef | None:
    """The image that was pushed under `tag`, or None if there is none (nor a repository).

    Permissions: ecr:DescribeRepositories, ecr:DescribeImages. Raises AwsError.

    Args:
        session: Who asks.
        names: Which repository.
        tag: It stands for the build's inputs, so what is there need not be pushed again.
        architecture: `amd64` or `arm64`; ECR does not tell it.
    """
    with session.call("look for the image", f"{names.repository}:{tag}", resource=_arn(names)):
        answer = unless(
            rf"^ImageNotFoundException|{_NO_REPOSITORY}",
            lambda: session.ecr.describe_images(
                repositoryName=names.repository, imageIds=[{"imageTag": tag}]
            ),
        )
        found = answer["imageDetails"] if answer else []
        repository = _describe(session, names) if found else None
    if repository is None:
        return None
    image = found[0]
    return ImageRef(
        repository=repository["repositoryUri"],
        digest=image["imageDigest"],
        tag=tag,
        architecture=architecture,
        size=image.get("imageSizeInBytes", 0),
    )


def list_images(session: AwsSession, names: Names) -> tuple[StoredImage, ...]:
    """All images in the repository, oldest first; none where it does not exist.

    Permissions: ecr:DescribeImages. Raises AwsError.
    """
    with session.call("list the images", f"repository {names.repository}", resource=_arn(names)):
        pages = session.ecr.get_paginator("describe_images").paginate(
            repositoryName=names.repository
        )
        images = unless(
            _NO_REPOSITORY, lambda: [image for page in pages for image in page["imageDetails"]]
        )
    found = (
        StoredImage(
            digest=image["imageDigest"],
            tags=tuple(image.get("imageTags", [])),
            size=image.get("imageSizeInBytes", 0),
            pushed=image["imagePushedAt"].timestamp(),
            media_type=image.get("imageManifestMediaType", ""),
        )
        for image in images or []
    )
    return tuple(sorted(found, key=lambda image: (image.pushed, image.digest)))


def delete_images(session: AwsSession, names: Names, digests: Iterable[str]) -> int:
    """Delete images by digest, with all their tags. Those that are gone do not matter.

    Permissions: ecr:BatchDeleteImage.

    Returns:
        How many were deleted.

    Raises:
        AwsError: A call failed, or an image could not be deleted.
    """
    wanted = list(dict.fromkeys(digests))
    deleted: set[str] = set()
    with session.call("delete images", f"repository {names.repository}", resource=_arn(names)):
        for start in range(0, len(wanted), 100):
            deleted |= _delete_batch(session, names, wanted[start : start + 100])
    return len(deleted)


def delete_repository(session: AwsSession, names: Names) -> tuple[str, ...]:
    """Delete the repository with its images; nothing where it is gone or not ours.

    Permissions: ecr:DescribeRepositories, ecr:ListTagsForResource, ecr:DeleteRepository.

    Returns:
        A line for what was done.
    """
    found = settled_repository(session, names)
    if found is None:
        return ()
    if not found.ours:
        why = "you may not read its tags" if found.ours is None else "sageturner did not make it"
        return (f"kept repository {found.name}: {why}",)
    with session.call("delete the repository", f"repository {found.name}", resource=_arn(names)):
        unless(
            _NO_REPOSITORY,
            lambda: session.ecr.delete_repository(repositoryName=found.name, force=True),
        )
    return (f"deleted repository {found.name} and its images",)


def _arn(names: Names) -> str:
    return names.arn("ecr", f"repository/{names.repository}")


def _describe(session: AwsSession, names: Names) -> Any:
    answer = unless(
        _NO_REPOSITORY,
        lambda: session.ecr.describe_repositories(repositoryNames=[names.repository]),
    )
    return answer["repositories"][0] if answer else None


def _delete_batch(session: AwsSession, names: Names, digests: list[str]) -> set[str]:
    answer = unless(
        _NO_REPOSITORY,
        lambda: session.ecr.batch_delete_image(
            repositoryName=names.repository,
            imageIds=[{"imageDigest": digest} for digest in digests],
        ),
    )
    if answer is None:
        return set()
    failures = [f for f in answer.get("failures", []) if f.get("failureCode") != "ImageNotFound"]
    if failures:
        raise AwsError(
            f"Could not delete {len(failures)} images",
            where=f"repository {names.repository}",
            why=f"{failures[0].get('failureCode')}: {failures[0].get('failureReason')}",
            do="run the same command again",
        )
    return {image["imageDigest"] for image in answer.get("imageIds", [])}


def _repair(session: AwsSession, names: Names) -> list[str]:
    lines: list[str] = []
    refused: list[Finding] = []
    where = f"repository {names.repository}"
    with (
        courtesy(refused),
        session.call("repair the image repository", where, resource=_arn(names)),
    ):
        lines += _repairs(session, names)
    return [*lines, *map(str, refused)]


def _repairs(session: AwsSession, names: Names) -> Iterator[str]:
    ecr, name = session.ecr, names.repository
    repository = _describe(session, names)
    if repository["imageTagMutability"] != "IMMUTABLE":
        ecr.put_image_tag_mutability(repositoryName=name, imageTagMutability="IMMUTABLE")
        yield "made the tags immutable"
    if not repository.get("imageScanningConfiguration", {}).get("scanOnPush"):
        ecr.put_image_scanning_configuration(
            repositoryName=name, imageScanningConfiguration={"scanOnPush": True}
        )
        yield "switched on scanning of pushed images"
    answer = unless(
        r"^LifecyclePolicyNotFoundException",
        lambda: ecr.get_lifecycle_policy(repositoryName=name),
    )
    if answer is None or json.loads(answer["lifecyclePolicyText"]) != LIFECYCLE:
        ecr.put_lifecycle_policy(repositoryName=name, lifecyclePolicyText=json.dumps(LIFECYCLE))
        yield f"set untagged images to expire after {UNTAGGED_DAYS} days"
