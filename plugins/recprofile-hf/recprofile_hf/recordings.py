"""The bytes of a recording as one channel of samples at a rate, whatever they are, or why not."""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from fractions import Fraction
from io import BytesIO
from typing import Any

import numpy as np
from scipy.io import wavfile
from scipy.signal import resample_poly

from recprofile.plugin import FloatArray
from recprofile_hf.media import UnreadableError

RATES = (1_000, 768_000)  # Hz; what says another is broken, and would fill the memory
RATIOS = 1_000  # largest terms of the ratio of rates: an odd rate is met to a thousandth, with a short filter


@dataclass(frozen=True, eq=False, slots=True)
class Recording:
    """Samples of one channel, float32 (n,) about -1 to 1, and how many seconds there were before the cut."""

    samples: FloatArray
    seconds: float


def recording(held: bytes, *, rate: int, longest: float) -> Recording:
    """The first `longest` seconds at a rate in Hz; raises UnreadableError. On one thread only: it bends warnings."""
    try:
        found, given, count = _wave(held, longest) if held[:4] in (b"RIFF", b"RIFX", b"RF64") else _other(held, longest)
    except (UnreadableError, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - readers raise whatever a broken file leads to
        said = str(error).strip().partition("\n")[0][:80].rstrip(".")
        raise UnreadableError(f"it is broken: {said[:1].lower()}{said[1:]}" if said else "it is broken") from None
    if not len(found):
        raise UnreadableError("it has no samples")
    if not np.isfinite(found).all():
        raise UnreadableError("it holds a sample that is not finite")
    ratio = Fraction(rate, given).limit_denominator(RATIOS)
    if ratio != 1:
        found = resample_poly(found, ratio.numerator, ratio.denominator).astype(np.float32)
    return Recording(found, count / given)


def _wave(held: bytes, longest: float) -> tuple[FloatArray, int, int]:
    """Samples, their rate, and how many there were."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", wavfile.WavFileWarning)  # of parts that are no sound
        try:
            rate, values = wavfile.read(BytesIO(held))
        except ValueError:
            if _soundfile() is None:
                raise
            return _other(held, longest)  # a compressed WAV
    _expect_rate(rate)
    part: Any = values[: max(1, int(longest * rate))]
    return _one_channel(_as_float(part)), int(rate), len(values)


def _as_float(values: Any) -> FloatArray:  # noqa: ANN401 - integers of four kinds, or floats
    """Samples of full scale as -1 to 1; 24 bits come as the upper ones of 32, and 8 bits without a sign."""
    whole: Any = values
    if values.dtype == np.uint8:
        whole = (values.astype(np.float32) - 128) / 128
    elif values.dtype.kind == "i":
        whole = values.astype(np.float64) / -float(np.iinfo(values.dtype).min)
    made: FloatArray = whole.astype(np.float32)
    return made


def _other(held: bytes, longest: float) -> tuple[FloatArray, int, int]:
    soundfile = _soundfile()
    if soundfile is None:
        raise UnreadableError("it is no WAV, and others need: pip install 'recprofile-hf[audio]'")
    with soundfile.SoundFile(BytesIO(held)) as opened:
        _expect_rate(opened.samplerate)
        values = opened.read(max(1, int(longest * opened.samplerate)), dtype="float32", always_2d=True)
        return _one_channel(values), int(opened.samplerate), max(int(opened.frames), len(values))


def _one_channel(values: FloatArray) -> FloatArray:
    return values if values.ndim == 1 else values.mean(axis=1, dtype=np.float64).astype(np.float32)


def _expect_rate(rate: int) -> None:
    if not RATES[0] <= rate <= RATES[1]:
        raise UnreadableError(f"its rate is {rate} Hz")


def _soundfile() -> Any | None:  # noqa: ANN401 - a package without types that need not be there
    try:
        import soundfile
    except (ImportError, OSError):  # OSError: its library is not there
        return None
    return soundfile
