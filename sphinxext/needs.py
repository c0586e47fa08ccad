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
MADE = {"_build", ".venv", ".git", "node_modules", "__pycache__", ".ipynb_checkpoints"}

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
    packages = {k: v for k, v in packages.items() if _is_package(v)}
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
    form = re.compile(
        rf"\b{LIBRARY}\.([\w.]*)|from {LIBRARY} import ([\w, ]+)|import {LIBRARY}\b(?!\.)"
    )
    for _, nodes in cells:
        for node in nodes:
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                for match in form.finditer(node.value):
                    if match[1] is None and match[2] is None:
                        yield LIBRARY
                    else:
                        rest = match[2].split(",") if match[2] else [match[1]]
                        yield from (f"{LIBRARY}.{part.strip() or '*'}" for part in rest)


def named(cells: Cells, base: str = "") -> set[Path]:
    """The project's files and folders that code names, as `"nbs/em.ipynb"` or `root /
    "nbs" / name`; one that it only looks for (`.is_dir()`, `.exists()`) is not meant,
    nor one in pytest's `tmp_path`. With `base`, a pattern, only `base / "nbs"` is.
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
                if words and id(node) not in done:
                    start = ast.unparse(chain)
                    if start != "tmp_path" and re.search(base, start):
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


def _made(path: Path) -> bool:
    """Whether a path of the project is what tools leave behind."""
    return bool(MADE & {*path.parts}) or ".egg-info" in path.as_posix()


def _own(text: str) -> Path | None:
    """The file or folder of the project that a text names."""
    plain = re.sub(r"^(\.\.?/)+", "", text).rstrip("/")
    if not plain.strip(".") or plain.startswith("/") or _made(Path(plain)):
        return None
    alone = text.startswith("./")  # a single word: a file, but hardly a folder
    for path in (ROOT / plain, ROOT / LIBRARY / plain):
        if path.is_file() or (path.is_dir() and not alone):
            return path
    return None


def _is_package(name: str) -> bool:
    """Whether a name is that of one of the project's packages."""
    first, *rest = name.split(".")
    top = _tops(ROOT).get(first)
    return top is not None and top.joinpath(*rest, "__init__.py").is_file()


@cache
def _tops(root: Path) -> dict[str, Path]:
    """The project's packages, and modules that stand alone, by the name that imports
    them.
    """
    found = {}
    for folder in FOLDERS:
        for path in (root / folder).glob("*"):
            if path.suffix == ".py" or (path / "__init__.py").is_file():
                found[path.stem] = path
    return found


def locate(name: str) -> set[Path]:
    """The files of the project that `import name`, or `from ... import name`, runs; none
    if it is somebody else's.

    Raises
    ------
    LookupError
        If one of the project's packages has no such name.
    """
    first, *rest = name.split(".")
    package = _tops(ROOT).get(first)
    if package is None or package.is_file():
        return {package} if package else set()
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
        if isinstance(node, ast.AnnAssign | ast.Assign) and NAMES in given(node):
            return dict(ast.literal_eval(node.value)) if node.value else {}
    return {}


def given(node: ast.stmt) -> set[str]:
    """The names that a statement of a module gives."""
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Import | ast.ImportFrom):
        return {alias.asname or alias.name.split(".")[0] for alias in node.names}
    targets: list[ast.expr] = []
    if isinstance(node, ast.Assign):
        targets = node.targets
    elif isinstance(node, ast.AnnAssign | ast.AugAssign):
        targets = [node.target]
    parts = [part for target in targets for part in ast.walk(target)]
    return {part.id for part in parts if isinstance(part, ast.Name)}


