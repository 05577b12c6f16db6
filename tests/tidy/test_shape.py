"""The shape of the code: sizes, prose, exactness, honesty. Aims are in the style guide; these are the hard stops."""

import ast
import json
import re
from collections.abc import Iterator
from functools import cache

from tests.tidy.tree import FLOORS, ROOT, Module, files, modules, product, told

FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 60
FLOATLESS = ("billing", "storage", "monetization")
# Waiting, clocks and ids that JSON numbers may be: no money is ever called like this.
NO_MONEY = re.compile(
    r"(seconds|_ms|now|clock|monotonic|started|first_byte|deadline|expires|timestamp|_at|rpc_id|percent_used)$|^at$"
)
# Pure makers of constants; `getLogger` only finds a name in the standard library's registry.
CALLS_AT_IMPORT = {
    "compile", "pattern", "frozenset", "tuple", "len", "range", "max", "min", "sum", "sorted", "dict.fromkeys", "get_type_hints",
    "nano", "namedtuple", "field", "parse", "fullmatch", "timedelta", "int", "str", "join", "encode", "items", "values", "keys",
    "code_of", "fromkeys", "prefix", "union", "fields", "attrgetter", "itemgetter", "split", "with_variant", "rates_from",
    "nano_per_million", "object", "nullcontext", "datetime", "format", "replace", "getLogger",
    "type", "float", "get_args", "index", "ddl_if",
}  # fmt: skip


def functions(module: Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    return (node for node in module.nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef))


def test_files_fit_the_head() -> None:
    long = [f"{m.path}: {len(m.lines)} lines" for m in product() if len(m.lines) > FILE_LINES_MAX]
    assert not long, told(f"a file has one subject: aim for 300 lines, stop at {FILE_LINES_MAX}", long)


def test_functions_fit_the_eye() -> None:
    long = [
        f"{m.path}:{f.lineno} {f.name}: {f.end_lineno - f.lineno + 1} lines"
        for m in product()
        for f in functions(m)
        if f.end_lineno is not None and f.end_lineno - f.lineno + 1 > FUNCTION_LINES_MAX
    ]
    assert not long, told(f"a function fits the eye: aim for 25 lines, stop at {FUNCTION_LINES_MAX}", long)


def test_every_module_says_what_lives_here() -> None:
    silent = [m.path for m in product() if m.text.strip() and not ast.get_docstring(m.tree)]
    assert not silent, told("the first paragraph of a file says what lives here and what never does", silent)


def float_uses(module: Module) -> Iterator[tuple[int, str]]:
    """Uses of `float` outside annotations of things that are no money."""
    allowed: set[int] = set()
    for node in module.nodes:
        named: list[tuple[str, ast.expr | None]] = []
        if isinstance(node, ast.AnnAssign):
            named = [(ast.unparse(node.target), node.annotation)]
        elif isinstance(node, ast.arg):
            named = [(node.arg, node.annotation)]
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            named = [(node.name, node.returns)]
        for name, annotation in named:
            if annotation is not None and NO_MONEY.search(name.lower()):
                allowed |= {id(inner) for inner in ast.walk(annotation)}
    for node in module.nodes:
        if isinstance(node, ast.Name) and node.id == "float" and id(node) not in allowed:
            yield node.lineno, module.lines[node.lineno - 1].strip()


def test_no_float_comes_near_money() -> None:
    near = [f"{m.path}:{line} {text}" for m in product() if m.is_in(*FLOATLESS) for line, text in float_uses(m)]
    assert not near, told("money is an exact integer; floats are only seconds and instants, and are named so", near)


def test_a_float_near_money_is_seen() -> None:
    text = "def f(amount: float, wait_seconds: float) -> int:\n    return int(float(amount))\n"
    assert [line for line, _ in float_uses(Module("x.py", text, ast.parse(text)))] == [1, 2]


