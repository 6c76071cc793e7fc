"""Golden values of the distances between two sounds, for crates/distances.

    python reference/distances.py    writes crates/distances/tests/golden/{distances,mel,dtw}.json

Made with Python 3.11.7, numpy 2.4.6, librosa 0.11.0 and dtw-python 1.9.0 (the package that the code
published with Hayes et al. 2025 calls; its default step pattern is symmetric2, normalised by N + M).

Definitions are written here from the paper's section 4.2.2, the sizes in its code, and librosa's documentation.
Where they leave a value open, or a silent sound would be 0 dB everywhere, this script does as the crate's
documentation says:
- a silent sound is -80 dB everywhere in MSS (power_to_db(ref=np.max) makes it 0 dB),
- the RMS cosine of silence with silence is 1, with a sound 0 (the quotient is 0 / 0),
- the shorter sound is padded with zeros, except for wMFCC.
- MSS has no least power `amin` (1e-10 in the paper's code). From a maximum of 0.01 on this changes nothing,
  which the script checks.

Sounds are float64 formulas rounded to float32, on both sides. librosa then computes in float64; the
crate's transform is in float32, whose error is some 1e-7 of a frame's largest magnitude. In levels
down to -80 dB (1e-4 of the largest magnitude) that is up to 1e-2 dB at the floor, of either sign,
and averages out over the spectrum: the tolerance is 1e-4 relative on distances, and 1e-6 absolute for
those near 0 (dB, or the frequency range of SOT, whose many empty bins each carry such an error). Mel filters and
warping are float64 on both sides, but librosa stores its filters in float32: 1e-6 and 1e-12 relative.
"""

import json
import math
import pathlib
import warnings

import librosa
import numpy as np
from dtw import dtw

OUT = pathlib.Path(__file__).parent.parent / "crates/distances/tests/golden"


def generator(seed):
    """Uniform in -1..1 from a 32-bit linear congruential generator."""
    state = seed
    while True:
        state = (state * 1664525 + 1013904223) % 2**32
        yield (state >> 8) / 2**23 - 1.0


def sound(samples, delay=0, hz=0.0, gain=0.0, noise=0.0, seed=1, decay=0.0):
    return dict(samples=samples, delay=delay, hz=hz, gain=gain, noise=noise, seed=seed, decay=decay)


def render(s, rate):
    out = np.zeros(s["samples"])
    uniform = generator(s["seed"])
    for n in range(s["delay"], s["samples"]):
        t = (n - s["delay"]) / rate
        wave = s["gain"] * math.sin(2.0 * math.pi * s["hz"] * t) + s["noise"] * next(uniform)
        out[n] = math.exp(-s["decay"] * t) * wave
    return out.astype(np.float32).astype(np.float64)


TONE = dict(hz=440.0, gain=0.5)
NOISE = dict(noise=0.4, decay=12.0)
CASES = [
    ("identical", 44100, sound(13001, **TONE), sound(13001, **TONE)),
    ("detuned", 44100, sound(13001, **TONE), sound(13001, hz=466.16, gain=0.5)),
    ("detuned, odd windows", 16384, sound(8192, hz=1000.0, gain=0.3), sound(8192, hz=1010.0, gain=0.3)),
    ("an octave", 22050, sound(9000, hz=220.0, gain=0.5, decay=3.0), sound(9000, hz=440.0, gain=0.5, decay=3.0)),
    ("other level", 44100, sound(9000, hz=300.0, gain=0.8, noise=0.05), sound(9000, hz=300.0, gain=0.2, noise=0.0125)),
    ("shifted", 44100, sound(13001, **NOISE), sound(13001, delay=2205, **NOISE)),
    ("shifted in silence", 16384, sound(8000, delay=300, **NOISE), sound(8000, delay=1777, **NOISE)),
    ("other noise", 44100, sound(9000, noise=0.5, seed=5), sound(9000, noise=0.5, seed=6)),
    ("tone and noise", 16384, sound(8192, hz=700.0, gain=0.5, decay=5.0), sound(8192, noise=0.3, seed=9, decay=8.0)),
    ("silence and sound", 44100, sound(9000), sound(9000, **TONE)),
    ("sound and silence", 16384, sound(5000, **NOISE), sound(5000)),
    ("silence and silence", 44100, sound(3000), sound(3000)),
    ("longer estimate", 44100, sound(6000, **NOISE), sound(11111, **NOISE)),
    ("longer target", 16384, sound(9001, hz=300.0, gain=0.5, noise=0.1), sound(4000, hz=310.0, gain=0.5, noise=0.1, seed=3)),
    ("longer silence", 16384, sound(2000), sound(3000)),
    ("shorter than a window", 44100, sound(200, noise=0.9), sound(150, noise=0.9, seed=2)),
    ("one sample", 44100, sound(1, noise=0.9), sound(1, noise=0.9, seed=2)),
    ("one sample and a sound", 16384, sound(1, noise=0.9), sound(3000, hz=500.0, gain=0.5)),
]


