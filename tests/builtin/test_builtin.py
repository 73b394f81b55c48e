import subprocess
import sys
from itertools import chain

from recprofile import builtin
from recprofile.plugin import hookimpl


def offered():
    hooks = [name for name in vars(builtin) if name.startswith("recprofile_") and name != "recprofile_sources"]
    return list(chain.from_iterable(getattr(builtin, name)() for name in hooks))


def test_every_component_has_a_name_of_its_own_within_its_verb():
    names = [(one.verb, one.name) for one in offered()]
    assert len(set(names)) == len(names) > 0


def test_every_hook_is_marked_for_the_registry():
    marker = hookimpl(lambda: None)
    (attribute,) = (name for name in vars(marker) if name.endswith("_impl"))
    hooks = [value for name, value in vars(builtin).items() if name.startswith("recprofile_")]
    assert all(hasattr(hook, attribute) for hook in hooks)


def test_importing_the_components_imports_nothing_heavy():
    heavy = "{'torch', 'scipy', 'pandas', 'safetensors'}"
    code = f"import sys, recprofile.builtin; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
