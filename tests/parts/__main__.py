"""Start or stop the parts that outlive a test run: `python -m tests.parts start|stop`.

`start` prints lines for `eval`: the engine's address. It also makes the base images for the
Python versions that are named (`start 3.11 3.12`). `python -m tests.parts torch` says which CPU
build of PyTorch this machine can have, and ends with 1 where there is none.
"""

from __future__ import annotations

import os
import sys

from tests.parts import base_image, engine, torch


def main(arguments: list[str]) -> int:
    match arguments:
        case ["start", *versions]:
            host = engine.start()
            print(f"export DOCKER_HOST={host}")
            os.environ["DOCKER_HOST"] = host
            for version in versions:
                print(f"# {base_image.ensure(version)}")
        case ["stop"]:
            engine.stop()
        case ["torch"]:
            print(torch.missing() or f"PyTorch for its tests: {torch.cpu_torch()}")
            return 1 if torch.missing() else 0
        case _:
            print(__doc__, file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
