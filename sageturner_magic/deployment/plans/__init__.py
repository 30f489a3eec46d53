"""The plans of a deployment: a local process, a container, SageMaker."""
