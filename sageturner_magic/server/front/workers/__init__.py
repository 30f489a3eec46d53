"""The worker processes, and the queue in front of them. `front` uses the names below."""

from .pool import Pool as Pool
from .process import Failure as Failure
from .process import describe_status as describe_status
