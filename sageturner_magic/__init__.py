"""From notebook cells to a live Amazon SageMaker endpoint."""

from sageturner_magic._version import __version__

__all__ = ["__version__"]
