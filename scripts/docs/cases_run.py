"""RP5xx and RP6xx: what can be wrong with data, and while a recipe runs."""

from __future__ import annotations

from scripts.docs.cases import BOOKSHOP, Case
from scripts.docs.play import plugin

RUN = "recprofile run shop.yaml --quiet"
RATINGS = (BOOKSHOP / "ratings.csv").read_text(encoding="utf-8").splitlines(keepends=True)
WRONG = ",".join([*RATINGS[3].split(",")[:2], "good", *RATINGS[3].split(",")[3:]])
RAISING = '''\
from recprofile.plugin import Encoder, Embeddings, Params, hookimpl
import numpy as np


class {name}(Encoder[Params]):
    """{title}."""

    name = "numbers"

    def encode(self, data, ctx):
        {body}


@hookimpl
def recprofile_encoders():
    return [{name}]
'''
NUMBERS = ("encode: tfidf\n    with: {columns: [title, genre]}", "encode: shop/numbers")


def _component(name: str, title: str, body: str) -> dict[str, str]:
    return plugin(RAISING.format(name=name, title=title, body=body))


CASES = (
    Case(
        "RP501",
        "A file that `data` or a component names is not there, is a folder, or is not of the format that it should be.",
        "Check the path, which is relative to the recipe, and the `format` and `separator`.",
        edit=("ratings.csv", "rating.csv"),
        command=RUN,
        status=3,
    ),
    Case(
        "RP502",
        "A file has no column of that name.",
        "Take the one that is suggested, or say under which name your file has it: `{path: log.csv, user: customer}`.",
        edit=("[title, genre]", "[title, gerne]"),
        command=RUN,
        status=3,
    ),
    Case(
        "RP503",
        "A value cannot be used: text where a number belongs, a missing weight, a time before 1970. Row 1 is the first"
        " below the header.",
        "Mend the file at the row that is shown. Missing weights can be filled by a stage `preprocess: impute`.",
        files={"ratings.csv": "".join([*RATINGS[:3], WRONG, *RATINGS[4:]])},
        command=RUN,
        status=3,
    ),
    Case(
        "RP504",
        "A data file is empty, or has a header and no rows.",
        "Look at what wrote it.",
        files={"ratings.csv": RATINGS[0]},
        command=RUN,
        status=3,
    ),
    Case(
        "RP505",
        "A step leaves nothing: bounds of `k-core` that no user meets, a `positive` that no event meets, no"
        " candidates.",
        "Lower the bound that is named.",
        edit=("stages:\n", "stages:\n  - preprocess: k-core\n    with: {min_user: 100, min_item: 100}\n"),
        command=RUN,
        status=3,
    ),
    Case(
        "RP506",
        "The ids of two files do not match, or an id stands twice where it must be unique.",
        "Check which column holds the ids, and that both files write them alike: `7` is not `007`.",
        edit=("items: books.csv", "items: {path: books.csv, id: title}"),
        command=RUN,
        status=3,
    ),
    Case(
        "RP507",
        "The events do not allow the split: no times to split by, or nothing left for training or for the test.",
        "Take another `by`, or another `holdout`; [splits](recipe.md#split) has them all.",
        edit=("stages:", "  split: {by: time, holdout: 0.001}\nstages:"),
        command=RUN,
        status=3,
    ),
    Case(
        "RP601",
        "A component raised. Its own error is kept, with the stage, the component and the plugin's version beside it.",
        "Run `recprofile --traceback run …` to see where in the code it happened; report it to the plugin's author.",
        edit=NUMBERS,
        files=_component("Numbers", "Divides by nothing", "return 1 / 0"),
        command=RUN,
        status=4,
    ),
    Case(
        "RP602",
        "A stage returned something that breaks the contract of [its artifact](artifacts.md): a wrong shape, a wrong"
        " type, ids out of order, NaN.",
        "A fault of the plugin: tell its author. For the author: `recprofile.testing` finds these before users do.",
        edit=NUMBERS,
        files=_component(
            "Numbers", "One row short", 'return Embeddings("item", data.items.ids, np.zeros((1, 2), np.float32))'
        ),
        command=RUN,
        status=4,
    ),
    Case(
        "RP603",
        "The device that the recipe or `--device` names is not there.",
        "Take one that is; `device: auto` takes the best there is, and says which it took.",
        command="recprofile run shop.yaml --device cuda:7 --quiet",
        status=4,
    ),
    Case(
        "RP604",
        "Memory ran out, or a component saw beforehand that it would.",
        "Fewer items or users (`k-core`), smaller parameters, or a component that needs less.",
        edit=NUMBERS,
        files=_component("Numbers", "Asks for more than there is", "return np.zeros((1 << 50, 8))"),
        command=RUN,
        status=4,
    ),
    Case(
        "RP605",
        "A model or data set cannot be had: it does not exist, or it is not in the cache and there is no network.",
        "Fetch it where there is a network: `recprofile data fetch`. For models kept in a folder, give the folder's"
        " path.",
        edit=("encode: tfidf\n    with: {", "encode: hf/text\n    with: {model: hub://acme/small, "),
        command="recprofile run shop.yaml --offline --quiet",
        status=4,
    ),
    Case(
        "RP606",
        "The run folder, the cache or a profile store cannot be written: a full disk, no permission, a folder that is"
        " no run's and would have been overwritten.",
        "Take another `--out`, or make room.",
        files={"mine/notes.txt": "keep"},
        command="recprofile run shop.yaml --out mine --quiet",
        status=4,
    ),
    Case(
        "RP607",
        "There is no run where one was looked for, or the run has no such user or item.",
        "Take one of those that are shown; `--run` names the run's folder.",
        command="recprofile recommend ann --run runs/shop",
        status=4,
    ),
    Case(
        "RP608",
        "There is no profile store where one was looked for, it holds nothing of the recipe, or it was written by"
        " another version of recprofile.",
        "Make one with `recprofile publish`, or name it with `--store`: a file, a URL, or the recipe that is published"
        " there.",
        command="recprofile profile history ada --store shop.db",
        status=4,
    ),
)
