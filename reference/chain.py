"""The way from a sound to a log1p magnitude spectrogram, by librosa's resampler and torch's STFT.

    python reference/chain.py        writes crates/stft-data/tests/golden/chain.json

Made with numpy 2.4.6, librosa 0.11.0, soxr 1.0.0 and torch 2.15.0.

Signals are made by formula on both sides: a swept sine, a decaying chord and clicks, each at
several rates. librosa resamples with soxr's best quality ("soxr_vhq"), in float64. Two good
resamplers differ only in how they end their pass bands, so bins above 0.85 of the lower
Nyquist frequency are left out. Probes are 150 bins and frames per case, drawn by a fixed
generator, and half of them from the loudest tenth. Tolerance: 2e-4 in log1p magnitude (3.8e-5 seen),
absolute, where magnitudes reach 4.9 in log1p: soxr's and rubato's pass bands are both flat
within 0.001 dB, which is 1e-4 of a magnitude and of log1p of a large one.
"""

import json
import pathlib

import librosa
import numpy as np
import torch

OUT = pathlib.Path(__file__).parent.parent / "crates/stft-data/tests/golden/chain.json"
SECONDS = 0.6


def sweep(t):
    return 0.7 * np.sin(2 * np.pi * (60.0 * t + 0.5 * 5500.0 * t * t / SECONDS))


def chord(t):
    """Faded in over 5 ms: a step would put energy where the two resamplers may differ."""
    return (1 - np.exp(-((t / 5e-3) ** 2))) * sum(
        0.3 / (k + 1) * np.exp(-(3.0 + k) * t) * np.sin(2 * np.pi * f * t + k)
        for k, f in enumerate([110.0, 277.18, 659.26, 1760.0, 3520.0])
    )


def clicks(t):
    """Rounded clicks: Gaussians of 0.15 ms, so that nothing lies near a Nyquist frequency."""
    return sum(0.8 * np.exp(-(((t - c) / 3e-4) ** 2)) for c in [0.05, 0.21, 0.39])


SIGNALS = {"sweep": sweep, "chord": chord, "clicks": clicks}
RATES = [(44_100, 16_384), (48_000, 16_000), (22_050, 44_100), (96_000, 22_050), (16_384, 16_384)]

rng = np.random.default_rng(7)
cases = []
for name, signal in SIGNALS.items():
    for rate_in, rate_out in RATES:
        n_fft, hop = (512, 128) if rate_out < 20_000 else (1024, 256)
        t = np.arange(round(SECONDS * rate_in)) / rate_in
        # What both sides are given is the signal rounded to f32.
        sound = signal(t).astype(np.float32).astype(np.float64)
        resampled = sound
        if rate_in != rate_out:
            resampled = librosa.resample(
                sound, orig_sr=rate_in, target_sr=rate_out, res_type="soxr_vhq"
            )
        spectrum = torch.stft(
            torch.from_numpy(resampled),
            n_fft,
            hop,
            window=torch.hann_window(n_fft, periodic=True, dtype=torch.float64),
            center=True,
            pad_mode="reflect",
            return_complex=True,
        )
        log = torch.log1p(spectrum.abs()).numpy()
        # The last frames hold the ends, where lengths may differ by a sample.
        frames = log.shape[1] - 1 - n_fft // hop
        bins = int(0.85 * min(rate_in, rate_out) / rate_out * (n_fft // 2))
        kept = log[:bins, :frames]
        loud = np.argwhere(kept >= np.quantile(kept, 0.9))
        anywhere = np.argwhere(np.ones_like(kept, dtype=bool))
        probes = np.concatenate(
            [rng.choice(loud, 75, replace=False), rng.choice(anywhere, 75, replace=False)]
        )
        cases.append(
            {
                "signal": name,
                "rate_in": rate_in,
                "rate_out": rate_out,
                "n_fft": n_fft,
                "hop_length": hop,
                "bins": log.shape[0],
                "probes": [[int(f), int(t), round(float(log[f, t]), 7)] for f, t in probes],
            }
        )

OUT.write_text(json.dumps(cases) + "\n")
print(OUT, OUT.stat().st_size, "bytes", max(p[2] for c in cases for p in c["probes"]))
