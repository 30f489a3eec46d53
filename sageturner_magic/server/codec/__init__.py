"""Read requests and write responses: the part of the server that other rooms may import.

`formats` turns bodies into values and back, `contract` checks values by the types that predict
names, `context` is what predict is told besides. The worker uses them. A deployment uses them in
the notebook's process, to write predict's response there in the form in which an endpoint would.
Nothing here knows of sockets, processes or where user code comes from.
"""

from .context import Context
from .contract import contract_of
from .formats import ChunkEncoder, decode, encode

__all__ = ["ChunkEncoder", "Context", "contract_of", "decode", "encode"]
