"""What a piece of code needs of this project: the modules that it imports, directly or
at second hand, and the files that it names.

The cache of executed chapters goes by it, and so does `make check`: whatever needs
nothing that has changed is not run again. A module counts by its code, without comments
and docstrings, unless somebody reads docstrings (`READERS`).
"""

import ast
import hashlib
import re
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LIBRARY = "latent_book"
FOLDERS = ("", "scripts", "tests", "tests/browser")  # where imports are looked up
NAMES = "_NAMES"  # a package's table: a name it lends -> the module that has it
TOLD = (NAMES, "__all__", "__version__")  # of a package, and nobody's behaviour
READERS = {"help", "__doc__", "getdoc", "getsource", "getsourcelines", "doctest"}
MADE = {"_build", ".venv", ".git", "__pycache__", ".ipynb_checkpoints"}

Cells = list[tuple[str, list[ast.AST]]]  # the nodes of each cell, from the top


def parse(sources: Iterable[tuple[str, str]]) -> Cells:
    """Named pieces of code as trees, without docstrings and without what only a type
    checker reads; a line of IPython's own (`%`, `!`, `?`) counts as empty.

    Raises
    ------
    SyntaxError
        If a piece is not Python; it says which.
    """
    found = []
    for name, source in sources:
        try:
            tree = ast.parse(source)
        except SyntaxError:
            line = r"(?m)^([ \t]*)(?:[%!?].*|[\w.]+\?\??[ \t]*)$"
            try:
                tree = ast.parse(re.sub(line, r"\1pass", source))
            except SyntaxError as error:
                raise SyntaxError(f'cell "{name}": {error}') from None
        found.append((name, _that_runs(tree)))
    return found


def _that_runs(tree: ast.Module) -> list[ast.AST]:
    """All nodes from the top, but for those that do nothing when the code is run."""
    nodes: list[ast.AST] = [tree]
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef
    for node in nodes:
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            node.body = [ast.Pass()]
        nodes.extend(ast.iter_child_nodes(node))
    return nodes


def imported(cells: Cells, package: str = "") -> Iterator[tuple[str, str]]:
    """All that is imported, as (cell, dotted name): also what is taken from a package
    by its attributes. `latent_book.*` stands for all of it: a star, or a package that
    is handed on. `package` is where relative imports begin.
    """
    packages: dict[str, str] = {}
    for cell, nodes in cells:
        for node in nodes:
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield cell, alias.name
                    bound = alias.name if alias.asname else alias.name.split(".")[0]
                    packages[alias.asname or bound] = bound
            elif isinstance(node, ast.ImportFrom):
                above = package.split(".")
                home = above[: len(above) - node.level + 1] if node.level else []
                base = ".".join(filter(None, [*home, node.module]))
                for alias in node.names:
                    yield cell, f"{base}.{alias.name}"
                    packages[alias.asname or alias.name] = f"{base}.{alias.name}"
    packages = {k: v for k, v in packages.items() if _folder(v)}
    for cell, nodes in cells:
        inner: set[int] = set()  # the beginnings of chains that have been read
        for node in nodes:
            if isinstance(node, ast.Attribute) and id(node) not in inner:
                chain: ast.expr = node
                names: list[str] = []
                while isinstance(chain, ast.Attribute):
                    names.insert(0, chain.attr)
                    inner.add(id(chain := chain.value))
                if isinstance(chain, ast.Name) and chain.id in packages:
                    yield cell, ".".join([packages[chain.id], *names])
            elif (
                isinstance(node, ast.Name)
                and isinstance(node.ctx, ast.Load)
                and node.id in packages
                and id(node) not in inner
            ):
                yield cell, f"{packages[node.id]}.*"


