"""Decide which code gives the same value wherever the module is imported.

A definition always may. A value may when it is made of constants, and of calls that are listed
here because they are known to depend on their arguments alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Callable
from fnmatch import translate
from functools import cache

from sageturner_magic.capture.syntax.hashing import IsSet, ordered_uses
from sageturner_magic.capture.syntax.trees import (
    FUNCTIONS,
    Function,
    default_values,
    expressions_below,
)

Qualify = Callable[[str], str | None]
"""Name -> what it was imported as (`numpy`, `pathlib.Path`), '' for a name that the notebook's
own code binds to plain data, CALLABLE or RECORD for one that it binds to a function or class, and
None for a builtin."""

CALLABLE = "()"
FACTORY = "factory"
"""A function of the notebook's that does nothing but define a function and return it."""

FACTORIES = "factory of factories"
"""One that returns a factory: `scale(3)(f)`."""

NOTEBOOKS_OWN = (CALLABLE, FACTORY, FACTORIES)
"""What stands for functions and classes of the notebook's, which code may call."""

RECORD = "class"
"""A class of the notebook's that only holds data: a dataclass, NamedTuple or Enum."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


SAFE_BUILTINS = _words(
    """
    abs all any ascii bin bool bytearray bytes chr complex dict divmod enumerate filter float
    format frozenset hex int isinstance issubclass len list map max min object oct ord pow range
    repr reversed round set slice sorted str sum tuple type zip
    """
)

_HOLDING = (
    "classmethod",
    "functools.partial",
    "functools.partialmethod",
    "property",
    "staticmethod",
)
"""Calls that keep a function and do not call it."""

_NUMPY = _words(
    """
    abs absolute all any arange arccos arcsin arctan arctan2 argmax argmin argsort array asarray
    bool_ cbrt ceil clip column_stack concatenate cos cosh cumprod cumsum deg2rad degrees diag
    diff dtype exp expm1 eye finfo float* floor full full_like geomspace hstack hypot identity
    iinfo int* isfinite isinf isnan linspace log log10 log1p log2 logspace max maximum mean
    meshgrid min minimum ones ones_like outer power prod rad2deg radians repeat reshape rint roll
    round sign sin sinh sort sqrt square stack std sum tan tanh tile transpose uint* unique var
    vstack where zeros zeros_like
    """
)

SAFE_CALLS = (
    "abc.*",
    "ast.literal_eval",
    "base64.*",
    "cmath.*",
    "collections.*",
    "contextvars.ContextVar",
    "dataclasses.field",
    "datetime.date",
    "datetime.datetime",
    "datetime.time",
    "datetime.timedelta",
    "datetime.timezone",
    "decimal.Decimal",
    "enum.*",
    "fractions.Fraction",
    "functools.partial",
    "functools.partialmethod",
    "ipaddress.*",
    "itertools.*",
    "json.dumps",
    "json.loads",
    "logging.getLogger",
    "math.*",
    "operator.*",
    "os.path.basename",
    "os.path.dirname",
    "os.path.join",
    "os.path.normpath",
    "os.path.splitext",
    "pathlib.Path",
    "pathlib.Pure*Path",
    "pathlib.PurePath",
    "re.compile",
    "re.escape",
    "statistics.*",
    "string.Template",
    "struct.Struct",
    "struct.calcsize",
    "textwrap.*",
    "threading.Condition",
    "threading.Event",
    "threading.Lock",
    "threading.RLock",
    "threading.Semaphore",
    "threading.local",
    "types.MappingProxyType",
    "types.SimpleNamespace",
    "typing.*",
    "typing_extensions.*",
    "unicodedata.*",
    "urllib.parse.*",
    "uuid.UUID",
    "zoneinfo.ZoneInfo",
    *(f"numpy.{name}" for name in _NUMPY),
    "pandas.CategoricalDtype",
    "pandas.Timedelta",
    "pandas.Timestamp",
    "pydantic.ConfigDict",
    "pydantic.Field",
    "torch.Size",
    "torch.arange",
    "torch.device",
    "torch.eye",
    "torch.finfo",
    "torch.linspace",
    "torch.ones",
    "torch.tensor",
    "torch.zeros",
    "torchvision.transforms.*",
)
"""Calls that give the same wherever they are repeated with the same arguments."""

PROBES = (
    "os.environ.get",
    "os.getenv",
    "os.cpu_count",
    "torch.backends.mps.is_available",
    "torch.cuda.device_count",
    "torch.cuda.is_available",
)
"""Calls that ask the machine: what they give where the model runs is what is meant."""

SETTINGS = (
    "decimal.getcontext",
    "locale.setlocale",
    "logging.basicConfig",
    "numpy.random.seed",
    "numpy.seterr",
    "random.seed",
    "sys.setrecursionlimit",
    "torch.manual_seed",
    "torch.set_*",
    "torch.use_deterministic_algorithms",
    "warnings.filterwarnings",
    "warnings.simplefilter",
)
"""Calls that set up a library that the code uses, kept from whichever cell they stand in."""
DATA_METHODS = _words(
    """
    as_posix astype capitalize casefold center copy count decode difference encode endswith
    expandtabs find flatten format fromkeys get hex index intersection isalnum isalpha isdecimal
    isdigit islower isoformat isupper items join joinpath keys ljust lower lstrip maketrans
    most_common partition ravel removeprefix removesuffix replace reshape rfind rindex rjust
    rpartition rsplit rstrip split splitlines startswith strip swapcase symmetric_difference title
    tolist total_seconds translate union upper values with_name with_suffix zfill
    """
)
"""Methods of plain data that change nothing."""

CHANGING_METHODS = _words(
    """
    add append appendleft clear discard extend extendleft insert pop popitem popleft remove
    reverse rotate setLevel setdefault sort subtract update
    """
)
"""Methods that change plain data in place."""


def sets_attribute(call: ast.Call) -> bool:
    """Whether `call` is `setattr(x, name, value)` or `delattr(x, name)`."""
    is_setter = isinstance(call.func, ast.Name) and call.func.id in ("setattr", "delattr")
    return is_setter and len(call.args) > 1


def listed(qualified: str, patterns: tuple[str, ...]) -> bool:
    """Whether a dotted name fits one of `patterns`."""
    return _any_of(patterns).match(qualified) is not None


@cache
def _any_of(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))


class Judge:
    """Judges statements, with `qualify` telling what their names stand for."""

    def __init__(self, qualify: Qualify, is_set: IsSet = lambda name: False) -> None:
        self._qualify = qualify
        self._is_set = is_set
        self.probes = False
        self._local: set[str] = set()

    def statement(self, node: ast.stmt) -> bool:
        """Whether `node` may stand at the top level of the module."""
        is_definition = isinstance(node, (*FUNCTIONS, ast.ClassDef))
        if not is_definition and any(ordered_uses(node, self._is_set)):
            return False
        if isinstance(node, (*FUNCTIONS, ast.ClassDef, ast.Import, ast.ImportFrom, ast.Pass)):
            return True
        if type(node).__name__ == "TypeAlias":
            return True
        if isinstance(node, ast.Assign):
            return self.value(node.value) and all(map(self._target, node.targets))
        if isinstance(node, ast.AnnAssign):
            return (node.value is None or self.value(node.value)) and self._target(node.target)
        if isinstance(node, ast.AugAssign):
            return self.value(node.value) and self._target(node.target)
        if isinstance(node, ast.Delete):
            return all(map(self._target, node.targets))
        if isinstance(node, ast.If):
            return self.value(node.test) and self._block(node.body) and self._block(node.orelse)
        if isinstance(node, ast.For):
            return (
                self.value(node.iter)
                and self._target(node.target)
                and self._block(node.body)
                and self._block(node.orelse)
            )
        if isinstance(node, ast.Try):
            blocks = [node.body, node.orelse, node.finalbody]
            return all(map(self._block, [*blocks, *(each.body for each in node.handlers)]))
        if isinstance(node, ast.Expr):
            return self._effect(node.value)
        return False

    def _block(self, body: list[ast.stmt]) -> bool:
        return all(map(self.statement, body))

    def _target(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return True
        if isinstance(node, (ast.Tuple, ast.List)):
            return all(map(self._target, node.elts))
        if isinstance(node, ast.Starred):
            return self._target(node.value)
        if isinstance(node, ast.Subscript):
            return self._target(node.value) and self.value(node.slice)
        return isinstance(node, ast.Attribute) and self._target(node.value)

    def _effect(self, node: ast.expr) -> bool:
        if not isinstance(node, ast.Call):
            return self.value(node)
        if isinstance(node.func, ast.Attribute) and node.func.attr in CHANGING_METHODS:
            return self._target(node.func.value) and self._arguments(node)
        if sets_attribute(node):
            return self._target(node.args[0]) and all(map(self.value, node.args[1:]))
        qualified = self.qualified(node.func)
        return bool(qualified) and listed(qualified, SETTINGS) and self._arguments(node)

    def value(self, node: ast.expr) -> bool:
        """Whether the expression gives the same wherever it is evaluated."""
        if isinstance(node, (ast.Constant, ast.Lambda)):
            return True
        if isinstance(node, ast.Name):
            return True
        if isinstance(node, ast.Attribute):
            if self.qualified(node) == "os.environ":
                self.probes = True
            return self.value(node.value)
        if isinstance(node, ast.Call):
            return self._call(node)
        if isinstance(node, (ast.ListComp, ast.SetComp, ast.GeneratorExp, ast.DictComp)):
            for generator in node.generators:
                self._local |= {
                    each.id for each in ast.walk(generator.target) if isinstance(each, ast.Name)
                }
        if isinstance(node, (ast.Await, ast.Yield, ast.YieldFrom)):
            return False
        return all(
            self.value(child)
            for child in expressions_below(node)
            if not (isinstance(child, ast.Name) and isinstance(child.ctx, ast.Store))
        )

    def _call(self, node: ast.Call) -> bool:
        func = node.func
        qualified = self.qualified(func)
        if qualified:
            if listed(qualified, PROBES):
                self.probes = True
            elif not listed(qualified, SAFE_CALLS):
                return False
            return self._arguments(node, may_hold=qualified in _HOLDING)
        if isinstance(func, ast.Name) and self._qualify(func.id) in (FACTORY, FACTORIES, RECORD):
            # What a factory is given it keeps for the function that it returns.
            return self._arguments(node, may_hold=self._qualify(func.id) != RECORD)
        made_by = func.func if isinstance(func, ast.Call) else None
        if isinstance(made_by, ast.Name) and self._qualify(made_by.id) == FACTORIES:
            return self.value(func) and self._arguments(node, may_hold=True)
        if isinstance(func, ast.Name):
            is_builtin = self._qualify(func.id) is None and func.id not in self._local
            is_holding = func.id in _HOLDING
            is_safe = is_builtin and (is_holding or func.id in SAFE_BUILTINS)
            return is_safe and self._arguments(node, may_hold=is_holding)
        if isinstance(func, ast.Attribute) and func.attr in DATA_METHODS:
            return self.value(func.value) and self._arguments(node)
        return False

    def _arguments(self, node: ast.Call, *, may_hold: bool = False) -> bool:
        values = [*node.args, *(keyword.value for keyword in node.keywords)]
        return all(self.value(value) and (may_hold or self._plain(value)) for value in values)

    def _plain(self, node: ast.expr) -> bool:
        """Whether no function of the notebook's is handed over, which might be called."""
        if isinstance(node, ast.Lambda):
            return self.value(node.body)
        return all(
            self._qualify(child.id) not in NOTEBOOKS_OWN
            for child in ast.walk(node)
            if isinstance(child, ast.Name) and child.id not in self._local
        )

    def calls_notebook(self, name: str) -> bool:
        """Whether `name` is a function or class of the notebook's."""
        return self._qualify(name) in NOTEBOOKS_OWN

    def qualified(self, node: ast.expr) -> str:
        """The dotted name that `node` has as an import, or an empty string."""
        parts: list[str] = []
        while isinstance(node, ast.Attribute):
            parts.append(node.attr)
            node = node.value
        if not isinstance(node, ast.Name) or node.id in self._local:
            return ""
        root = self._qualify(node.id)
        if not root or root in (*NOTEBOOKS_OWN, RECORD):
            return ""
        return ".".join([root, *reversed(parts)])


