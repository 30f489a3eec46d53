"""Let the repositories of a region share image layers: ECR's account setting BLOB_MOUNTING.

The setting is off at first, costs nothing, and holds for all repositories of the account in the
region (ECR user guide, "Blob mounting in Amazon ECR"). That setup switched it on is written on
setup's repository as a tag, so teardown switches off what setup switched on, and nothing else.
"""

from __future__ import annotations

from sageturner_magic.aws.ecr import Repository
from sageturner_magic.aws.errors import REFUSED, courtesy, unless
from sageturner_magic.aws.names import TAG_MOUNTING, Names
from sageturner_magic.aws.session import AwsSession
from sageturner_magic.errors import Finding

_SETTING = "BLOB_MOUNTING"
_UNKNOWN = r"^(InvalidParameter|Validation)"
"""A partition that does not have the setting."""


def suggests_sharing(session: AwsSession) -> bool:
    """Whether repositories could share layers and do not; False where AWS does not say.

    Permissions: ecr:GetAccountSetting.
    """
    with session.call("look up whether repositories share layers", "Amazon ECR"):
        found = unless(
            f"{REFUSED}|{_UNKNOWN}", lambda: session.ecr.get_account_setting(name=_SETTING)
        )
    return found is not None and found["value"] != "ENABLED"


def share_layers(session: AwsSession, names: Names, repository: Repository) -> tuple[str, ...]:
    """Let repositories share layers, and note on a repository of ours that setup did it.

    Permissions: ecr:GetAccountSetting, ecr:TagResource, ecr:PutAccountSetting.

    Returns:
        A line for what was done or refused; none where they share layers already.
    """
    refused: list[Finding] = []
    with (
        courtesy(refused),
        session.call("let repositories share layers", "Amazon ECR"),
    ):
        if session.ecr.get_account_setting(name=_SETTING)["value"] == "ENABLED":
            return ()
        if repository.ours:
            # First: whatever stops this here, the next setup or teardown does the rest.
            session.ecr.tag_resource(
                resourceArn=names.arn("ecr", f"repository/{repository.name}"),
                tags=[{"Key": TAG_MOUNTING, "Value": session.region}],
            )
        session.ecr.put_account_setting(name=_SETTING, value="ENABLED")
    if refused:
        return tuple(map(str, refused))
    stays = "" if repository.ours else f"; teardown leaves it, as {repository.name} is your own"
    return (f"repositories in {session.region} share layers (ECR's {_SETTING}){stays}",)


def stop_sharing_layers(session: AwsSession) -> tuple[str, ...]:
    """End the sharing of layers that setup began; what shares layers keeps them.

    Permissions: ecr:PutAccountSetting.
    """
    refused: list[Finding] = []
    with (
        courtesy(refused),
        session.call("end the sharing of layers", "Amazon ECR"),
    ):
        session.ecr.put_account_setting(name=_SETTING, value="DISABLED")
    if refused:
        return tuple(map(str, refused))
    return (f"repositories in {session.region} no longer share layers",)
