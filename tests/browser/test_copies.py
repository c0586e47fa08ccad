"""Readers' copies of the site that was built: its numbers, and links that lead to
another copy.
"""

import json
import re
from pathlib import Path

import pytest
from browsing import ROOT, SITE
from reader_copies import Origin, site, write


@pytest.mark.skipif(
    SITE != ROOT / "_build" / "html", reason="copies are made of this project's site"
)
def test_copies_have_the_numbers_of_the_site_and_lead_to_each_other(tmp_path: Path):
    built = site()
    assert write(tmp_path, built, Origin(ROOT)) == []
    assert len(built.copied) > 40
    found = 0
    for page in sorted(built.copied):
        html = (SITE / f"{page}.html").read_text(encoding="utf-8")
        shown = set(re.findall(r"(?:Exercise|Fig\.) \d+(?:\.\d+)?", html))
        shown |= {f"({n})" for n in re.findall(r'eqno">\(([\d.]+)\)', html)}
        copy = tmp_path / f"{page}.ipynb"
        cells = json.loads(copy.read_text(encoding="utf-8"))["cells"]
        for cell in cells:
            if cell["cell_type"] == "code":
                continue
            text = "".join(cell["source"])
            own = re.findall(r"^\*\*(Fig\. [\d.]+)\.\*\*", text, re.M)
            own += re.findall(r"^### (Exercise [\d.]+)\.", text, re.M)
            own += [f"({number})" for number in re.findall(r"\\tag\{(.*?)\}", text)]
            assert set(own) <= shown, f"{page} {cell['id']}"
            found += len(own)
            for link in re.findall(r"\]\(([^)#:]+\.ipynb)\)", text):
                assert (copy.parent / link).exists(), f"{page} leads to {link}"
    assert found > 300
