from tests.integration.server.conftest import program, start

__all__ = ["program", "start"]
