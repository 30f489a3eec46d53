"""The command line of the conformance checks."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from . import RULES, Result, Rule, ServerUnderTest, check, check_image, table, wait_until_ready


def main(arguments: Sequence[str] | None = None) -> int:
    """The command line. Returns 0 when no required rule is broken, otherwise 1."""
    parser = argparse.ArgumentParser(
        prog="python -m sageturner_magic.conformance",
        description="Check a model server against SageMaker's container contract.",
    )
    parser.add_argument("target", help="http://host:port of a running server, or an image")
    parser.add_argument("--body", help="a request that the model can answer, or @file")
    parser.add_argument("--content-type", default="application/json")
    parser.add_argument("--header", action="append", default=[], metavar="NAME:VALUE")
    parser.add_argument(
        "--wait", type=float, default=0, metavar="SECONDS", help="wait for the first good ping"
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    options = parser.parse_args(arguments)
    body = _body(options.body)
    headers = dict(_pair(text, parser) for text in options.header)
    if "://" in options.target:
        try:
            target = ServerUnderTest.at(
                options.target, body=body, content_type=options.content_type, headers=headers
            )
        except ValueError as error:
            parser.error(str(error))
        results = _waited(target, options.wait)
    else:
        results = check_image(
            options.target, body=body, content_type=options.content_type, progress=_progress
        )
    if options.json:
        print(json.dumps([vars(each) for each in results], indent=2))
    else:
        print(table(results))
    return int(any(each.required and each.outcome == "failed" for each in results))


def _waited(target: ServerUnderTest, seconds: float) -> tuple[Result, ...]:
    started = (wait_until_ready(target, seconds),) if seconds else ()
    if any(each.outcome == "failed" for each in started):
        return started
    return (*started, *check(target, progress=_progress))


def _progress(rule: Rule) -> None:
    number = RULES.index(rule) + 1
    print(f"{number}/{len(RULES)} {rule.text}", file=sys.stderr, flush=True)


def _body(text: str | None) -> bytes | None:
    if text is None:
        return None
    if text.startswith("@"):
        return Path(text[1:]).read_bytes()
    return text.encode()


def _pair(text: str, parser: argparse.ArgumentParser) -> tuple[str, str]:
    name, found, value = text.partition(":")
    if not found:
        parser.error(f"--header {text!r} is not of the form NAME:VALUE")
    return name.strip(), value.strip()


if __name__ == "__main__":
    sys.exit(main())