def _bound(path: Path) -> set[str]:
    """What a module defines itself."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    return {name for node in body for name in given(node)}


def direct(cells: Cells, *, strict: bool = True) -> set[Path]:
    """The project's modules that some code imports itself.

    Raises
    ------
    LookupError
        If it imports from one of the project's packages what is not there; it says
        which name, and which cell. Unless `strict`, as a test may try just that.
    """
    files: set[Path] = set()
    for cell, name in imported(cells):
        try:
            files |= locate(name)
        except LookupError:
            if strict:
                raise LookupError(
                    f'cell "{cell}" imports {name}, which {LIBRARY} does not have: if '
                    f"a package lends it, put it into {NAMES} there; else mend the "
                    "import"
                ) from None
    for name in spoken(cells):
        try:
            files |= locate(name)
        except LookupError:
            continue
    return files


def behind(files: Iterable[Path]) -> set[Path]:
    """Modules, and those that they import at second hand; with the data, if one of them
    is `data`.
    """
    found, assets = set(files), ROOT / LIBRARY / "assets"
    todo = list(found)
    while todo:
        path = todo.pop()
        for one in _direct(path, *_state(path)) - found:
            found.add(one)
            todo.append(one)
    return found | ({assets} if assets.parent / "data.py" in found else set())


def executed(cells: Cells) -> set[Path]:
    """All that the outputs of some code depend on, and the code does not tell: modules
    of the library, its data, and the files that the code names.
    """
    return behind(direct(cells)) | named(cells)


def shown(files: set[Path]) -> set[Path]:
    """The same, and the scripts and styles of live figures, for whoever imports their
    kit. A change of those needs the page rendered again, but not executed.
    """
    figures = ROOT / LIBRARY / "figures"
    return files | ({figures / "static"} if figures / "kit.py" in files else set())


def _state(path: Path) -> tuple[int, int]:
    """What changes when a file does."""
    stat = path.stat()
    return stat.st_mtime_ns, stat.st_size


def read(path: Path) -> Cells:
    """A module as its only cell."""
    return _kept(path, *_state(path))


@cache
def _kept(path: Path, *state: int) -> Cells:
    del state
    return parse([(path.name, path.read_text(encoding="utf-8"))])


@cache
def _direct(path: Path, *state: int) -> frozenset[Path]:
    """What a module imports itself."""
    if path.suffix != ".py":
        return frozenset()
    package = ".".join(path.relative_to(ROOT).parent.parts)
    found: set[Path] = set()
    for _, name in imported(_kept(path, *state), package):
        try:
            found |= locate(name)
        except LookupError:
            if ROOT / LIBRARY in path.parents:
                raise LookupError(f"{path.relative_to(ROOT)} imports {name}") from None
    return frozenset(found)


@cache
def _essence(path: Path, *state: int) -> tuple[bytes, bool]:
    """A hash of a module's code, and whether it reads docstrings."""
    cells = _kept(path, *state)
    tree = cells[0][1][0]
    assert isinstance(tree, ast.Module)
    body = tree.body
    if path.name == "__init__.py":
        body = [node for node in body if not given(node) & set(TOLD)]
    code = "\n".join(map(ast.dump, body))
    return hashlib.sha256(code.encode()).digest(), reads_docstrings(cells)


@cache
def _content(path: Path, *state: int) -> bytes:
    """A hash of a file."""
    del state
    return hashlib.sha256(path.read_bytes()).digest()


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
    given = set(files)
    code = {
        path: _essence(path, *_state(path))
        for path in given
        if path.suffix == ".py" and not whole
    }
    whole = whole or any(reads for _, reads in code.values())
    told = hashlib.sha256()
    for path in sorted({one for file in given for one in below(file)}):
        told.update(path.relative_to(ROOT).as_posix().encode() + b"\0")
        short = path in code and not whole
        told.update(code[path][0] if short else _content(path, *_state(path)))
    return told.hexdigest()[:16]


def below(path: Path) -> Iterator[Path]:
    """A file itself, or all files of a folder that are not made by running it."""
    if path.is_file():
        yield path
    else:
        for one in path.rglob("*"):
            if one.is_file() and not _made(one.relative_to(ROOT)):
                yield one
