"""Random recipes and tables, which must never make a traceback: `python -m scripts.fuzz` (`make fuzz`).

`mutations` makes recipes from right ones by changing values, keys, nesting, text and bytes; `tables` makes small data
files of odd values; `judge` runs a command on them and says what it did wrong.
"""
