"""Turn request bodies into values, and what predict returns into response bodies.

The worker's own modules use these names; nothing here knows of sockets, processes or user code.
"""

from .answers import JSON, encode
from .fastjson import find as find_orjson
from .requests import decode
from .streams import ChunkEncoder
from .tables import Table
from .values import AnswerError, to_json

__all__ = [
    "JSON",
    "AnswerError",
    "ChunkEncoder",
    "Table",
    "decode",
    "encode",
    "find_orjson",
    "to_json",
]
