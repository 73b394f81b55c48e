"""Write the generated regions of docs/, or with --check say which are stale."""

from __future__ import annotations

import difflib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SHOWN = 40  # lines of a difference


def main(arguments: list[str]) -> int:
    """The exit code: 1 when --check finds a stale page or a region that no page asks for."""
    os.environ.update(CUDA_VISIBLE_DEVICES="", COLUMNS="100", NO_COLOR="1", RECPROFILE_OFFLINE="1", HF_HUB_OFFLINE="1")
    os.environ.pop("RECPROFILE_TRACEBACK", None)
    from scripts.docs.regions import asked_for, stale
    from scripts.docs.writers import WRITERS

    pages = stale(DOCS, WRITERS)
    nowhere = sorted(set(WRITERS) - asked_for(DOCS))
    for name in nowhere:
        print(f"docs: no page has the region '{name}'")
    for page, text in pages.items():
        if "--check" in arguments:
            print(f"{page.relative_to(ROOT)} is not what `make pages` writes:")
            old = page.read_text(encoding="utf-8").splitlines()
            print("\n".join(list(difflib.unified_diff(old, text.splitlines(), "as it is", "anew", n=1))[:SHOWN]))
        else:
            page.write_text(text, encoding="utf-8")
            print(f"wrote {page.relative_to(ROOT)}")
    return 1 if nowhere or ("--check" in arguments and pages) else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
