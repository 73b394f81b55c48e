"""The command line: commands, what they print, and the exit codes.

    0    every stage ran and every gate held
    1    every stage ran, a gate with `fail: error` did not hold
    2    the recipe, the plugins or the command line are wrong
    3    the data are not what the recipe says
    4    a stage, a device, an asset or the disk failed
    130  interrupted; results of finished stages are kept
    141  nobody reads the output any more, as in `recprofile plugins | head`

`main` turns what a command raises into words and a code; `run`, `results`, `profile`, `look`, `data`, `cache`,
`schema`, `labels`, `compare` (with `differences`) and `doctor` (with `health`) have the commands; `terminal`,
`progress`, `summary` and `help` are what a person sees, `complete` is what a shell completes.
"""

import sys


def main(arguments: list[str] | None = None) -> None:
    """The entry point of the `recprofile` command; always leaves by SystemExit."""
    try:
        from recprofile.cli.main import status_of
    except KeyboardInterrupt:  # while the modules load nothing has begun
        sys.exit(130)
    sys.exit(status_of(arguments))


__all__ = ["main"]
