"""Tuning a model on a catalogue's texts and events.

Read in this order: `items` (from a Dataset to vectors), `train` (folds, then all items), `track` (one training),
`objectives` (what for), `methods` (what of a model is trained), `texts` and `layers` (how it is computed), `folds`
(what it gains), `checkpoint`.
"""
