"""Finds plugins and names their components.

A distribution offers components through one entry point of the group `recprofile`. The entry point's name is the
namespace: `text` of the entry point `hf` is `hf/text`, and a bare name always means `builtin/…`, so that installing
a plugin never changes what an existing recipe means.

`loading` finds and imports plugins, `rules` says what they must keep, `known` has what is there, by name,
`trace` tells every call of a hook.
"""

from recprofile.registry.known import BUILTIN, FIRST_PARTY, HOOK_OF, Command, Offer, Plugin, Registry
from recprofile.registry.loading import GROUP, make_registry

__all__ = ["BUILTIN", "FIRST_PARTY", "GROUP", "HOOK_OF", "Command", "Offer", "Plugin", "Registry", "make_registry"]
