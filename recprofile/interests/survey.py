"""One pass over each person's events: how often each tag, when, the strongest tags, and the items that show them.

Compiled, for a product of matrices gives counts alone: sorting what it leaves out, 30 million triples of person, item
and tag, takes twenty times as long.
"""

from __future__ import annotations

import numpy as np
from numba import njit

EVIDENCE = 3  # items that show a tag
RECENT = 5  # latest items


# Numba gives types to what is called, so functions under `njit` carry none.
@njit(cache=True, nogil=True)
def survey(first, last, starts, item, weight, positive, tags, tag_starts, usual, prior, least, found, people):  # type: ignore[no-untyped-def]  # noqa: PLR0912, PLR0913, PLR0915, PLR0917
    """Fill in the rows `first` to `last` of what is found of people.

    Events are in the order of user and time, `starts` (n_users + 1,) where a user's begin; `tags` and `tag_starts` are
    the CSR of item and tag. `found` are arrays (n_users, most): tag (-1: no more), weight, how many of the user's
    items, of those of the later half, and (n_users, most, EVIDENCE) codes of items. `people` are arrays: how many
    liked and disliked items, (n_users, 2), and codes of the latest, (n_users, RECENT).
    """
    out_tag, out_weight, out_items, out_later, out_evidence = found
    out_count, out_recent = people
    n_tags, n_items, most = len(usual), len(tag_starts) - 1, out_tag.shape[1]
    mark = np.full(n_items, -1, np.int64)  # where in the user's list an item stands; of no other user after the reset
    count = np.zeros((2, n_tags), np.int32)
    later = np.zeros((2, n_tags), np.int32)
    touched = np.empty(n_tags, np.int32)
    slot = np.full(n_tags, -1, np.int32)
    for user in range(first, last):
        begin, end = starts[user], starts[user + 1]
        if begin == end:
            continue
        # A user's items, the latest first; one with any positive event is liked.
        mine = np.empty(end - begin, np.int32)
        strength = np.zeros(end - begin, np.float64)
        side = np.ones(end - begin, np.int8)
        n = 0
        for at in range(end - 1, begin - 1, -1):
            i = item[at]
            if mark[i] < 0:
                mark[i] = n
                mine[n] = i
                n += 1
            here = mark[i]
            if not np.isnan(weight[at]):
                strength[here] += weight[at]
            if positive[at]:
                side[here] = 0
        total = np.zeros(2, np.int64)
        for k in range(n):
            mark[mine[k]] = -1
            total[side[k]] += 1
        done = np.zeros(2, np.int64)
        many, shown = 0, 0
        for k in range(n):
            s, i = side[k], mine[k]
            if s == 0 and shown < RECENT:
                out_recent[user, shown] = i
                shown += 1
            late = done[s] < total[s] - total[s] // 2
            done[s] += 1
            for e in range(tag_starts[i], tag_starts[i + 1]):
                t = tags[e]
                if count[0, t] == 0 and count[1, t] == 0:
                    touched[many] = t
                    many += 1
                count[s, t] += 1
                if late:
                    later[s, t] += 1
        out_count[user, 0], out_count[user, 1] = total[0], total[1]
        # The strongest, kept in order: of equal ones the tag that comes first.
        kept = 0
        for k in range(many):
            t = touched[k]
            p = usual[t]
            w = 0.0
            for s in range(2):
                if total[s]:
                    q = (count[s, t] + prior * p) / (total[s] + prior)
                    excess = count[s, t] - total[s] * p
                    if q > p and excess * excess >= least * least * total[s] * p * (1 - p):
                        gain = q * np.log(q / p)
                        w += gain if s == 0 else -gain
            if w == 0.0:
                continue
            at = kept
            while at > 0:
                before = abs(out_weight[user, at - 1])
                if before > abs(w) or (before == abs(w) and out_tag[user, at - 1] < t):
                    break
                if at < most:
                    out_tag[user, at], out_weight[user, at] = out_tag[user, at - 1], out_weight[user, at - 1]
                at -= 1
            if at < most:
                out_tag[user, at], out_weight[user, at] = t, w
                kept = min(kept + 1, most)
        for at in range(kept):
            t = out_tag[user, at]
            s = 0 if out_weight[user, at] > 0 else 1
            out_items[user, at], out_later[user, at] = count[s, t], later[s, t]
            slot[t] = at
        # What shows each: liked items by falling weight, disliked ones by rising weight, the later first.
        for k in range(n):
            sign = 1.0 if side[k] == 0 else -1.0
            for e in range(tag_starts[mine[k]], tag_starts[mine[k] + 1]):
                at = slot[tags[e]]
                if at < 0 or (out_weight[user, at] > 0) != (side[k] == 0):
                    continue
                place = EVIDENCE
                while place > 0:
                    before = out_evidence[user, at, place - 1]
                    if before >= 0 and sign * strength[before] >= sign * strength[k]:
                        break
                    if place < EVIDENCE:
                        out_evidence[user, at, place] = before
                    place -= 1
                if place < EVIDENCE:
                    out_evidence[user, at, place] = k
        for at in range(kept):
            slot[out_tag[user, at]] = -1
            for e in range(EVIDENCE):
                if out_evidence[user, at, e] >= 0:
                    out_evidence[user, at, e] = mine[out_evidence[user, at, e]]
        for k in range(many):
            t = touched[k]
            for s in range(2):
                count[s, t] = 0
                later[s, t] = 0
