"""Stages as a recipe writes them: one verb, a component by any of its names, and that component's parameters."""

from __future__ import annotations

import inspect

from recprofile.components import KINDS, Recommender
from recprofile.recipe import VERBS, Stage
from recprofile.registry import BUILTIN, Offer, Registry
from recprofile.schema.written import DEFS, PART, Schema, in_part, one_of, schema_of, when

STAGE = "Stage"
OWN = ("id", "with", "from", "fail")  # what a stage may add to its verb


def stage_schemas(registry: Registry) -> dict[str, Schema]:
    """Definitions: a stage, a stage that `override` may complete, and the parameters of every component."""
    model, defs = schema_of(Stage, "")
    own = {name: model["properties"][name] for name in OWN}
    own["with"] = {"type": "object"}
    own["from"] = {
        "description": own["from"].pop("description"),
        "anyOf": [{"type": "string", "minLength": 1}, own["from"]],
    }
    whole: list[Schema] = []
    partly: list[Schema] = []
    for offer in registry.offers:
        params, further = schema_of(offer.component.params_type, f"{_key(offer)}.")
        about = f"{summary(offer)}\n\nParameters of {offer.pinned}, {offer.plugin.distribution} {offer.plugin.version}."
        defs |= further | {_key(offer): {**params, "description": about}}
        given = {"$ref": f"{DEFS}{_key(offer)}"}
        needs: Schema = {"required": ["with"]} if "required" in params else {}
        named = {"description": summary(offer)}
        spelt = spellings(offer, registry)
        properties: Schema = {offer.verb: named, "with": given}
        whole.append(when(offer.verb, spelt, {"properties": properties, **needs}))
        # `override` merges below 'with', so that nothing there is required; the stage itself must be whole.
        loose = in_part(given, defs) if needs else given
        partly.append(when(offer.verb, spelt, {"properties": {offer.verb: named, "with": loose}}))
    verbs: Schema = {verb: _verb(verb, registry) for verb in VERBS}
    made = {
        "type": "object",
        "description": model["description"],
        "properties": {**verbs, **own},
        "additionalProperties": False,
        "oneOf": [{"required": [verb]} for verb in VERBS],
    }
    fail = {"if": {"required": ["fail"]}, "then": {"required": ["check"]}}
    return {**defs, STAGE: {**made, "allOf": [*whole, fail]}, f"{STAGE}{PART}": {**made, "allOf": [*partly, fail]}}


def spellings(offer: Offer, registry: Registry) -> list[str]:
    """Every way in which a recipe may name a component, the shortest first.

    Without its version a name means the newest, so that only that one goes by it.
    """
    newest = registry.find(offer.name, offer.verb) is offer
    names = [*([offer.name] if newest else []), offer.pinned]
    return names if offer.namespace != BUILTIN else [*names, *(f"{BUILTIN}/{name}" for name in names)]


def baseline_schema(registry: Registry) -> Schema:
    """The recommenders that may be baselines: those that need no parameter and no other stage."""
    return names_schema([offer for offer in registry.offers if _may_be_baseline(offer)], registry)


def names_schema(offers: list[Offer], registry: Registry) -> Schema:
    """One of these components by name. An editor offers the shortest names; the others are as good."""
    by_offer = [(spellings(offer, registry), summary(offer)) for offer in offers]
    if not by_offer:
        return {"not": {}}
    plain = {"enum": [names[0] for names, _ in by_offer], "enumDescriptions": [told for _, told in by_offer]}
    others = [name for names, _ in by_offer for name in names[1:]]
    return {"anyOf": [plain, one_of(others)]} if others else plain


def summary(offer: Offer) -> str:
    """The first paragraph of a component's docstring, on one line."""
    return _first(offer.component)


def _first(documented: type) -> str:
    return " ".join((inspect.getdoc(documented) or "").split("\n\n")[0].split())


def _verb(verb: str, registry: Registry) -> Schema:
    offers = [offer for offer in registry.offers if offer.verb == verb]
    return {"description": _first(KINDS[verb]), **names_schema(offers, registry)}


def _key(offer: Offer) -> str:
    """The name of a component's definition: 'encode.hf.text.1'. Names have no dots, so that no two are one."""
    return f"{offer.verb}.{offer.name.replace('/', '.')}.{offer.component.version}"


def _may_be_baseline(offer: Offer) -> bool:
    component = offer.component
    if not issubclass(component, Recommender) or component.takes_rankers:
        return False
    if any(field.is_required() for field in component.params_type.model_fields.values()):
        return False
    return not component(component.params_type()).needs_profiles
