"""AWS on this machine, for a person: `python -m tests.stand [FAULT=VALUE …]`.

Prints what to export, and runs until Ctrl-C. In a second terminal that has exported it,
`python -m tests.stand faults [FAULT=VALUE …]` shows and sets what goes wrong.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
import urllib.error
import urllib.request
from pathlib import Path

from tests.stand import Faults, Stand
from tests.stand.front import CONTROL


def main(arguments: list[str]) -> int:
    if {"-h", "--help"} & set(arguments):
        print(f"{__doc__}\nFaults:\n{(Faults.__doc__ or '').partition('Attributes:')[2].rstrip()}")
        return 0
    try:
        if arguments[:1] == ["faults"]:
            return _control(_values(arguments[1:]))
        return _run(_values(arguments))
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2


def _values(arguments: list[str]) -> dict[str, str]:
    pairs = [argument.partition("=") for argument in arguments]
    if odd := [name for name, sign, _ in pairs if not sign]:
        raise ValueError(f"{odd[0]} has no value; a fault is set as NAME=VALUE")
    return {name: value for name, _, value in pairs}


def _run(faults: dict[str, str]) -> int:
    with (
        tempfile.TemporaryDirectory(prefix="sageturner-stand-") as folder,
        Stand(Path(folder)) as stand,
    ):
        stand.faults.set(**faults)
        for name, value in stand.environment.items():
            print(f"export {name}={value}")
        print("# AWS is here until Ctrl-C", flush=True)
        signal.signal(signal.SIGTERM, signal.default_int_handler)
        try:
            signal.pause()
        except KeyboardInterrupt:
            print("# stopping", flush=True)
    return 0


def _control(faults: dict[str, str]) -> int:
    url = os.environ.get("AWS_ENDPOINT_URL")
    if not url:
        raise ValueError("AWS_ENDPOINT_URL is not set: export what the stand printed")
    request = urllib.request.Request(f"{url}{CONTROL}", json.dumps(faults).encode(), method="PUT")
    try:
        with urllib.request.urlopen(request) as answer:
            current = json.load(answer)
    except urllib.error.HTTPError as error:
        raise ValueError(error.read().decode().strip()) from None
    for name, value in current.items():
        print(f"{name}={value}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
