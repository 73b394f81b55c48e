"""Speed and memory of each stage beside other libraries: `make bench`; docs/performance.md says what is measured.

`stages/` has a module for each stage, with `contests(case)`: ours and the peers as Sides, a `same` that holds their
results against each other, and the Bound that the machine sets. A peer is one more Side: a function that imports,
converts and gives back what is timed; docs/performance.md has a whole one.
"""
