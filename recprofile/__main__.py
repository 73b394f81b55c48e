"""`python -m recprofile`."""

from recprofile.cli import main

main()
