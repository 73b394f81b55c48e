"""Which database a store's name means."""

from __future__ import annotations

from pathlib import Path

from recprofile.errors import RecipeError, RunError, Span, quoted
from recprofile.plan import Plan
from recprofile.recipe import load_recipe
from recprofile.source import expand_env, read_source

FILE = "profiles.db"
SQLITE = "sqlite:///"
INSTALL = "pip install 'recprofile[postgresql]'"


def store_url(given: str, folder: Path, *, at: Span | None = None) -> str:
    """The database's URL, a file's path made absolute: `given` is a URL or the path of a SQLite file.

    Raises RunError RP608 for what is neither, and RecipeError RP304 where the driver of PostgreSQL is not installed,
    both at the position `at`.
    """
    if given.startswith(SQLITE):
        return f"{SQLITE}{(folder / given.removeprefix(SQLITE)).resolve()}"
    scheme, _, rest = given.partition("://")
    if not rest:
        return f"{SQLITE}{(folder / given).resolve()}"
    helps = ("sqlite:///profiles.db, the path of a file, or postgresql://host/name",)
    wrong = RunError.of("RP608", f"{quoted(given.rpartition('@')[2])} is no profile store", at=at, help=helps)
    if scheme.partition("+")[0] not in ("postgresql", "postgres"):
        raise wrong
    import sqlalchemy as sa  # noqa: PLC0415 - costs 0.2 s, which no file needs here

    try:
        import psycopg  # noqa: F401, PLC0415 - an extra; what fails is said before anything is connected to
    except ImportError as error:
        raise RecipeError.of("RP304", "no driver of PostgreSQL is installed", at=at, help=(INSTALL,)) from error
    try:
        url = sa.make_url(f"postgresql+psycopg://{rest}")
    except (ValueError, sa.exc.ArgumentError) as error:  # such as a port that is no number
        raise wrong from error
    return url.render_as_string(hide_password=False)


def store_of(plan: Plan, given: str | None, out: Path | None = None) -> str:
    """The store of a recipe: the one that the caller names, else the recipe's `publish`, else the file beside its run.

    `out` is the run folder, where it is not the recipe's.
    """
    if given is not None:
        return store_url(given, Path())
    if plan.recipe.publish is not None:
        at = plan.source.at(("publish",))
        return store_url(expand_env(plan.recipe.publish), plan.source.folder(("publish",)), at=at)
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
            at = source.at(("publish",))
            return store_url(expand_env(recipe.publish), source.folder(("publish",)), at=at), name
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
