"""The command line: commands, what they print, and the exit codes.

0    every stage ran and every gate held
1    every stage ran, a gate with `fail: error` did not hold
2    the recipe, the plugins or the command line are wrong
3    the data are not what the recipe says
4    a stage, a device, an asset or the disk failed
130  interrupted; results of finished stages are kept
"""

from recprofile.cli.main import main

__all__ = ["main"]
