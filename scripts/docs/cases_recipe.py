"""RP1xx to RP4xx: what can be wrong with a recipe and the plugins it names."""

from __future__ import annotations

from scripts.docs.cases import RECIPE, Case
from scripts.docs.play import plugin

BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{new}: &{new} [{', '.join(f'*{old}' for _ in range(10))}]\n" for old, new in zip("abcde", "bcdef", strict=True)
)
BROKEN = "import no_such_library\n"
MISSPELT = """\
from recprofile.plugin import hookimpl


@hookimpl
def recprofile_encoder():
    return []
"""
TWICE = {**plugin(BROKEN), **plugin(BROKEN, name="recprofile-shop-fork")}
NO_FUSE = "  - fuse: mean-history\n"
TWO = "  - fuse: mean-history\n    id: one\n  - fuse: mean-history\n    id: two\n"

CASES = (
    Case(
        "RP101",
        "The recipe, or a file that it extends, is not there, is a folder, or may not be read.",
        "Check the path: it is relative to where you are; that of `extends` is relative to the file that says it.",
        command="recprofile validate shopp.yaml",
    ),
    Case(
        "RP102",
        "A recipe is read as UTF-8, with or without a byte order mark. This one was saved in another encoding.",
        "Save it again as UTF-8; every editor can.",
        files={"shop.yaml": RECIPE.replace("recipe: 1", "recipe: 1\nname: café").encode("latin-1")},
    ),
    Case(
        "RP103",
        "The text is no YAML: indentation that does not line up, a tab, a bracket or quote that is not closed.",
        "Look at the position and the line above it. Indent by spaces, the same number for all keys of one mapping.",
        edit=("    with: {columns: [title, genre]}", "    with: {columns: [title, genre}"),
    ),
    Case(
        "RP104",
        "One mapping has the same key twice. YAML would silently take the last one.",
        "Keep one of them. Stages are a list, and each begins with a dash.",
        edit=("stages:", "device: cpu\ndevice: auto\nstages:"),
    ),
    Case(
        "RP105",
        "The size of a recipe, its nesting, its length after aliases are expanded, and the number of files that it"
        " extends are bounded, so that no recipe can take the machine down.",
        "Keep data in data files. A recipe written by people stays far below every bound.",
        files={"shop.yaml": BOMB},
        show=("shop.yaml",),
    ),
    Case(
        "RP106",
        "A recipe extends itself, directly or through others; or `override` names a stage that the base has not.",
        "Follow the chain that is shown, and break it. `override` goes by the `id` of a stage.",
        edit=("recipe: 1", "extends: base.yaml\nrecipe: 1"),
        files={"base.yaml": "extends: shop.yaml\n"},
        show=("base.yaml",),
    ),
    Case(
        "RP107",
        "`${env:NAME}` stands for an environment variable, and it is not set; or it stands where none is allowed. It is"
        " allowed within `data`, `publish` and `track` only.",
        "Set the variable before the command: `SHOP=/srv/shop recprofile run shop.yaml`.",
        edit=("interactions: ratings.csv", 'interactions: "${env:SHOP}/ratings.csv"'),
    ),
    Case(
        "RP108",
        "A `--set` has no `=`, names a stage that is not there, or goes below a single value.",
        "Write `--set path.to.key=value`; a stage goes by its id, or by its place from 0, as in"
        " `--set stages.plot.with.min_df=2`.",
        command="recprofile validate shop.yaml --set stages.plto.with.min_df=2",
        edit=("  - encode: tfidf\n", "  - encode: tfidf\n    id: plot\n"),
    ),
    Case(
        "RP201",
        "A key that the recipe language, or the component, does not know: most often misspelt, or one level too high or"
        " too deep.",
        "Take the one that is suggested. Parameters of a component stand under `with`. `recprofile describe` lists"
        " them, and [the recipe reference](recipe.md) has the rest.",
        edit=("columns: [title, genre]", "colums: [title, genre]"),
    ),
    Case(
        "RP202",
        "A key that has no default is not there.",
        "Add it; [the recipe reference](recipe.md) and `recprofile describe` say which are required.",
        edit=("    with: {columns: [title, genre]}\n", ""),
    ),
    Case(
        "RP203",
        "A value is of another type than the key takes: text for a number, one value for a list. `yes` and `no` are"
        " text; only `true` and `false` are not.",
        "Write the type that is named. Quotes make text of anything.",
        edit=("stages:", "list: {k: ten}\nstages:"),
    ),
    Case(
        "RP204",
        "A value has the right type, but lies outside its range or is none of the choices.",
        "Take a value from the range or the choices that are shown.",
        edit=("stages:", "list: {k: 0}\nstages:"),
    ),
    Case(
        "RP205",
        "Two keys exclude each other, or one asks for another: two verbs in one stage, `fail` on a stage that is no"
        " check.",
        "Make two stages of it, or drop one of the keys.",
        edit=("  - fuse: mean-history\n", "  - fuse: mean-history\n    fail: warn\n"),
    ),
    Case(
        "RP301",
        "No installed component of that name has that verb. It may be misspelt, or be a component of another verb.",
        "Take the one that is suggested; `recprofile plugins` lists all that are installed. A component of a plugin is"
        " written with its namespace, as in `hf/text`.",
        edit=("encode: tfidf", "encode: tf-idf"),
    ),
    Case(
        "RP302",
        "The plugin that has this component is installed, but its import failed; the cause is shown. Other plugins"
        " load all the same, and recipes that do not need this one run.",
        "Mend what the cause names: most often a library that the plugin needs. `recprofile plugins` shows it too.",
        edit=("encode: tfidf", "encode: shop/numbers"),
        files=plugin(BROKEN),
        show=("recprofile_shop.py",),
    ),
    Case(
        "RP303",
        "Two installed distributions have an entry point of the same name, so `shop/…` could mean either.",
        "Uninstall one of them.",
        files=TWICE,
    ),
    Case(
        "RP304",
        "The part before the `/` names a plugin that is not installed.",
        "Install the distribution that is named, or mend the spelling.",
        edit=("encode: tfidf", "encode: shop/numbers"),
    ),
    Case(
        "RP305",
        "The recipe pins a version of a component, as `tfidf@7`, which the installed plugins do not have.",
        "Drop the pin to take the newest one, or install a version of the plugin that has it.",
        edit=("encode: tfidf", "encode: tfidf@7"),
    ),
    Case(
        "RP306",
        "`plugins:` asks for a version of a plugin other than the one that is installed.",
        "Install a version that will do, or widen the requirement.",
        edit=("stages:", 'plugins: {hf: ">=9"}\nstages:'),
    ),
    Case(
        "RP307",
        "A plugin breaks a rule: a misspelt hook, a hook that takes other arguments than its specification gives, a"
        " component without a name or a description.",
        "For its author: see [hooks](hooks.md). For everyone else: uninstall it, or install a version that is mended.",
        files=plugin(MISSPELT),
        show=("recprofile_shop.py",),
        command="recprofile plugins",
        start="shop",
        status=0,
    ),
    Case(
        "RP401",
        "`from` names a stage by its `id`, or by the name of its component where it has none; there is no such stage"
        " before this one.",
        "Take the one that is suggested, or move the stage up: order is execution order.",
        edit=("fuse: mean-history", "fuse: mean-history\n    from: [tfdif]"),
    ),
    Case(
        "RP402",
        "`from` names a stage that gives something else than this one takes.",
        "Name a stage of a kind that fits; [the design page](design.md) has a table of who takes what.",
        edit=("recommend: dot", "recommend: popular\n  - recommend: dot\n    from: popular"),
    ),
    Case(
        "RP403",
        "Two earlier stages give what this one takes, and the recipe does not say which is meant.",
        "Write `from` with the id of the one that is meant.",
        edit=(NO_FUSE, TWO),
    ),
    Case(
        "RP404",
        "A stage takes something that no earlier stage gives.",
        "Add such a stage before it; the help line says which kind.",
        edit=(NO_FUSE, ""),
    ),
    Case(
        "RP405",
        "Two stages have the same id.",
        "Give one of them another. A stage needs an `id` only where others name it.",
        edit=("  - fuse: mean-history\n", "    id: shop\n  - fuse: mean-history\n    id: shop\n"),
    ),
    Case(
        "RP406",
        "A component needs times, a table of items or a table of users, and the `data` block names none.",
        "Add the file, or take a component that does without.",
        edit=("  items: books.csv\n", ""),
    ),
    Case(
        "RP407",
        "A stage stands where it cannot run: data may be revised only before anything is made of them, and lists"
        " reordered only before they are checked or explained.",
        "Move it up.",
        edit=("  - fuse", "  - preprocess: dedupe\n  - fuse"),
    ),
)
