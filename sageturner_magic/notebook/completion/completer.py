"""Connect completion to IPython."""

from __future__ import annotations

import types
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, context_matcher

from sageturner_magic.notebook.session import NotebookSession

if TYPE_CHECKING:
    from sageturner_magic.notebook.completion.suggestions import Completions

PRIORITY = 10_000
"""Before every matcher of IPython, which then need not be asked at all."""

Result = dict[str, Any]
"""IPython's SimpleMatcherResult, a TypedDict whose keys may be left out."""

Matcher = Callable[[CompletionContext], Result]


def matcher(session: NotebookSession) -> Matcher:
    """A matcher for `Completer.custom_matchers` that completes our magics only."""
    world = NotebookNames(session)

    @context_matcher(priority=PRIORITY, identifier="sageturner_magic")  # type: ignore[untyped-decorator]
    def sageturner_matcher(context: CompletionContext) -> Result:
        if "sageturner" not in context.full_text:
            return {"completions": [], "suppress": False}
        from sageturner_magic.notebook.completion.suggestions import complete

        found = complete(context.full_text, context.cursor_line, context.cursor_position, world)
        return _result(found)

    made: Matcher = sageturner_matcher
    return made


def _result(found: Completions | None) -> Result:
    if found is None:
        return {"completions": [], "suppress": False}
    # Where nothing fits, the text as it is keeps the others from offering what does not fit.
    texts = found.texts or ((found.fragment,) if found.fragment and found.is_all else ())
    return {
        "completions": [SimpleCompletion(text, type=found.kind) for text in texts],
        "suppress": found.is_all,
        "ordered": True,
        "matched_fragment": found.fragment,
    }


class NotebookNames:
    """What a notebook's session and this machine have.

    AWS is not asked: that could take long, or want a password in the middle of a word.
    """

    def __init__(self, session: NotebookSession) -> None:
        self._session = session

    def endpoints(self) -> Sequence[str]:
        from sageturner_magic.endpoints.local import LocalEndpoints

        return sorted({*LocalEndpoints().state.names(), *self._session.endpoints})

    def captures(self) -> Sequence[str]:
        return [each.name for each in self._session.notebook.captures.names() if each.name]

    def variables(self) -> Sequence[str]:
        return shippable(self._session.namespace)

    def profiles(self) -> Sequence[str]:
        import botocore.session

        return list(botocore.session.Session().available_profiles)

    def regions(self) -> Sequence[str]:
        import botocore.session

        return list(botocore.session.Session().get_available_regions("sagemaker"))

    def instance_types(self) -> Sequence[str]:
        from sageturner_magic.aws.endpoints import instance_types

        return instance_types()

    def amis(self) -> Sequence[str]:
        from sageturner_magic.aws.endpoints import inference_ami_versions

        return inference_ami_versions()

    def python(self, name: str) -> Sequence[str]:
        import rlcompleter

        completer = rlcompleter.Completer(self._session.namespace)
        matches = completer.attr_matches if "." in name else completer.global_matches
        found: list[str] = matches(name)
        return [each.rstrip("( ") for each in found]


_NOT_DATA = (type, types.ModuleType, types.FunctionType, types.BuiltinFunctionType)
_OF_THE_SHELL = frozenset({"In", "Out", "exit", "quit", "open", "get_ipython"})


def shippable(namespace: dict[str, object]) -> list[str]:
    """The variables that may hold a model: neither modules, functions nor classes."""
    return [
        name
        for name, value in list(namespace.items())
        if not name.startswith("_")
        and name not in _OF_THE_SHELL
        and not isinstance(value, _NOT_DATA)
    ]
