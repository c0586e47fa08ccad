"""Live figures on a page that has no kernel.

An executed notebook holds the state of its widgets: the values of their traits and the
bytes of their arrays. This part takes that state out of the page, writes each script,
stylesheet and array once, under the hash of its content, and leaves a place in the page
with the poster in it. `live.js` then mounts the figure there, with a stand-in for the
kernel's model.

Scripts and arrays are classic scripts (`LatentBook.define(...)`), not modules or
fetched files, since a browser that opens a page from disk refuses those two. One form
serves both a server and `file://`.
"""

import base64
import hashlib
import importlib
import json
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from PIL import Image
from sphinx.application import Sphinx
from sphinx.transforms.post_transforms import SphinxPostTransform
from sphinx.util import logging

from sphinxext.reference import module_of, modules

HERE = Path(__file__).parent
VIEW = "application/vnd.jupyter.widget-view+json"
logger = logging.getLogger(__name__)


def digest(content: bytes) -> str:
    """The name of a file with this content."""
    return hashlib.sha256(content).hexdigest()[:16]


def classic_script(module: str) -> str:
    """A figure's module as the body of a function: no imports, and `export default` at
    the end becomes `return`.
    """
    if (
        re.search(r"^import\b", module, re.M)
        or len(re.findall(r"^export\b", module, re.M)) != 1
    ):
        raise ValueError(
            "a live figure's script imports nothing and has one line that begins with 'export default'"
        )
    return re.sub(r"^export\s+default\s+", "return ", module, flags=re.M)


def current_sources(state: dict[str, Any], page: str = "") -> tuple[str, str]:
    """The figure's script and style as they are today; the executed notebook may
    remember older ones.

    A figure that the page itself defines is called `__main__.Name` there, and found in
    the module that the page exports.
    """
    module, _, name = str(state.get("_anywidget_id", "")).rpartition(".")
    if module == "__main__" and module_of(page) in modules():
        module = f"latent_book.{module_of(page)}"
    figure = (
        getattr(importlib.import_module(module), name, None)
        if module.startswith("latent_book")
        else None
    )
    sources = [
        str(getattr(figure, key, state.get(key, ""))) for key in ("_esm", "_css")
    ]
    return sources[0], sources[1]


class Store:
    """Writes files under the hash of their content, each once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        # what a browser checks a file by, before it runs it
        self.seals: dict[str, str] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def _write(self, name: str, suffix: str, content: str) -> str:
        """Write a file and seal it; returns its name."""
        data = content.encode()
        (self.folder / f"{name}{suffix}").write_bytes(data)
        seal = base64.b64encode(hashlib.sha256(data).digest()).decode()
        self.seals[name] = f"sha256-{seal}"
        return name

    def put(self, content: str, suffix: str) -> str:
        """Write text and return its name."""
        return self._write(digest(content.encode()), suffix, content)

    def script(self, module: str) -> str:
        """A figure's script, which defines itself under its name."""
        name = digest(module.encode())
        body = f'LatentBook.define("{name}", function () {{\n{classic_script(module)}\n}});\n'
        return self._write(name, ".js", body)

    def array(self, data: str) -> str:
        """The bytes of an array, given in base64."""
        name = digest(data.encode())
        return self._write(name, ".js", f'LatentBook.bytes("{name}", "{data}");\n')


def extract(
    models: dict[str, Any], store: Store, page: str = ""
) -> tuple[dict[str, Any], list[str]]:
    """What the page needs of its widgets' state, and the names of models that could not
    live without a kernel.
    """
    figures, dead = {}, []
    for model_id, model in models.items():
        state = dict(model["state"])
        if model["model_name"] == "LayoutModel":
            continue
        if model["model_name"] != "AnyModel":
            dead.append(model["model_name"])
            continue
        module, style = current_sources(state, page)
        values = {
            k: v
            for k, v in state.items()
            if not k.startswith("_") and k not in ("layout", "tabbable", "tooltip")
        }
        arrays = [[b["path"], store.array(b["data"])] for b in model.get("buffers", [])]
        code, look = store.script(module), store.put(style, ".css")
        figures[model_id] = {
            "values": values | {"kernel": False},
            "arrays": arrays,
            "script": code,
            "style": look,
            "seals": {
                name: store.seals[name]
                for name in (code, look, *(a[1] for a in arrays))
            },
        }
    return figures, sorted(set(dead))


def _page(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict,
    doctree: nodes.document | None,
) -> None:
    """In place of myst-nb's widget manager: the page's figures as data, and the runtime
    that mounts them.
    """
    from myst_nb.sphinx_ import NbMetadataCollector

    scripts = NbMetadataCollector.get_js_files(app.env, pagename)
    stored = scripts.get("ipywidgets_state")
    for key in [k for k in scripts if k.startswith("ipywidgets_")]:
        scripts.pop(key)
    if stored is None:
        return
    models = json.loads(stored[1]["body"].replace(r"<\/script>", "</script>"))["state"]
    figures, dead = extract(
        models, Store(Path(app.outdir) / "_static" / "live"), pagename
    )
    if dead:
        logger.warning(
            "these widgets need a kernel, and the site has none: %s",
            ", ".join(dead),
            location=pagename,
        )
    body = json.dumps(figures, separators=(",", ":")).replace("</", "<\\/")
    app.add_js_file(None, type="application/json", id="lb-figures-state", body=body)
    app.add_js_file("live/live.js", defer="defer")


class Mounts(SphinxPostTransform):
    """A widget with its PNG becomes a place to mount the figure, with the PNG as
    poster.
    """

    default_priority = 3  # before myst-nb selects one of the two
    formats = ("html",)

    def run(self, **kwargs: Any) -> None:
        """Replace the widget views of one page."""
        for bundle in list(self.document.findall(nodes.container)):
            if bundle.get("nb_element") != "mime_bundle":
                continue
            kinds = {child["mime_type"]: child for child in bundle.children}
            if VIEW not in kinds or "image/png" not in kinds:
                continue
            view = re.search(r'"model_id":\s*"(\w+)"', kinds[VIEW].astext())
            if view is None:
                raise ValueError(
                    f"{self.env.docname}: a widget's view without a model: {kinds[VIEW].astext()[:200]}"
                )
            poster = next(iter(kinds["image/png"].findall(nodes.image))).deepcopy()
            poster["classes"] = ["lb-poster"]
            path = Path(self.env.srcdir) / poster["uri"].lstrip("/")
            width, height = Image.open(path).size
            poster["width"], poster["height"] = f"{width}px", f"{height}px"
            if not poster.get("alt"):
                logger.warning(
                    "a live figure needs '#| fig-alt'", location=self.env.docname
                )
            place = nodes.container(classes=["lb-live", f"lb-model-{view[1]}"])
            place += poster
            bundle.replace_self(place)


def _copy_runtime(app: Sphinx, error: Exception | None) -> None:
    if error is None and app.builder.format == "html":
        folder = Path(app.outdir) / "_static" / "live"
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(HERE / "live.js", folder)


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.add_post_transform(Mounts)
    app.connect(
        "html-page-context", _page, priority=400
    )  # before myst-nb adds its own scripts, at 500
    app.connect("build-finished", _copy_runtime)
