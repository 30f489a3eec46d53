"""Fixtures of the tests of capture."""

from .generated_module import serve, session

__all__ = ["serve", "session"]
