"""Find keys and tokens in source and in text files, because an image carries them everywhere."""

from __future__ import annotations

import ast
import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from sageturner_magic.errors import Finding

ALLOWED = "not a secret"
"""A comment with these words on the line says that what looks like a secret is none."""

_MOST_TEXT = 1 << 20
"""Bytes of the largest file that is searched."""
_BEGINNING = 8192
"""Bytes of a file that show whether it is text: other files have a zero byte there."""

# Published formats of the services themselves, each with what its text holds in any case: to look
# for that first is many times as fast.
_PATTERNS: tuple[tuple[str, str, re.Pattern[str]], ...] = (
    ("an AWS access key id", "IA", re.compile(r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b")),
    ("a GitHub token", "gh", re.compile(r"\b(?:gh[pousr]_[0-9A-Za-z]{36}|github_pat_\w{22,})")),
    ("a GitLab token", "glpat-", re.compile(r"\bglpat-[\w-]{20,}")),
    ("a Hugging Face token", "hf_", re.compile(r"\bhf_[0-9A-Za-z]{30,}\b")),
    ("a Slack token", "xox", re.compile(r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}")),
    ("a Google API key", "AIza", re.compile(r"\bAIza[0-9A-Za-z_-]{35}")),
    ("an API key", "sk-", re.compile(r"\bsk-(?:[a-z]+-)*[0-9A-Za-z_-]{20,}")),
    ("a Stripe key", "k_live_", re.compile(r"\b[rs]k_live_[0-9A-Za-z]{16,}")),
    ("a PyPI token", "pypi-", re.compile(r"\bpypi-[0-9A-Za-z_-]{40,}")),
    ("a JSON web token", "eyJ", re.compile(r"\beyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,}")),
    ("a private key", "PRIVATE KEY-----", re.compile(r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----")),
    (
        "a password in a URL",
        "://",
        re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s/:@'\"{}]+:[^\s/:@'\"{}]{3,}@"),
    ),
)

_NAMED = re.compile(
    r"(?:^|_)(?:password|passwd|passphrase|secret|token|api_?key|access_?key|secret_?key|auth_?key"
    r"|private_?key|credentials?)(?:$|_(?:id|value|key)$)",
    re.IGNORECASE,
)
_NAMING_WORDS = ("passw", "passphrase", "secret", "token", "key", "credential")
_LONG_WORD = re.compile(r"[\w+/=-]{12,}")

_PLACEHOLDER = re.compile(
    r"[<>{}\s*]|^(?:your|my|x+$|dummy|example|changeme|none$|test)|\.\.\.", re.I
)

# `name: value` and `name=value` of settings files, whatever their format.
_SETTING = re.compile(
    r"""[ \t]*(?:export[ \t]+|[-{,][ \t]*)?["']?([\w.-]+)["']?[ \t]*[:=][ \t]*["']?([^\s"',;]+)"""
)
# Calls that give secrets: getpass, AWS, python-dotenv, keyring, Colab, Kaggle, Databricks.
_GIVES_SECRETS = re.compile(
    r"\bgetpass\(|\bget_secret_value\(|\bSecretString\b|\bWithDecryption\b|\bdotenv_values\("
    r"|\bget_password\(|\buserdata\.get\(|\bUserSecretsClient\b|\.secrets\.get\("
)

_LEAST_NAMED_BITS = 2.5
_LEAST_RANDOM_BITS = 4.3
_RANDOM = re.compile(r"[0-9A-Za-z+/_=-]{32,128}")
"""Bits of entropy a character: English words have about 2.5 to 4 in strings of this length, random
base64 of 40 characters about 4.9. Hexadecimal digests are at most 4.0 and are left alone."""


def keep_out(name: str = "TOKEN") -> str:
    """The remedy for a secret that the environment variable `name` is to hold."""
    return (
        f"run `sageturner secret put {name}`, write `secrets: {{{name}: {name}}}` in the YAML and "
        f"read `os.environ['{name}']` in load()"
    )


def secret_findings(source: str, place: Callable[[int], str]) -> list[Finding]:
    """What in `source`, which is Python, looks like a secret; `place` names one of its lines."""
    return [
        Finding(
            f"The code holds {what}",
            where=place(number),
            why="whoever can read the image can read it",
            do=f"{keep_out()}, or write `# {ALLOWED}` on the line if it is none",
            code="ST42",
        )
        for number, what in _on_lines(source, _in_constants(source))
    ]


def file_findings(path: Path) -> list[Finding]:
    """Warnings about what looks like a secret in a file that is shipped, if it is text.

    Raises OSError.
    """
    if path.stat().st_size > _MOST_TEXT:
        return []
    content = path.read_bytes()
    if b"\0" in content[:_BEGINNING]:
        return []
    text = content.decode("utf-8", errors="replace")
    settings = () if path.suffix == ".py" else _in_settings(text)
    return [
        Finding(
            f"A file that is shipped holds {what}",
            where=f"{path}:{number}",
            why="whoever can read the image or the model files can read it",
            do=f"take it out of the file, then {keep_out()}",
            severity="warning",
            code="ST42",
        )
        for number, what in _on_lines(text, [*_in_constants(text), *settings])
    ]


def secret_literal(name: str, value: str) -> str:
    """What in the source of a value looks like a secret, in words; empty if nothing does."""
    text = f"{name} = {value}"
    return next((what for _, what in _on_lines(text, _in_constants(text))), "")


def gives_secret(source: str) -> bool:
    """Whether a statement asks the user or a store of secrets for one."""
    return _GIVES_SECRETS.search(source) is not None


def is_secret(name: str, value: str) -> bool:
    """Whether an environment variable looks like a key, token or password."""
    return (
        bool(known_secret(value))
        or _random(value)
        or (bool(_NAMED.search(name)) and not _PLACEHOLDER.search(value))
    )


def known_secret(text: str) -> str:
    """Which service's token or key `text` holds; empty if none."""
    found = (what for what, part, pattern in _PATTERNS if part in text and pattern.search(text))
    return next(found, "")


def secret_in(name: str, text: str) -> str:
    """What the text that an object of the notebook has as `name` is; empty if no secret.

    Text without a name is data: a column of random ids is no reason to refuse it.
    """
    for what, part, pattern in _PATTERNS:
        if part in text and (match := pattern.search(text)):
            return f"{what}: `{masked(match[0])}`"
    if _NAMED.search(name) and _looks_real(text):
        return f"a value for `{name}`: `{masked(text)}`"
    return ""


def masked(text: str) -> str:
    """The beginning of a secret, enough to find it by."""
    return text[:4] + "…"


def _on_lines(source: str, named: Iterable[tuple[int, str, str]]) -> Iterator[tuple[int, str]]:
    """Each line of `source` that holds a secret, and which, unless a comment says otherwise."""
    found: dict[int, tuple[str, str]] = {}
    lines = source.split("\n")
    for what, part, pattern in _PATTERNS:
        if part not in source:
            continue
        for number, line in enumerate(lines, start=1):
            if part in line and (match := pattern.search(line)):
                found.setdefault(number, (what, match[0]))
    for number, what, text in named:
        found.setdefault(number, (what, text))
    for number, (what, text) in sorted(found.items()):
        if ALLOWED not in lines[number - 1]:
            yield number, f"{what}: `{masked(text)}`"


def _worth_a_look(source: str) -> bool:
    """Whether the constants of `source` have to be looked at one by one, which takes longer."""
    lower = source.lower()
    if any(word in lower for word in _NAMING_WORDS):
        return True
    return any(re.search("[0-9]", word) for word in _LONG_WORD.findall(source))


def _in_settings(text: str) -> Iterator[tuple[int, str, str]]:
    # Each line by itself: a tokeniser's vocabulary has tens of thousands of them.
    for line, setting in enumerate(text.split("\n"), start=1):
        if not (match := _SETTING.match(setting)):
            continue
        name, value = match[1], match[2]
        if _NAMED.search(re.sub(r"[.-]", "_", name)) and _looks_real(value):
            yield line, f"a value for `{name}`", value
        elif _random(value):
            yield line, "a random string, as keys are", value


def _in_constants(source: str) -> Iterator[tuple[int, str, str]]:
    if not _worth_a_look(source):
        return
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        # A file that is not Python.
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant):
            if isinstance(node.value, str) and _random(node.value):
                yield node.lineno, "a random string, as keys are", node.value
        elif isinstance(node, _NAMING):
            for name, line, value in _named_strings(node):
                if _NAMED.search(name) and _looks_real(value):
                    yield line, f"a value for `{name}`", value


_NAMING = (ast.Assign, ast.AnnAssign, ast.Dict, ast.keyword)
"""What gives a constant a name."""


def _named_strings(node: ast.AST) -> Iterator[tuple[str, int, str]]:
    pairs: list[tuple[ast.AST | None, ast.AST | None]] = []
    if isinstance(node, ast.Assign):
        pairs = [(target, node.value) for target in node.targets]
    elif isinstance(node, ast.AnnAssign):
        pairs = [(node.target, node.value)]
    elif isinstance(node, ast.Dict):
        pairs = list(zip(node.keys, node.values, strict=True))
    elif isinstance(node, ast.keyword):
        pairs = [(ast.Name(node.arg or ""), node.value)]
    for target, value in pairs:
        name = getattr(target, "id", None) or getattr(target, "attr", None)
        if isinstance(target, ast.Constant):
            name = target.value
        if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
            name = target.slice.value
        if isinstance(name, str) and isinstance(value, ast.Constant):
            text = value.value
            if isinstance(text, str):
                yield name, value.lineno, text


def _looks_real(value: str) -> bool:
    if len(value) < 8 or _PLACEHOLDER.search(value):
        return False
    # `token = "input_ids"` and `secret_key = "model-name"` are words.
    return _entropy(value) >= _LEAST_NAMED_BITS and bool(re.search(r"\d", value))


def _random(value: str) -> bool:
    if not _RANDOM.fullmatch(value) or _entropy(value) < _LEAST_RANDOM_BITS:
        return False
    kinds = (r"[a-z]", r"[A-Z]", r"[0-9]")
    if not all(len(re.findall(kind, value)) >= 3 for kind in kinds):
        return False
    # An alphabet, as tokenisers and codecs have one, repeats nothing; keys of this length do.
    return len(set(value)) < len(value)


def _entropy(value: str) -> float:
    counts = Counter(value)
    return -sum(n / len(value) * math.log2(n / len(value)) for n in counts.values())
