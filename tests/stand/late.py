"""What AWS answers while a setting that was just made is not everywhere yet.

S3: bucket configurations are eventually consistent
(https://docs.aws.amazon.com/AmazonS3/latest/userguide/Welcome.html#ConsistencyModel). That the
others are late too is taken for granted, because nothing promises that they are not.
"""

from __future__ import annotations

from tests.stand.wire import Answer, AwsFault, Call, json_answer

_NOT_FOUND = {
    ("s3", "GetBucketTagging"): ("NoSuchTagSet", 404),
    ("s3", "GetBucketEncryption"): ("ServerSideEncryptionConfigurationNotFoundError", 404),
    ("s3", "GetBucketLifecycleConfiguration"): ("NoSuchLifecycleConfiguration", 404),
    ("s3", "GetBucketOwnershipControls"): ("OwnershipControlsNotFoundError", 404),
    ("s3", "GetBucketPolicy"): ("NoSuchBucketPolicy", 404),
    ("s3", "GetPublicAccessBlock"): ("NoSuchPublicAccessBlockConfiguration", 404),
    ("ecr", "GetLifecyclePolicy"): ("LifecyclePolicyNotFoundException", 400),
}
_EMPTY = {
    ("ecr", "ListTagsForResource"): {"tags": []},
    ("logs", "DescribeLogGroups"): {"logGroups": []},
    ("logs", "ListTagsForResource"): {"tags": {}},
}


def is_setting(call: Call) -> bool:
    """Whether the call reads what may be seen late."""
    return (call.service, call.operation) in {**_NOT_FOUND, **_EMPTY}


def answer(call: Call) -> Answer:
    """The answer before the setting was made. Raises AwsFault."""
    asked = (call.service, call.operation)
    if asked in _EMPTY:
        return json_answer(_EMPTY[asked])
    code, status = _NOT_FOUND[asked]
    raise AwsFault(code, "It does not exist.", status)
