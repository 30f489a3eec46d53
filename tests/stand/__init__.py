"""AWS for tests: what SageMaker, ECR, S3 and IAM do to a deployment, on this machine.

`python -m tests.stand` starts it for a person. boto3 reaches it by AWS_ENDPOINT_URL alone, so
that the code under test has no branch for tests.
"""

from tests.stand.faults import Faults
from tests.stand.sagemaker.images import Limits
from tests.stand.sagemaker.transitions import Timing
from tests.stand.stand import SAGEMAKER_FULL_ACCESS, Keys, Stand, role_policy

__all__ = ["SAGEMAKER_FULL_ACCESS", "Faults", "Keys", "Limits", "Stand", "Timing", "role_policy"]
