"""The stages, in the order of the table: each has `contests(case)`."""

STAGES = ("load", "encode", "pool", "als", "item_knn", "ease", "topk", "update", "chain")
