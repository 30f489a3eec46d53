"""Check and convert requests, and check responses, by the types that predict's signature names.

The worker and the trial use these names. A form, made once at load for each annotation, reads a
decoded request and has its JSON schema; nothing here knows of sockets or processes.
"""

from .contract import FREE, Contract, contract_of
from .faults import Invalid, InvalidAnswer

__all__ = ["FREE", "Contract", "Invalid", "InvalidAnswer", "contract_of"]
