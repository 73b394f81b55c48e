"""The generated parts of the documentation: `python -m scripts.docs` writes them, `--check` compares.

A page in docs/ is written by hand but for its regions, between `<!-- generated: name -->` and `<!-- /generated -->`.
`regions` finds and fills them; `language` says the recipe language from its models, `installed` what is installed
(components, commands, hooks, artifacts, metrics), `mistakes` the errors, each with what it prints for a wrong recipe of
`cases_recipe` or `cases_run`.
"""
