"""AWS, one module a service; each function's docstring names the permissions it needs.

- `session`: credentials, region and clients. `names`: what things are called, and our tags.
- `errors`: an error of boto3 becomes an AwsError, by the table in `symptoms`.
- `iam`: the execution role. `evaluation`: what a policy allows. `policies`: what callers need.
- `bucket`: the bucket for artefacts. `s3`: the objects in it. `archive`, `upload`: artefacts on
  their way into it.
- `ecr`: the image repository and its credentials.
- `spec`: what an endpoint shall be, as requests. `limits`: what SageMaker would refuse of it.
- `sagemaker`: endpoints and versions as they are. `rollout`: from them to what shall be, and back.
  `autoscaling`, `logs`, `runtime`: around endpoints.
- `pricing`, `quotas`: what it costs, and whether it is allowed.
"""
