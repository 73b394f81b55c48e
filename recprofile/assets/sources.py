"""What a plugin offers for a URI scheme, and how it is called."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from recprofile.errors import RunError, quoted
from recprofile.recipe import one_select

# From a URI, and those facts that the function's parameters name, to a file or folder on this disk: `cache`, the folder
# to fetch below; `offline`, whether the network is not to be used; `base`, the folder that the recipe lies in; `query`,
# the recipe's; `progress`, to be told what is done, how much of it, and of how much.
Source = Callable[..., Path]


def takes_query(source: Source) -> tuple[bool, bool]:
    """Whether a source takes a query, and whether it needs one."""
    found = inspect.signature(source).parameters.get("query")
    return found is not None, found is not None and found.default is inspect.Parameter.empty


def source_of(scheme: str, schemes: Mapping[str, Source]) -> Source | None:
    """The source of a scheme; that of 'mysql' for 'mysql+pymysql'."""
    return schemes.get(scheme) or schemes.get(scheme.partition("+")[0])


def open_source(source: Source, uri: str, *, query: str | None, **facts: Any) -> Path:
    """Call a source with what it takes; raises RP605 for a query that it cannot take, or needs, or that does not read.

    The words of these name the scheme alone, for the address may hold a password.
    """
    scheme = uri.partition("://")[0]
    takes, needs = takes_query(source)
    if query is None and needs:
        raise RunError.of("RP605", f"{quoted(scheme)} needs a query", help=(QUERY_HELP,))
    if query is not None and not takes:
        raise RunError.of("RP605", f"{quoted(scheme)} takes no query")
    offered = dict(facts)
    if query is not None:
        try:
            offered["query"] = one_select(query)
        except ValueError as error:
            raise RunError.of("RP605", f"the query {error}") from None
    taken = inspect.signature(source).parameters
    takes_all = any(one.kind is inspect.Parameter.VAR_KEYWORD for one in taken.values())
    return source(uri, **{name: value for name, value in offered.items() if takes_all or name in taken})


QUERY_HELP = 'say which rows: {path: …, query: "SELECT … FROM …"}'