def spoken(cells: Cells) -> Iterator[str]:
    """What is imported by the code in strings: for another Python, or by a name that is
    put together (all of the library then).
    """
    form = re.compile(rf"\b{LIBRARY}\.([\w.]*)|from {LIBRARY} import ([\w, ]+)")
    for _, nodes in cells:
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for match in form.finditer(node.value):
                    rest = match[2].split(",") if match[2] else [match[1]]
                    yield from (f"{LIBRARY}.{name.strip() or '*'}" for name in rest)


def named(cells: Cells) -> set[Path]:
    """The project's files and folders that code names, as `"nbs/em.ipynb"` or `root /
    "nbs" / name`; one that it only looks for (`.is_dir()`, `.exists()`) is not meant.
    """
    texts: set[str] = set()
    for _, nodes in cells:
        done: set[int] = set()
        for node in nodes:
            if isinstance(node, ast.Attribute) and node.attr in ("is_dir", "exists"):
                done.add(id(node.value))
            if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Div):
                parts: list[ast.expr] = []
                chain: ast.expr = node
                while isinstance(chain, ast.BinOp) and isinstance(chain.op, ast.Div):
                    parts.insert(0, chain.right)
                    if id(node) in done:
                        done.add(id(chain.right))
                    done.add(id(chain := chain.left))
                words = [_text(part) for part in parts]
                if None in words:
                    words = words[: words.index(None)]
                if id(node) not in done and words:
                    texts.add("/".join(map(str, words)))
            elif id(node) not in done and (text := _text(node)):
                texts.add(text if "/" in text else f"./{text}")
    return set(filter(None, map(_own, texts)))


def _text(node: ast.AST) -> str | None:
    """The value of a short string."""
    text = node.value if isinstance(node, ast.Constant) else None
    if not isinstance(text, str) or len(text) > 99 or not text.isprintable():
        return None
    return text


def _own(text: str) -> Path | None:
    """The file or folder of the project that a text names."""
    plain = re.sub(r"^(\.\.?/)+", "", text).rstrip("/")
    if not plain.strip(".") or plain.startswith("/") or MADE & {*plain.split("/")}:
        return None
    alone = text.startswith("./")  # a single word: a file, but hardly a folder
    for path in (ROOT / plain, ROOT / LIBRARY / plain):
        if path.is_file() or (path.is_dir() and not alone):
            return path
    return None


def _folder(name: str) -> Path | None:
    """The folder of one of the project's packages."""
    parts = Path(*name.split("."))
    found = (ROOT / folder / parts for folder in FOLDERS)
    return next((path for path in found if (path / "__init__.py").is_file()), None)


def locate(name: str) -> set[Path]:
    """The files of the project that `import name`, or `from ... import name`, runs; none
    if it is somebody else's.

    Raises
    ------
    LookupError
        If one of the project's packages has no such name.
    """
    first, *rest = name.split(".")
    package = _folder(first)
    if package is None:
        paths = (ROOT / folder / f"{first}.py" for folder in FOLDERS)
        return set(filter(Path.is_file, paths))
    files = {package / "__init__.py"}
    while rest:
        part = rest.pop(0)
        if part == "*":
            return files | set(package.rglob("[!_]*.py"))
        if (package / part / "__init__.py").is_file():
            package = package / part
            files.add(package / "__init__.py")
        elif (package / f"{part}.py").is_file():
            return files | {package / f"{part}.py"}
        elif part in (lent := _lent(package)):
            rest = lent[part].lstrip(".").removeprefix(f"{LIBRARY}.").split(".")
        elif re.fullmatch(r"__\w+__", part) or part in _bound(package / "__init__.py"):
            return files
        else:
            raise LookupError(name)
    return files


def _lent(package: Path) -> dict[str, str]:
    """The names that a package takes from its modules when they are asked for."""
    for node in ast.parse((package / "__init__.py").read_text(encoding="utf-8")).body:
        if isinstance(node, ast.AnnAssign | ast.Assign) and NAMES in _targets(node):
            return dict(ast.literal_eval(node.value)) if node.value else {}
    return {}


