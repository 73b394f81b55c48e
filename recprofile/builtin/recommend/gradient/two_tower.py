"""Two towers, one for users and one for items: `two-tower`. Networks and descent are in `two_tower_nets` and
`two_tower_learner`, which import torch.
"""

from __future__ import annotations

from dataclasses import replace

from recprofile.builtin.descent.settings import GradientRecommender, TrainingParams
from recprofile.builtin.history import HistoryParams
from recprofile.plugin import Context, Dataset, Field, Inputs, Pack, Ranker, UserColumns

DEFAULT_EPOCHS = 50  # where there is no validation part to choose by


class TwoTowerParams(TrainingParams, HistoryParams):
    dim: int = Field(64, ge=1, le=1024, description="Dimensions of the vectors that both towers end in.")
    hidden: int = Field(128, ge=0, le=8192, description="Width of the user tower's hidden layer; 0: none.")
    item_hidden: int = Field(
        0, ge=0, le=8192, description="Width of the item tower's hidden layer; 0: none, which serves new items best."
    )
    columns: UserColumns = Field(
        (), description="User columns that the user tower reads beside history, text or numbers."
    )
    held_out: float = Field(
        0.3, gt=0, lt=1, description="Share of a user's positive events that a step hides, and learns to foretell."
    )
    content_dropout: float = Field(
        0.5, ge=0, lt=1, description="Share of the entries of content vectors that a step leaves out."
    )
    # On validation parts of MovieLens-100K, with titles read by MiniLM: NDCG@10 .246 on a random split and .262 on new
    # items with these two; .246 and .256 with a share of .2; .244 and .260 with a rate of .003.
    item_dropout: float = Field(
        0.4,
        ge=0,
        lt=1,
        description="Share of items whose own vector a step leaves out, so that content learns to stand in for it.",
    )
    dropout: float = Field(0.2, ge=0, lt=1, description="Share of entries of hidden layers that a step leaves out.")
    temperature: float = Field(0.1, gt=0, le=100, description="What cosines are divided by before the softmax.")
    learning_rate: float = Field(0.006, gt=0, le=10, description="Step size of Adam.")
    batch: int = Field(128, ge=1, le=1_000_000, description="Users of one step.")


class TwoTower(GradientRecommender[TwoTowerParams]):
    """Rank by the cosine of a user's and an item's vector, each made by a network of its own.

    An item begins as a vector of its own plus a linear map of its content: the vectors of the encode stages in `from`,
    if there are any. A user begins as the weighted mean of what their history's items begin as, plus a vector for each
    value of the text `columns` and one, times the number, for each column of numbers. Each then goes through x +
    hidden layer(x), where it has one, and is brought to length 1; a score is their cosine / temperature + the item's
    bias.

    A step hides `held_out` of the positive events of a batch of users, and foretells each from what is left of its
    user's history: the loss is softmax against the other events that the batch hides, less those of the user's own
    positives, each weighed by 1 / (m q_j), q_j the share of item j among positive events and m how many are hidden, so
    that popular items, which are there more often, do not count more (the logQ correction). In a step `item_dropout` of
    the items have no vector and no bias of their own, like an item without a positive event, which is ranked by content
    alone; without content it is not ranked.

    Where `epochs` is null they are chosen on the validation part (see `training`) and the towers are then learnt anew
    from all training events; without a validation part there are 50. New users are ranked as those of training. Raises
    RunError RP601 when the loss is no number, DataError as `Table` does for `columns`.

    Source: Covington, Adams & Sargin 2016, "Deep neural networks for YouTube recommendations"; Yi et al. 2019,
    "Sampling-bias-corrected neural modeling for large corpus item recommendations"; item dropout: Volkovs, Yu &
    Poutanen 2017, "DropoutNet".
    """

    name = "two-tower"
    ranks_new_users = True
    ranks_new_items = True

    def __init__(self, params: TwoTowerParams) -> None:
        super().__init__(params)
        self.needs_time = params.half_life_days is not None
        self.needs_users = bool(params.columns)

    def fit(self, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The towers."""
        from recprofile.builtin.descent.training import trained
        from recprofile.builtin.recommend.gradient.two_tower_learner import TwoTowerLearner

        def make(part: Dataset, given: Inputs) -> TwoTowerLearner:
            return TwoTowerLearner(part, given, self.params, ctx)

        learner, epochs = trained(make, data, inputs, ctx, self.params, default=DEFAULT_EPOCHS)
        return replace(learner.ranker(), epochs=epochs)

    def restore(self, pack: Pack, data: Dataset, inputs: Inputs, ctx: Context) -> Ranker:
        """The Ranker that was packed."""
        from recprofile.builtin.recommend.gradient.two_tower_learner import TwoTowerRanker

        return TwoTowerRanker.unpack(pack, data, self.params, ctx)
