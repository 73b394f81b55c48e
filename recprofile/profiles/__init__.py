"""The profile store: profiles after the run, in every version, with the events behind them and where they came from.

    run ─publish─▶ version 1 ─update─▶ version 2 … ─read, diff, answer─▶ people          forget: as if never there

`address` says which database a name means, `store` is the database and its transactions (`sqlite` and `postgres`: what
is each one's own), `tables` what is in it and `kept` what of that is binary. `base` is what an update needs of the run
that was published, `people` a few users as arrays, `rebuild` their profiles made anew by the recipe's own fuse stage,
`newcomers` items that the run did not know, `revised` what an update leaves out. `publish`, `update` and `forget` (with
`rewrite` for run folders) change the store, and `read`, `diff` and `answer` read it.

A change is one transaction that begins by taking the store's only write lock, so that changes wait for one another and
a process that is killed leaves the store as it was before the change.
"""
