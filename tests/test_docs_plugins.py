"""The guide for plugin authors is cut from files that are tested."""

from __future__ import annotations

import re
from pathlib import Path

from recprofile.scaffold import KINDS

ROOT = Path(__file__).parents[1]
GUIDE = (ROOT / "docs" / "plugins.md").read_text(encoding="utf-8")
CUT = re.compile(r"^<!-- cut: (\S+) -->\n\n```\w+\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def test_every_block_of_the_guide_is_in_the_file_it_is_cut_from():
    cuts = CUT.findall(GUIDE)
    assert len(cuts) == 7
    assert [path for path, text in cuts if text not in (ROOT / path).read_text(encoding="utf-8")] == []


def test_every_block_of_python_in_the_guide_is_cut_from_somewhere():
    assert GUIDE.count("```python\n") + GUIDE.count("```toml\n") == len(CUT.findall(GUIDE))


def test_the_guide_has_every_kind_with_its_verb():
    rows = re.findall(r"^\| `(\w+)` \| `(\w+)` \|", GUIDE, re.MULTILINE)
    assert rows == [(kind, one.verb) for kind, one in KINDS.items()]
