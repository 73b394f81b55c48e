"""The recipe language as JSON Schema (draft 2020-12), for editors: with the components that are installed here.

`written` turns a pydantic model into the schema of what a recipe may write for it, `stages` has the stages with their
components, `whole` the recipe.

What a schema cannot say is left to `recprofile validate`: rules between parameters of a component (RP205), inputs of
stages (RP4xx), two stages with one id, references to the environment, and what `extends` and `override` come to. JSON
knows one kind of number, so `1.0` passes for a whole one, and `.nan` and `.inf` for numbers.
"""

from recprofile.schema.whole import recipe_schema

__all__ = ["recipe_schema"]
