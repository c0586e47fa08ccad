"""The site's own code: how an executed notebook becomes a page that lives without a
kernel.

needs.py      what code needs of this project: the key to the executed chapters
notebook.py   reads a chapter: nbdev's `#|` lines become the page's tags, captions
              and alternative texts
live.py       turns the stored state of live figures into files, and live.js mounts
              them in the browser
figures.py    sets matplotlib's SVG into the page with the palette's variables, so
              that it follows light and dark
equations.py  the index of equations: where each stands, and the test that holds it
reference.py  the library's public names, their signatures and docstrings
along.py      where the PDF, the EPUB and the ZIP are to be had
card.py       what a page says of itself where its link is shared
harden.py     content security policy, no third party, and the theme's faults of
              accessibility mended
"""

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sphinx.application import Sphinx


def setup(app: "Sphinx") -> dict[str, Any]:
    """Register all eight parts with Sphinx; when one of them changes, every page is
    rendered again.
    """
    # here, since `make check` wants needs.py without Sphinx
    from sphinxext import (
        along,
        card,
        equations,
        figures,
        harden,
        live,
        notebook,
        reference,
    )

    code = sorted(Path(__file__).parent.glob("*.py"))
    app.add_config_value(
        "site_code", live.digest(b"".join(p.read_bytes() for p in code)), "env"
    )
    for part in (notebook, live, figures, equations, reference, along, card, harden):
        part.setup(app)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
