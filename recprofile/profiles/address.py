"""Which database a store's name means."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from recprofile.errors import RecipeError, RunError, quoted
from recprofile.plan import Plan
from recprofile.recipe import load_recipe
from recprofile.source import expand_env, read_source

FILE = "profiles.db"
SQLITE = "sqlite:///"


def store_url(given: str, folder: Path) -> str:
    """The database's URL, a file's path made absolute: `given` is a URL or the path of a SQLite file.

    Raises RunError RP608 for what is neither, and RecipeError RP304 where the driver of PostgreSQL is not installed.
    """
    if given.startswith(SQLITE):
        return f"{SQLITE}{(folder / given.removeprefix(SQLITE)).resolve()}"
    scheme, _, rest = given.partition("://")
    if not rest:
        return f"{SQLITE}{(folder / given).resolve()}"
    if scheme.partition("+")[0] not in ("postgresql", "postgres"):
        helps = ("sqlite:///profiles.db, the path of a file, or postgresql://host/name",)
        raise RunError.of("RP608", f"{quoted(given.partition('@')[2] or given)} is no profile store", help=helps)
    driver = next((name for name in ("psycopg", "psycopg2") if find_spec(name)), None)
    if driver is None:
        raise RecipeError.of("RP304", "no driver of PostgreSQL is installed", help=("install 'psycopg[binary]'",))
    return f"postgresql+{driver}://{rest}"


def store_of(plan: Plan, given: str | None, out: Path | None = None) -> str:
    """The store of a recipe: the one that the caller names, else the recipe's `publish`, else the file beside its run.

    `out` is the run folder, where it is not the recipe's.
    """
    if given is not None:
        return store_url(given, Path())
    if plan.recipe.publish is not None:
        return store_url(expand_env(plan.recipe.publish), plan.source.folder(("publish",)))
    folder = out or plan.source.folder(("out",)) / plan.out
    return store_url(FILE, folder.parent)


def find_store(given: str | None, run: Path | None) -> tuple[str, str | None]:
    """The store that a person means, and the name of the recipe where they named one.

    By its URL or path, or that of a recipe or run folder; else the one in ./runs or the only one in ./*/runs. Raises
    RunError RP608 where there is none.
    """
    if given is not None and Path(given).suffix not in (".yaml", ".yml"):
        return store_url(given, Path()), None
    named = Path(given) if given is not None else run
    if named is not None and named.suffix in (".yaml", ".yml"):
        source = read_source(named)
        recipe = load_recipe(source)
        name = recipe.name or named.stem
        if recipe.publish is not None:
            return store_url(expand_env(recipe.publish), source.folder(("publish",))), name
        folder = source.folder(("out",)) / (recipe.out or f"runs/{name}")
        return store_url(FILE, folder.parent), name
    places = [named.parent] if named is not None else [Path("runs"), *sorted(Path().glob("*/runs"))]
    found = [place / FILE for place in places if (place / FILE).is_file()]
    if len(found) == 1 or (found and found[0].parent == Path("runs")):
        return store_url(str(found[0]), Path()), None
    if found:
        helps = tuple(f"name it: --store {path}" for path in found)
        raise RunError.of("RP608", "there are several profile stores", help=helps)
    helps = ("make one: recprofile publish RECIPE", "or name it: --store FILE, --store URL or --store RECIPE")
    raise RunError.of("RP608", "no profile store in ./runs", help=helps)
