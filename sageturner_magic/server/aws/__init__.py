"""Read the values of `secrets:` from AWS with the endpoint's role, with the standard library alone.

For the worker, before it imports user code; any part of the server may use it. Knows nothing of
workers and requests.
"""

from .secrets import SecretError, read_secrets

__all__ = ["SecretError", "read_secrets"]