def whole(ms, rate):
    return ms * rate // 1000


def mel_power(y, rate, window_ms, hop_ms, n_mels):
    return librosa.feature.melspectrogram(
        y=y, sr=rate, n_fft=whole(window_ms, rate), hop_length=whole(hop_ms, rate), n_mels=n_mels, window="hann"
    )


def mss(a, b, rate):
    def levels(y, scale):
        power = mel_power(y, rate, *scale)
        if not y.any():
            return np.full_like(power, -80.0)
        levels = librosa.power_to_db(power, ref=np.max, amin=np.finfo(float).tiny)
        assert power.max() < 0.01 or np.allclose(levels, librosa.power_to_db(power, ref=np.max), atol=1e-9)
        return levels

    scales = [(10, 5, 32), (25, 10, 64), (100, 50, 128)]
    return np.mean([np.mean(np.abs(levels(a, s) - levels(b, s))) for s in scales])


def wmfcc(a, b, rate):
    def frames(y):
        return librosa.feature.mfcc(
            y=y, sr=rate, n_mfcc=20, n_fft=whole(50, rate), hop_length=whole(10, rate), n_mels=128
        ).T

    return warped(frames(a), frames(b))


def warped(a, b):
    return dtw(a, b, dist_method=lambda x, y: np.mean(np.abs(x - y)), distance_only=True).normalizedDistance


def sot(a, b, rate):
    def cumulative(y):
        n_fft = whole(50, rate)
        p = np.abs(librosa.stft(y, n_fft=n_fft, hop_length=whole(20, rate), window="hann"))
        return np.cumsum(p / np.clip(p.sum(axis=0, keepdims=True), 1e-6, None), axis=0)

    return np.mean(np.abs(cumulative(a) - cumulative(b)))


def rms_cosine(a, b, rate):
    a, b = (
        librosa.feature.rms(y=y, frame_length=whole(50, rate), hop_length=whole(25, rate), dtype=np.float64)[0]
        for y in (a, b)
    )
    norms = np.linalg.norm(a), np.linalg.norm(b)
    if not all(norms):
        return float(norms[0] == norms[1])
    return a @ b / norms[0] / norms[1]


def logmel_l1(a, b, rate):
    levels = [librosa.power_to_db(mel_power(y, rate, 50, 10, 128), ref=1.0) for y in (a, b)]
    return np.mean(np.abs(levels[0] - levels[1]))


def distances(name, rate, target, estimate):
    a, b = render(target, rate), render(estimate, rate)
    own = wmfcc(a, b, rate)
    length = max(len(a), len(b))
    a, b = (np.pad(y, (0, length - len(y))) for y in (a, b))
    return {
        "name": name,
        "sample_rate_hz": rate,
        "target": target,
        "estimate": estimate,
        "mss": rounded(mss(a, b, rate)),
        "wmfcc": rounded(own),
        "sot": rounded(sot(a, b, rate)),
        "rms_cosine": rounded(rms_cosine(a, b, rate)),
        "logmel_l1": rounded(logmel_l1(a, b, rate)),
    }


def filters(rate, n_fft, n_mels):
    weights = librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=n_mels)
    places = [(m, k) for m in range(0, n_mels, 5) for k in np.flatnonzero(weights[m])[::3]]
    return {
        "sample_rate_hz": rate,
        "n_fft": n_fft,
        "n_mels": n_mels,
        "non_zero": int(np.count_nonzero(weights)),
        "sum": rounded(weights.sum(dtype=np.float64)),
        "probes": [[m, int(k), rounded(weights[m, k])] for m, k in places],
    }


def sequences(n, m, width, seed):
    uniform = generator(seed)
    a, b = (np.array([[next(uniform) for _ in range(width)] for _ in range(size)]) for size in (n, m))
    return {"n": n, "m": m, "width": width, "seed": seed, "distance": float(warped(a, b))}


def rounded(value):
    return float(f"{value:.12g}")


def write(name, cases):
    path = OUT / name
    path.write_text("[\n" + ",\n".join(json.dumps(case) for case in cases) + "\n]\n")
    print(f"{path}: {len(cases)} cases, {path.stat().st_size} bytes")


# librosa says so where a sound is shorter than a window.
warnings.filterwarnings("ignore", message="n_fft=.* is too large")
OUT.mkdir(parents=True, exist_ok=True)
write("distances.json", [distances(*case) for case in CASES])
write("mel.json", [filters(44100, 441, 32), filters(44100, 2205, 128), filters(16384, 163, 32), filters(8000, 800, 40)])
write("dtw.json", [sequences(1, 1, 3, 1), sequences(1, 9, 2, 2), sequences(8, 5, 1, 3), sequences(40, 61, 20, 4)])
