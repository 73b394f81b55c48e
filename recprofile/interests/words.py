"""Function words of English, which begin and end no key phrase."""

from __future__ import annotations

_WORDS = """
a about above after again against all also although am among an and another any are as at be because been before
being below between both but by can cannot could did do does doing down during each either else etc ever every few
for from further had has have having he her here hers herself him himself his how however i if in into is it its
itself just least less let many may me might more most much must my myself neither no nor not now of off on once one
only or other our ours ourselves out over own per rather same shall she should since so some such than that the
their theirs them themselves then there these they this those though through thus to too under until up upon us very
via was we were what when where whether which while who whom whose why will with within without would yet you your
yours yourself yourselves
"""
FUNCTION_WORDS = frozenset(_WORDS.split())
