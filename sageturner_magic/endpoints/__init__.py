"""Where a model runs: a local process, a local container, SageMaker."""
