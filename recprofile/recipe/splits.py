"""`data.split`: how events are held out for testing; each also makes a validation part by the same rule."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, WithJsonSchema

from recprofile.shape import Model, refusal


def _events_or_fraction(value: int | float) -> int | float:
    if isinstance(value, int) and value < 1:
        raise refusal("RP204", f"'holdout' is {value}, and must be at least 1 event, or a fraction of them such as 0.2")
    if not isinstance(value, int) and not 0 < value < 1:
        raise refusal("RP204", f"'holdout' is {value}, and must be a fraction between 0 and 1, or a number of events")
    return value


Fraction = Annotated[float, Field(gt=0, lt=1)]
EventsOrFraction = Annotated[
    int | float,
    AfterValidator(_events_or_fraction),
    WithJsonSchema(
        {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}]}
    ),
]


class TimeSplit(Model):
    """One moment for all: later events are the test. Needs `time`."""

    by: Literal["time"] = Field(description="One moment for all users.")
    holdout: Fraction = Field(0.2, description="Fraction of all events that are test, in (0, 1).")


class UserTimeSplit(Model):
    """The last events of each user are the test. Needs `time`."""

    by: Literal["user-time"] = Field(description="The last events of each user.")
    holdout: EventsOrFraction = Field(
        0.2, description="Fraction of each user's events in (0, 1), or their number, at least 1."
    )


class RandomSplit(Model):
    """Random events of each user are the test."""

    by: Literal["random"] = Field(description="Random events of each user.")
    holdout: EventsOrFraction = Field(
        0.2, description="Fraction of each user's events in (0, 1), or their number, at least 1."
    )


class LeaveOneOutSplit(Model):
    """One event of each user is the test: the last one where there is `time`, else a random one."""

    by: Literal["leave-one-out"] = Field(description="One event of each user.")


class ItemColdSplit(Model):
    """All events of some items are the test: items that training never saw."""

    by: Literal["item-cold"] = Field(description="Whole items.")
    holdout: Fraction = Field(0.2, description="Fraction of items held out, in (0, 1).")


class UserColdSplit(Model):
    """All events of some users are the test: users that training never saw."""

    by: Literal["user-cold"] = Field(description="Whole users.")
    holdout: Fraction = Field(0.2, description="Fraction of users held out, in (0, 1).")


class FileSplit(Model):
    """The test events are a file of their own; the interactions file is then all training data."""

    by: Literal["file"] = Field(description="Files made elsewhere.")
    test: str = Field(min_length=1, description="Path or URI of the test events, in the form of the interactions.")
    valid: str | None = Field(None, min_length=1, description="Path or URI of the validation events, in the same form.")


Split = Annotated[
    TimeSplit | UserTimeSplit | RandomSplit | LeaveOneOutSplit | ItemColdSplit | UserColdSplit | FileSplit,
    Field(discriminator="by"),
]
