"""Decide what goes with an endpoint, show it, then remove it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from sageturner_magic import aws
from sageturner_magic.aws import (
    TAG_CREATED_BY,
    TAG_LEASE,
    AwsSession,
    Names,
    StoredImage,
    own_tags,
    refusals,
    split_versioned,
    storage,
)
from sageturner_magic.aws import account as aws_account
from sageturner_magic.aws import endpoints as aws_endpoints
from sageturner_magic.aws.account import RoleShare
from sageturner_magic.aws.endpoints import (
    EndpointState,
    EndpointVersion,
    busy,
    delete_endpoint,
    delete_version,
    find_endpoint,
    list_endpoints,
    list_versions,
    ours,
    refuse_protected,
    release_endpoint,
    remove_schedule,
    wait_until_gone,
)
from sageturner_magic.aws.storage import StoredArtefact, bucket_region, delete_bucket
from sageturner_magic.endpoints import container, elsewhere, leases
from sageturner_magic.endpoints.removal.engine_images import engine_images, pushed_images
from sageturner_magic.errors import Finding, SageturnerError
from sageturner_magic.text import size

ORPHAN_AGE_S = 24 * 3600.0
"""What is younger may belong to a deployment that is under way."""

_STORED = re.compile(rf"s3://(?P<bucket>[^/]+)/{storage.ARTEFACTS}[0-9a-f]{{64}}/")
_PUSHED = re.compile(r"[^/]+/(?P<repository>.+)@sha256:")

Say = Callable[[str], None]


@dataclass(frozen=True)
class Removal:
    """What will be removed. Nothing in it is used by anything that stays.

    Attributes:
        names: Where images and artefacts lie.
        endpoint: Its name; empty when there is none to remove.
        versions: Models and endpoint configs.
        images: In the repository.
        artefacts: In the bucket.
        local: On this machine's Docker engine, by name.
        young: What nothing uses and is too young to be removed, a line for each kind.
        notes: What could not be looked up, and therefore stays.
        leased: The endpoint has a lease, whose schedule goes first.
    """

    names: Names
    endpoint: str
    versions: tuple[EndpointVersion, ...]
    images: tuple[StoredImage, ...]
    artefacts: tuple[StoredArtefact, ...]
    local: tuple[str, ...] = ()
    young: tuple[str, ...] = ()
    notes: tuple[Finding, ...] = ()
    leased: bool = False

    def __bool__(self) -> bool:
        return bool(self.endpoint or self.versions or self.images or self.artefacts or self.local)

    def lines(self) -> list[str]:
        """What will be removed, a line each."""
        return [
            *([f"endpoint {self.endpoint}"] if self.endpoint else []),
            *(f"model and endpoint config {version.resource}" for version in self.versions),
            *(
                f"image {', '.join(image.tags) or image.digest} ({size(image.size)})"
                for image in self.images
            ),
            *(
                f"artefact {artefact.digest[:12]} ({size(artefact.size)})"
                for artefact in self.artefacts
            ),
            *_local_lines(self.local),
        ]


def unused(
    gone: Iterable[EndpointVersion],
    staying: Iterable[EndpointVersion],
    images: Iterable[StoredImage],
    artefacts: Iterable[StoredArtefact],
    names: Names,
) -> tuple[tuple[StoredImage, ...], tuple[StoredArtefact, ...]]:
    """The images and artefacts of `gone` that none of `staying` refers to. Pure."""
    leaving, kept = list(gone), list(staying)

    def digests(versions: list[EndpointVersion]) -> set[str]:
        return {version.image.rpartition("@")[2] for version in versions}

    def uris(versions: list[EndpointVersion]) -> str:
        return "\n".join(version.artefact_uri for version in versions)

    unused_images = digests(leaving) - digests(kept)
    leaving_uris, kept_uris = uris(leaving), uris(kept)

    def is_left(artefact: StoredArtefact) -> bool:
        key = f"s3://{names.bucket}/artefacts/{artefact.digest}/"
        return key in leaving_uris and key not in kept_uris

    return (
        tuple(image for image in images if image.digest in unused_images),
        tuple(artefact for artefact in artefacts if is_left(artefact)),
    )


def removal_of_endpoint(session: AwsSession, names: Names, name: str) -> Removal:
    """What goes with endpoint `name`; also what an interrupted removal has left.

    Its versions say themselves in which bucket and repository they lie.

    Raises:
        EndpointError: It is not ours, protected, or being created or updated.
        AwsError: A call failed.
    """
    endpoint = find_endpoint(session, name)
    if endpoint and ours(endpoint).status != "Deleting" and not endpoint.settled:
        raise busy(endpoint)
    refuse_protected(endpoint)
    notes: list[Finding] = []
    everything: tuple[EndpointVersion, ...] = ()
    with refusals(notes):
        everything = list_versions(session)
    gone = tuple(version for version in everything if version.name == name)
    staying = [version for version in everything if version.name != name]
    places = _places(names, gone)
    images, artefacts = unused(gone, staying, *_stored(session, places, notes), places)
    built = engine_images(places.repository)
    return Removal(
        places,
        name if endpoint else "",
        gone,
        images,
        artefacts,
        local=tuple(reference for reference, owner in built.items() if owner == name),
        notes=tuple(notes),
        leased=endpoint is not None and TAG_LEASE in endpoint.tags,
    )


def _stored(
    session: AwsSession, names: Names, notes: list[Finding]
) -> tuple[tuple[StoredImage, ...], tuple[StoredArtefact, ...]]:
    """The images and artefacts that are there, as far as they may be listed."""
    images: tuple[StoredImage, ...] = ()
    artefacts: tuple[StoredArtefact, ...] = ()
    with refusals(notes):
        images = _images(session, names)
    with refusals(notes):
        artefacts = _artefacts(session, names)
    return images, artefacts


def _places(names: Names, versions: Sequence[EndpointVersion]) -> Names:
    """`names` with the bucket and the repository of the newest of `versions` that tell them."""
    for version in sorted(versions, key=lambda each: each.created):
        if stored := _STORED.match(version.artefact_uri):
            names = replace(names, bucket=stored["bucket"])
        if pushed := _PUSHED.match(version.image):
            names = replace(names, repository=pushed["repository"])
    return names


def removal_of_orphans(
    session: AwsSession, names: Names, *, everybody: bool, now: float
) -> Removal:
    """Versions without an endpoint, and images and artefacts that no version refers to.

    Args:
        session: Who asks.
        names: Bucket and repository.
        everybody: Also what others created; otherwise only this caller's versions.
        now: Seconds since 1970; what is younger than a day stays, and is counted.
    """
    notes: list[Finding] = []
    live = {endpoint.name for endpoint in list_endpoints(session)}
    everything = list_versions(session)
    me = own_tags(session)[TAG_CREATED_BY]

    def is_orphan(version: EndpointVersion) -> bool:
        mine = everybody or version.tags.get(TAG_CREATED_BY) == me
        return version.name not in live and mine

    before = now - ORPHAN_AGE_S
    unserved = [version for version in everything if is_orphan(version)]
    gone = tuple(version for version in unserved if version.created < before)
    staying = [version for version in everything if version not in gone]
    used = {version.image.rpartition("@")[2] for version in staying}
    uris = "\n".join(version.artefact_uri for version in staying)
    images, artefacts = _stored(session, names, notes)
    images = tuple(image for image in images if image.digest not in used)
    artefacts = tuple(each for each in artefacts if f"/artefacts/{each.digest}/" not in uris)
    old_images = tuple(image for image in images if image.pushed < before)
    old_artefacts = tuple(artefact for artefact in artefacts if artefact.modified < before)
    built = engine_images(names.repository, older_than=before)
    return Removal(
        names,
        "",
        gone,
        old_images,
        old_artefacts,
        local=tuple(reference for reference, owner in built.items() if owner not in live),
        young=_counts(
            version=len(unserved) - len(gone),
            image=len(images) - len(old_images),
            artefact=len(artefacts) - len(old_artefacts),
        ),
        notes=tuple(notes),
    )


def _counts(**counts: int) -> tuple[str, ...]:
    return tuple(f"{n} {what}{'' if n == 1 else 's'}" for what, n in counts.items() if n)


def remove(session: AwsSession, removal: Removal, say: Say) -> tuple[Finding, ...]:
    """Do it, from the endpoint down to the artefacts; safe to repeat after an interrupt.

    What costs most goes first: nothing that may be refused keeps the endpoint.

    Returns:
        Notes for what was refused, and therefore stays.

    Raises:
        EndpointError: SageMaker does not let go of the endpoint.
        AwsError: A call failed, and not because it was refused.
    """
    notes = [*removal.notes]
    if removal.leased:
        with refusals(notes):
            remove_schedule(session, removal.endpoint)
    if removal.endpoint:
        delete_endpoint(session, removal.endpoint)
        notes += release_endpoint(session, removal.endpoint)
        wait_until_gone(session, removal.endpoint)
        elsewhere.forget_on_sagemaker(removal.endpoint)
        leases.note_end(removal.endpoint, None)
        say(f"deleted endpoint {removal.endpoint}")
    else:
        # What deleted the endpoint, such as the end of its lease, has left its autoscaling.
        for name in sorted({version.name for version in removal.versions}):
            notes += release_endpoint(session, name)
    for version in removal.versions:
        with refusals(notes):
            delete_version(session, version)
            say(f"deleted model and endpoint config {version.resource}")
    if removal.images:
        with refusals(notes):
            aws.delete_images(session, removal.names, [image.digest for image in removal.images])
            say(f"deleted {', '.join(_counts(image=len(removal.images)))}")
    for artefact in removal.artefacts:
        with refusals(notes):
            storage.delete_artefact(session, removal.names, artefact.digest)
            say(f"deleted artefact {artefact.digest[:12]}")
    _remove_local(removal.local, say)
    return tuple(dict.fromkeys(notes))


def _local_lines(references: Iterable[str]) -> list[str]:
    return [f"Docker image {reference} on this machine" for reference in references]


def _remove_local(references: Iterable[str], say: Say) -> None:
    for reference in references:
        container.remove_image(reference)
        say(f"deleted Docker image {reference} on this machine")


def _images(session: AwsSession, names: Names) -> tuple[StoredImage, ...]:
    repository = aws.find_repository(session, names)
    if repository is None or repository.ours is False:
        return ()
    images = aws.list_images(session, names)
    if repository.ours:
        # Only in a repository of ours is every image ours.
        return images
    return tuple(image for image in images if any(map(split_versioned, image.tags)))


def _artefacts(session: AwsSession, names: Names) -> tuple[StoredArtefact, ...]:
    if bucket_region(session, names) is None:
        return ()
    return storage.list_artefacts(session, names)


# --- tearing down an account --------------------------------------------------------------


@dataclass(frozen=True)
class Teardown:
    """What `teardown` will remove: the names of what is there.

    Attributes:
        lines: What goes, a line each.
        groups: Log groups.
        share: Who else needs the role, and with it perhaps the bucket and the repository.
        local: Images on this machine's Docker engine, by name.
        sharing: Whether setup let the region's repositories share layers, which ends.
    """

    lines: tuple[str, ...]
    groups: tuple[str, ...]
    share: RoleShare
    local: tuple[str, ...] = ()
    sharing: bool = False


def removal_of_everything(session: AwsSession, names: Names) -> Teardown:
    """What `teardown` would remove.

    Raises:
        SageturnerError: Endpoints of ours are still there.
    """
    live: tuple[EndpointState, ...] = list_endpoints(session)
    if live:
        raise SageturnerError(
            "There are still endpoints: " + ", ".join(endpoint.name for endpoint in live),
            where=f"account {names.account}, {names.region}",
            do="delete them first, with `sageturner delete NAME`",
            code="ST13",
        )
    groups = aws_endpoints.our_log_groups(session)
    versions, share = list_versions(session), aws_account.role_share(session, names)
    repository = aws.settled_repository(session, names)
    goes = repository if not share.uses_repository(names) else None
    local = pushed_images(goes.uri) if goes else ()
    lease_role = "" if share.others else aws_account.our_lease_role(session, names)
    sharing = bool(goes and goes.shares)
    places = {
        f"bucket {names.bucket} with everything in it": share.uses_bucket(names),
        f"repository {names.repository} with its images": share.uses_repository(names),
    }
    return Teardown(
        (
            *([share.line] if share.line else []),
            *([f"role {lease_role}"] if lease_role else []),
            *(line for line, used in places.items() if not used),
            *([f"ECR's setting BLOB_MOUNTING in {names.region}"] if sharing else []),
            *(f"model and endpoint config {version.resource}" for version in versions),
            *(f"log group {group}" for group in groups),
            *_local_lines(local),
        ),
        groups,
        share,
        local,
        sharing,
    )


def tear_down(session: AwsSession, names: Names, teardown: Teardown, say: Say) -> None:
    """Remove what setup and deployments created in this region, unless another project needs it."""
    for version in list_versions(session):
        delete_version(session, version)
        say(f"deleted model and endpoint config {version.resource}")
    for group in teardown.groups:
        aws_endpoints.delete_log_group(session, group)
        say(f"deleted log group {group}")
    share, lines = teardown.share, list[str]()
    if teardown.sharing:
        lines += aws.stop_sharing_layers(session)
    if not share.uses_bucket(names):
        lines += delete_bucket(session, names)
    if not share.others:
        lines += aws_account.release_lease_role(session, names)
    lines += aws_account.release_role(session, names)
    # Last: its age tells what may not be seen yet (`aws.ecr.set_up_at`).
    if not share.uses_repository(names):
        lines += aws.delete_repository(session, names)
    for line in lines:
        say(line)
    _remove_local(teardown.local, say)
