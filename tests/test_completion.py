"""What a shell completes, asked as bash asks it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from recprofile.cli.complete import components, datasets, recipes, runs, runs_and_recipes

RECIPE = "recipe: 1\ndata: {interactions: r.csv}\nstages: [{recommend: popular}]\n"


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    """A folder with recipes, other YAML, and runs."""
    monkeypatch.chdir(tmp_path)
    for name, text in {"shop.yaml": RECIPE, "more/film.yml": f"# films\n{RECIPE}", "ci.yaml": "on: push\n"}.items():
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_text(text, encoding="utf-8")
    for name in ("runs/shop", "more/runs/film"):
        Path(name).mkdir(parents=True)
        (Path(name) / "manifest.json").write_text("{}", encoding="utf-8")
    Path("runs/empty").mkdir()


def test_components_go_by_the_name_that_a_recipe_has():
    assert components("tf") == ["tfidf"]
    assert "hf/text" in components("")


def test_data_sets_are_those_that_are_known():
    assert datasets("movielens-100") == ["movielens-100k"]


def test_recipes_are_files_that_say_so():
    assert recipes("") == ["more/film.yml", "shop.yaml"]
    assert recipes("more/") == ["more/film.yml"]
    assert recipes("/") == []


def test_runs_are_folders_with_a_manifest():
    assert runs("") == ["more/runs/film", "runs/shop"]
    assert runs_and_recipes("s") == ["shop.yaml"]


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_commands_components_and_recipes():
    # The script that --install-completion writes, and what readline does with it.
    program = Path(sys.executable).with_name("recprofile")
    script = f"""
    eval "$('{program}' --show-completion bash)"
    complete -p recprofile
    try() {{
        COMP_WORDS=(recprofile "$@"); COMP_CWORD=$#; COMPREPLY=()
        _recprofile_completion '{program}' && echo "${{COMPREPLY[@]}}"
    }}
    try desc
    try describe hf/
    try run sh
    try data fetch movielens-100
    """
    # typer asks which shell calls, unless it is told not to look
    environment = {**os.environ, "_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(["bash", "--norc", "-c", script], capture_output=True, text=True, check=True, env=environment)
    said, *tried = done.stdout.splitlines()
    assert said == "complete -o default -F _recprofile_completion recprofile"
    assert tried == ["describe", "hf/audio hf/finetune hf/history hf/image hf/text", "shop.yaml", "movielens-100k"]
