"""Turn request bodies into values, and what predict returns into response bodies.

The worker's own modules use these names; nothing here knows of sockets, processes or user code.
"""

from .answers import JSON, AnswerError, encode, to_json
from .fastjson import find as find_orjson
from .requests import decode
from .streams import ChunkEncoder

__all__ = ["JSON", "AnswerError", "ChunkEncoder", "decode", "encode", "find_orjson", "to_json"]