def comments(module: Module) -> Iterator[tuple[int, str]]:
    import io  # noqa: PLC0415  # only this law reads tokens
    import tokenize  # noqa: PLC0415  # same

    for token in tokenize.generate_tokens(io.StringIO(module.text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def test_every_exception_from_the_types_gives_its_reason() -> None:
    ignore = re.compile(r"#\s*(type:\s*ignore|noqa|pragma)[^#]*")
    bare = [
        f"{m.path}:{line} {text}"
        for m in product()
        for line, text in comments(m)
        if ignore.match(text) and not re.search(r"\S\s+(#|-)\s*[\w`'\"]", text)
    ]
    assert not bare, told("an ignore names its reason on the same line, after a second # or a dash", bare)


def test_every_cast_gives_its_reason() -> None:
    bare = [
        f"{m.path}:{node.lineno}"
        for m in product()
        for node in m.nodes
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "cast"
        and "#" not in m.lines[node.lineno - 1]
    ]  # fmt: skip
    assert not bare, told("a cast is a claim; the reason stands on its line", bare)


def test_every_any_gives_its_reason() -> None:
    bare = []
    for m in product():
        said = list(comments(m))
        if any(re.search(r"\bAny\b", text) for _, text in said):
            continue  # the module says once what is untyped in it, and why
        explained = {line + n for line, _ in said for n in (0, 1)}
        bare += sorted(
            {
                f"{m.path}:{node.lineno} {m.lines[node.lineno - 1].strip()}"
                for node in m.nodes
                if isinstance(node, ast.Name) and node.id == "Any" and node.lineno not in explained
            }
        )
    law = "Any switches the types off: a comment says why, beside it, or once in the module with the word Any in it"
    assert not bare, told(law, bare)


def test_no_exception_is_swallowed_in_silence() -> None:
    swallowed = [
        f"{m.path}:{node.lineno}"
        for m in product()
        for node in m.nodes
        if isinstance(node, ast.ExceptHandler)
        and all(
            isinstance(s, ast.Pass) or (isinstance(s, ast.Expr) and isinstance(s.value, ast.Constant))
            for s in node.body
        )
    ]
    assert not swallowed, told("an exception is handled, turned into a Fault, or counted; never passed over", swallowed)


@cache
def pure_helpers(module: Module) -> frozenset[str]:
    """Functions of the module that only compute and return a value with pure calls: they may build constants."""
    calls = {
        f.name: {ast.unparse(c.func).split(".")[-1] for s in f.body for c in ast.walk(s) if isinstance(c, ast.Call)}
        for f in module.tree.body
        if isinstance(f, ast.FunctionDef) and all(isinstance(s, ast.Return | ast.Assign | ast.Expr) for s in f.body)
    }
    pure: frozenset[str] = frozenset()
    while True:
        more = frozenset(
            name
            for name, called in calls.items()
            if called <= CALLS_AT_IMPORT | {"list", "dict", "set", "enumerate", "zip", "isinstance"} | pure
        )
        if more == pure:
            return pure
        pure = more


def imported_helpers(module: Module) -> set[str]:
    """Pure helpers that the module takes from another of ours."""
    by_name = {m.path.removesuffix(".py").replace("/", "."): m for m in product()}
    return {
        alias.name
        for node in module.tree.body
        if isinstance(node, ast.ImportFrom) and node.module in by_name
        for alias in node.names
        if alias.name in pure_helpers(by_name[node.module])
    }


def import_work(module: Module) -> Iterator[tuple[int, str]]:
    """Statements that work or keep changing state when the module is imported."""
    pure = CALLS_AT_IMPORT | pure_helpers(module) | imported_helpers(module)
    for statement in module.tree.body:
        match statement:
            case ast.Import() | ast.ImportFrom() | ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                continue
            case ast.Expr(value=ast.Constant()):
                continue
            case ast.Expr(value=ast.Call(func=ast.Name(id=name))) if name[:1].isupper():
                continue  # a declaration, such as an Index of a table
            case ast.If(test=ast.Name(id="TYPE_CHECKING")):
                continue
            case ast.Assign() | ast.AnnAssign():
                yield from ((statement.lineno, what) for what in _assigned_work(statement, pure))
            case _:
                yield statement.lineno, type(statement).__name__


def _assigned_work(statement: ast.Assign | ast.AnnAssign, pure: set[str]) -> Iterator[str]:
    name = ast.unparse(statement.targets[0] if isinstance(statement, ast.Assign) else statement.target)
    changeable = isinstance(statement.value, ast.List | ast.Dict | ast.Set | ast.DictComp | ast.ListComp)
    if changeable and not (name.isupper() or name == "__all__"):
        yield f"{name} can change"
    for node in ast.walk(statement.value) if statement.value else ():
        if isinstance(node, ast.Call):
            called = ast.unparse(node.func).split(".")[-1]
            if called not in pure and not called.lstrip("_")[:1].isupper():
                yield f"calls {called}"


def test_work_at_import_is_seen() -> None:
    text = "engine = create_engine('x')\ncache = {}\nLIMIT = 5\nrun()\n"
    text += "def one(a): return ', '.join(a)\ndef two(a): return open(a)\nONE = one('ab')\nTWO = two('ab')\n"
    assert [line for line, _ in import_work(Module("x.py", text, ast.parse(text)))] == [1, 2, 4, 8]


def test_importing_a_module_does_nothing() -> None:
    busy = [f"{m.path}:{line} {what}" for m in product() for line, what in import_work(m)]
    busy += [f"{m.path}:{n.lineno} global" for m in product() for n in m.nodes if isinstance(n, ast.Global)]
    assert not busy, told(
        "no work and no changing state at import: build things in server/compose.py and pass them on", busy
    )


def test_nothing_is_left_to_do() -> None:
    markers = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X", "HA" + "CK", "W" + "IP")) + r")\b")
    left = [
        f"{path}:{number} {line.strip()}"
        for path in files()
        if (ROOT / path).suffix in {".py", ".md", ".toml", ".txt", ".html", ".css", ".js", ""}
        for number, line in enumerate((ROOT / path).read_text(errors="replace").splitlines(), 1)
        if markers.search(line)
    ]
    assert not left, told("work that is left is an issue, not a comment", left)


def test_no_file_names_a_machine_or_a_registry() -> None:
    places = "|".join(("/" + "work/", "/" + "root/", "/" + "home/", "/" + "tmp/", "/" + "Users/"))
    registries = "|".join(
        ("pypi" + r"\.org", "python" + "hosted", "npmjs" + r"\.", "index" + "-url ", "goproxy" + r"\.")
    )
    named = re.compile(rf"(?<![\w.}}-])({places})|{registries}")
    found = [
        f"{path}:{number} {line.strip()[:120]}"
        for path in files()
        for number, line in enumerate((ROOT / path).read_text(errors="replace").splitlines(), 1)
        if named.search(line)
    ]
    assert not found, told("the tree works on any machine, with whatever registry that machine is set up for", found)


def test_requirements_are_pinned_by_hash_and_name_no_index() -> None:
    loose = []
    for path in files():
        if not re.fullmatch(r"(.*/)?requirements[\w-]*\.txt", path):
            continue
        joined = re.sub(r"\\\n\s*", " ", (ROOT / path).read_text())
        loose += [
            f"{path}: {line[:80]}"
            for line in joined.splitlines()
            if line.strip() and not line.startswith("#")
            and not re.match(r"[a-z0-9][a-z0-9._-]*(\[[a-z0-9,_-]+\])?==\S+(\s+; [^#]+?)?(\s+--hash=sha256:[0-9a-f]{64})+$", line)
        ]  # fmt: skip
    assert not loose, told(
        "every requirement is one exact version with its hashes; lines with anything else are refused", loose
    )


def test_no_lock_file_records_addresses() -> None:
    locks = {"uv.lock", "poetry.lock", "Pipfile.lock", "pdm.lock", "yarn.lock", "pnpm-lock.yaml"}
    assert not [path for path in files() if path.split("/")[-1] in locks], (
        "lock files record addresses; requirements*.txt do not"
    )


def test_npms_lock_files_pin_by_hash_and_record_no_addresses() -> None:
    loose = [
        f"{path}: {place}"
        for path in files()
        if path.split("/")[-1] == "package-lock.json"
        for place, package in json.loads((ROOT / path).read_text())["packages"].items()
        if "://" in json.dumps(package) or (place and not package.get("integrity", "").startswith("sha512-"))
    ]
    assert not loose, told(
        "npm writes addresses unless omit-lockfile-registry-resolved is set; every package has its hash", loose
    )


def test_no_code_asks_whether_it_is_tested() -> None:
    asking = re.compile(r"\bis_testing\b|\bif\s+testing\b|PYTEST_|[\"']pytest[\"']")
    found = [f"{m.path}:{n}" for m in product() for n, line in enumerate(m.lines, 1) if asking.search(line)]
    assert not found, told("the tested app is the shipped app", found)


MAY_BE_MISSING = {
    "tests/fakes/npm.py": "Node",
    "tests/sdks/conftest.py": "Node",
    "tests/fakes/postgres.py": "a PostgreSQL server",
}
"""What a machine may lack: a test skips there with a reason; where every change is checked (CI=true) it fails instead."""
FAILS_OR_SKIPS = re.compile(
    r'if os\.environ\.get\("CI"\) == "true":\n +pytest\.fail\((\w+)\)\n +pytest\.' + r"skip\(\1\)\n"
)


def without_allowed_skips(m: Module) -> str:
    """The text of a test module without the one skip that is allowed in it."""
    return FAILS_OR_SKIPS.sub("", m.text, count=1) if m.path in MAY_BE_MISSING else m.text


def test_what_a_machine_may_lack_is_there_where_every_change_is_checked() -> None:
    soft = [m.path for m in modules() if m.path in MAY_BE_MISSING and not FAILS_OR_SKIPS.search(m.text)]
    assert not soft, told("with CI=true a missing tool fails the test, without it the test skips with a reason", soft)
    assert "export CI=true" in (ROOT / ".ci" / "run").read_text()


def test_no_test_uses_mocks_or_is_skipped() -> None:
    words = ("unittest." + "mock", "monkeypatch." + "setattr", "pytest." + "skip", "mark." + "skip", "mark." + "xfail")
    found = [
        f"{m.path} {line.strip()}"
        for m in modules()
        if m.is_in("tests")
        for line in without_allowed_skips(m).splitlines()
        if any(word in line for word in words)
    ]
    assert not found, told("fakes over mocks, and no test that does not run", found)


def test_the_floors_are_there() -> None:
    assert all(any(m.is_in(floor) for m in modules()) for floor in FLOORS)