def factory(node: Function | ast.Lambda) -> str:
    """FACTORY or FACTORIES if a call gives the same function for the same arguments, else CALLABLE.

    It defines functions, undecorated but for `functools.wraps`, and returns one or a lambda.
    """
    if isinstance(node, ast.Lambda):
        return _made_by_lambda(node.body) if isinstance(node.body, ast.Lambda) else CALLABLE
    if node.decorator_list or isinstance(node, ast.AsyncFunctionDef):
        return CALLABLE
    *body, last = node.body
    plain = (ast.Constant, ast.Name)
    defines = [each for each in body if isinstance(each, ast.FunctionDef)]
    others = [each for each in body if not isinstance(each, ast.FunctionDef)]
    is_one = (
        isinstance(last, ast.Return)
        and isinstance(last.value, (ast.Name, ast.Lambda))
        and all(isinstance(each, ast.Expr) and isinstance(each.value, plain) for each in others)
        and all(
            all(map(_copies_names, each.decorator_list))
            and all(isinstance(it, plain) for it in default_values(each.args))
            for each in defines
        )
    )
    if not is_one:
        return CALLABLE
    if isinstance(last, ast.Return) and isinstance(last.value, ast.Lambda):
        return _made_by_lambda(last.value)
    return FACTORIES if defines and all(factory(each) != CALLABLE for each in defines) else FACTORY


def _made_by_lambda(returned: ast.Lambda) -> str:
    if not all(
        isinstance(each, (ast.Constant, ast.Name)) for each in default_values(returned.args)
    ):
        return CALLABLE
    return FACTORIES if factory(returned) != CALLABLE else FACTORY


def _copies_names(decorator: ast.expr) -> bool:
    """Whether it is `@functools.wraps(f)`, which only gives the function another's name."""
    called = decorator.func if isinstance(decorator, ast.Call) else None
    return called is not None and ast.unparse(called) in ("wraps", "functools.wraps")
