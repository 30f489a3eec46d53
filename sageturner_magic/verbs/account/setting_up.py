"""Create or repair what deployments need in an account."""

from __future__ import annotations

from sageturner_magic.aws import account as aws_account
from sageturner_magic.aws import (
    ensure_repository,
    secret_keys,
    suggests_sharing,
)
from sageturner_magic.aws import share_layers as begin_sharing
from sageturner_magic.aws.account import (
    Extras,
)
from sageturner_magic.aws.storage import bucket_key, ensure_bucket
from sageturner_magic.calls import in_thread
from sageturner_magic.config import ConfigSource
from sageturner_magic.context import DEFAULT_AWS, AwsOptions
from sageturner_magic.verbs.account.offers import Changes, Offer
from sageturner_magic.verbs.account.opened import given_config, opened, secrets_of


def setup(
    config: ConfigSource | None = None,
    *,
    share_layers: bool = False,
    aws: AwsOptions = DEFAULT_AWS,
) -> Changes:
    """Create or repair the S3 bucket, the IAM role and the ECR repository.

    A bucket or role of your own that `overrides` names is used: the bucket stays as it is, and
    the role gets the inline policy `sageturner-REGION` in addition to what it has. Returns what
    was changed.

    Args:
        config: Without one, ./sageturner.yaml where it is there.
        share_layers: Let all ECR repositories of the account in the region share image layers.
            Left out, `setup` only offers it.

    Raises:
        AwsError: The bucket is not ours; a call failed.
    """
    given = given_config(config)
    found = opened(given, aws)
    names, overrides = found.names, given.overrides if given else None
    changed = [*ensure_bucket(found.session, names)]
    extras = Extras(
        network=bool(given and given.network.subnets),
        bucket_key=bucket_key(found.session, names),
        secrets=secrets_of(given),
        secret_keys=secret_keys(found.session, secrets_of(given)),
    )
    boundary = overrides.permissions_boundary if overrides else None
    if given and given.ends:
        changed += aws_account.ensure_lease_role(found.session, names, boundary=boundary)
    changed += aws_account.ensure_role(found.session, names, extras, boundary=boundary)[1]
    repository, noted = ensure_repository(found.session, names)
    changes = Changes([*changed, *noted])
    if share_layers:
        changes.extend(begin_sharing(found.session, names, repository))
    elif suggests_sharing(found.session):
        changes.offer = Offer(
            f"Let all ECR repositories of account {names.account} in {names.region} share image "
            "layers (BLOB_MOUNTING, free), so that pushes send less?",
            "setup --share-layers",
            lambda: begin_sharing(found.session, names, repository),
        )
    return changes


asetup = in_thread(setup)
