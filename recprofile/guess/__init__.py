"""What `init` guesses of files: which is the log and which are tables, what their columns are; and a recipe of it.

`looks` has the files and their columns, `log` finds users, items, weights and times, `tables` the tables that belong
to them, `attributes` what columns of a table are good for, and `write` the recipe with the reason for each guess.
"""

from recprofile.guess.looks import look_at
from recprofile.guess.whole import Guess, guess
from recprofile.guess.write import written

__all__ = ["Guess", "guess", "look_at", "written"]
