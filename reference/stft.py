"""Golden values of the short-time Fourier transform, for crates/stft-data.

    python reference/stft.py        writes crates/stft-data/tests/golden/stft.json

Made with Python 3.11.7, torch 2.15.0 and numpy 2.4.6; others will do as well, since the
definition of torch.stft(center=True, pad_mode="reflect") is fixed.

Every case is computed in float64 from a signal that was rounded to float32. The Rust side
computes in float32, so its error is that of an FFT in float32: some 1e-7 of the largest
magnitude per butterfly level. The tolerance is 1e-5 of the largest magnitude, which leaves
room for n_fft = 441 (Bluestein or mixed radix) and is far below any error of definition.

Signals too short for one reflection are refused by torch; there numpy.pad(mode="reflect")
defines the extension, and the frames are transformed by numpy.fft.rfft.

Committed are probes, not whole spectrograms: the first and last two bins and frames and a
stride through the middle.
"""

import json
import math
import pathlib

import numpy as np
import torch

OUT = pathlib.Path(__file__).parent.parent / "crates/stft-data/tests/golden/stft.json"

# (n_fft, hop_length, win_length or None, samples)
TORCH_CASES = [
    (512, 128, None, 257),
    (512, 128, None, 4000),
    (512, 128, None, 49152),
    (512, 100, 400, 4000),
    (1024, 256, None, 513),
    (1024, 256, None, 49152),
    (1024, 120, 601, 5000),
    (600, 150, None, 301),
    (600, 150, None, 49152),
    (600, 200, 450, 7001),
    (441, 110, None, 221),
    (441, 110, None, 2201),
    (441, 110, None, 49152),
    (441, 100, 300, 3000),
]
NUMPY_CASES = [
    (16, 4, None, 1),
    (16, 4, None, 2),
    (15, 4, None, 3),
    (16, 4, 12, 5),
    (64, 16, None, 7),
]


def signal(samples):
    """Two sines and noise from a 32-bit linear congruential generator."""
    state = 12345
    out = np.empty(samples)
    for n in range(samples):
        state = (state * 1664525 + 1013904223) % 2**32
        noise = (state >> 8) / 2**23 - 1.0
        out[n] = (
            0.5 * math.sin(2.0 * math.pi * 220.0 * n / 16000.0)
            + 0.3 * math.sin(2.0 * math.pi * 1234.5 * n / 16000.0 + 0.7)
            + 0.1 * noise
        )
    return out.astype(np.float32).astype(np.float64)


def with_torch(x, n_fft, hop, win):
    window = torch.hann_window(win or n_fft, periodic=True, dtype=torch.float64)
    return torch.stft(
        torch.from_numpy(x),
        n_fft,
        hop_length=hop,
        win_length=win or n_fft,
        window=window,
        center=True,
        pad_mode="reflect",
        onesided=True,
        return_complex=True,
    ).numpy()


def with_numpy(x, n_fft, hop, win):
    win = win or n_fft
    left = (n_fft - win) // 2
    window = np.zeros(n_fft)
    window[left : left + win] = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(win) / win)
    padded = np.pad(x, n_fft // 2, mode="reflect")
    starts = range(0, len(padded) - n_fft + 1, hop)
    return np.stack([np.fft.rfft(padded[s : s + n_fft] * window) for s in starts], axis=1)


def places(size, wanted):
    edges = {0, 1, size - 2, size - 1}
    return sorted(i for i in edges | set(range(0, size, max(1, size // wanted))) if 0 <= i < size)


def case(compute, n_fft, hop, win, samples):
    spectrum = compute(signal(samples), n_fft, hop, win)
    bins, frames = spectrum.shape
    probes = [
        [k, t, float(f"{spectrum[k, t].real:.9g}"), float(f"{spectrum[k, t].imag:.9g}")]
        for k in places(bins, 11)
        for t in places(frames, 7)
    ]
    return {
        "n_fft": n_fft,
        "hop_length": hop,
        "win_length": win,
        "samples": samples,
        "bins": bins,
        "frames": frames,
        "max": float(np.abs(spectrum).max()),
        "probes": probes,
    }


# The two must agree where both are defined, or one of them is not what it is taken for.
check = signal(3000)
assert np.allclose(with_torch(check, 441, 100, 300), with_numpy(check, 441, 100, 300), atol=1e-10)

cases = [case(with_torch, *c) for c in TORCH_CASES] + [case(with_numpy, *c) for c in NUMPY_CASES]
OUT.parent.mkdir(parents=True, exist_ok=True)
OUT.write_text("[\n" + ",\n".join(json.dumps(c) for c in cases) + "\n]\n")
print(f"{OUT}: {len(cases)} cases, {OUT.stat().st_size} bytes")
