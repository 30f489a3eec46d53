"""Where a name is looked for."""

import pytest

from sageturner_magic.context import DEFAULT_AWS, AwsOptions


@pytest.mark.parametrize(
    ("aws", "expected"),
    [
        (DEFAULT_AWS, True),
        (AwsOptions(profile="team"), False),
        (AwsOptions(region="eu-west-1"), False),
    ],
)
def test_local_endpoints_count_unless_a_profile_or_a_region_is_named(aws, expected):
    assert aws.includes_local is expected