def _targets(node: ast.stmt) -> set[str]:
    """The plain names that an assignment gives."""
    if isinstance(node, ast.Assign):
        targets = node.targets
    else:
        targets = [node.target] if isinstance(node, ast.AnnAssign) else []
    names = [part for target in targets for part in ast.walk(target)]
    return {part.id for part in names if isinstance(part, ast.Name)}


def _bound(path: Path) -> set[str]:
    """What a module defines itself."""
    names: set[str] = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names |= _targets(node)
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Import | ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names


def modules(cells: Cells, package: str = "") -> set[Path]:
    """The project's modules that some code imports, directly or at second hand.

    Raises
    ------
    LookupError
        If it imports from one of the project's packages what is not there; it says
        which name, and which cell.
    """
    files: set[Path] = set()
    for cell, name in imported(cells, package):
        try:
            files |= locate(name)
        except LookupError:
            raise LookupError(
                f'cell "{cell}" imports {name}, which {LIBRARY} does not have: if it '
                f"is lent by a package, put it into {NAMES} there; else mend the import"
            ) from None
    for name in spoken(cells):
        try:
            files |= locate(name)
        except LookupError:
            continue
    todo = list(files)
    while todo:
        path = todo.pop()
        for one in _direct(path, *_state(path)) - files:
            files.add(one)
            todo.append(one)
    return files


def _state(path: Path) -> tuple[int, int]:
    """What changes when a file does."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


@cache
def _read(path: Path, *state: int) -> Cells:
    """A module as its only cell, as long as it stays as it is."""
    del state
    return parse([(path.name, path.read_text(encoding="utf-8"))])


@cache
def _direct(path: Path, *state: int) -> frozenset[Path]:
    """What a module imports itself."""
    package = ".".join(path.relative_to(ROOT).parent.parts)
    found: set[Path] = set()
    for _, name in imported(_read(path, *state), package):
        try:
            found |= locate(name)
        except LookupError:
            raise LookupError(f"{path.relative_to(ROOT)} imports {name}") from None
    return frozenset(found)


@cache
def _essence(path: Path, *state: int) -> tuple[bytes, bool]:
    """A module's code without comments and docstrings, and whether it reads
    docstrings.
    """
    cells = _read(path, *state)
    tree = cells[0][1][0]
    assert isinstance(tree, ast.Module)
    body = tree.body
    if path.name == "__init__.py":
        body = [node for node in body if not _targets(node) & set(TOLD)]
    code = "\n".join(map(ast.dump, body)).encode()
    return code, reads_docstrings(cells)


def reads_docstrings(cells: Cells) -> bool:
    """Whether code shows or tests docstrings or sources: for it they are content."""
    words = set()
    for _, nodes in cells:
        for node in nodes:
            if isinstance(node, ast.Name):
                words.add(node.id)
            elif isinstance(node, ast.Attribute):
                words.add(node.attr)
            elif isinstance(node, ast.alias):
                words |= {node.name, node.name.split(".")[0]}
    return bool(words & READERS)


def digest(files: Iterable[Path], *, whole: bool = False) -> str:
    """A short hash of files and folders: of modules the code, of all else the content;
    with `whole`, or where one of the modules reads docstrings, of modules too.
    """
    paths = sorted({one for file in files for one in below(file)})
    parts = {path: _essence(path, *_state(path)) for path in paths if _is_code(path)}
    whole = whole or any(reads for _, reads in parts.values())
    told = hashlib.sha256()
    for path in paths:
        short = not whole and path in parts
        told.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        content = parts[path][0] if short else path.read_bytes()
        told.update(hashlib.sha256(content).digest())
    return told.hexdigest()[:16]


def _is_code(path: Path) -> bool:
    return path.suffix == ".py"


def below(path: Path) -> Iterator[Path]:
    """A file itself, or all files of a folder that are not made by running it."""
    if path.is_file():
        yield path
    else:
        for one in path.rglob("*"):
            if one.is_file() and not MADE & set(one.relative_to(ROOT).parts):
                yield one
