"""Golden magnitude responses of the voice's state-variable filter (crates/synth/src/subtractive/filter.rs).

The analogue prototypes 1, s and s^2 over (s^2 + k s + 1), scaled to the prewarped cutoff, through
scipy.signal.bilinear and scipy.signal.freqz. Written with scipy 1.17.1 and numpy 2.4.6, in double precision; no random
numbers. The test compares the transform of a 30,000-sample impulse response in f32 to within 1e-4 (1 + value):
rounding of the filter's states is what the tolerance allows for.

Run from the repository's root: python reference/synth_filter.py
"""

import json
import math
import pathlib

import numpy as np
from scipy import signal

cases = []
for response in range(3):  # low-pass, band-pass, high-pass
    for sample_rate_hz in (16384, 44100):
        for cutoff_hz in (150.0, 4200.0):
            for damping in (math.sqrt(2), 0.09):
                warped = 2 * sample_rate_hz * math.tan(math.pi * cutoff_hz / sample_rate_hz)
                numerator = np.zeros(3)
                numerator[2 - response] = warped ** (2 - response)
                denominator = [1.0, damping * warped, warped**2]
                b, a = signal.bilinear(numerator, denominator, fs=sample_rate_hz)
                frequency_hz = [20.0, 140.0, 150.0, 900.0, 4000.0, 4200.0, 8000.0]
                _, h = signal.freqz(b, a, worN=frequency_hz, fs=sample_rate_hz)
                cases.append({
                    "response": response,
                    "sample_rate_hz": sample_rate_hz,
                    "cutoff_hz": cutoff_hz,
                    "damping": round(damping, 9),
                    "frequency_hz": frequency_hz,
                    "magnitude": [round(float(abs(value)), 9) for value in h],
                })

path = pathlib.Path("crates/synth/tests/golden/synth_filter.json")
path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
print(len(cases), "cases,", path.stat().st_size, "bytes")
