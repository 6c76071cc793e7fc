"""Compares crates/losses with the PyPI package auraloss, and measures where auraloss goes another way.

    pip install auraloss==0.4.0 scipy
    python reference/losses_auraloss.py        (made with auraloss 0.4.0, torch 2.15, CPU, float64)

Writes crates/losses/tests/golden/auraloss.json: values of auraloss for one sound at a time, where it is right and the crate
has to agree. Prints the measurements behind the table in the crate's documentation. Deterministic; the sounds come from
integer arithmetic that the test repeats.
Tolerance in the test: 1e-5 relative to the largest value, for sums of some thousand bins in float32. auraloss floors magnitudes at 1e-4, where
the crate adds an epsilon (1e-7 in this test): no bin of these sounds is near the floor, which is asserted here, so that the two differ by 1e-7.
auraloss's FIR filters run backwards in time and keep what they ring on for. A filter and its reverse leave the same energy, so that the ratio is
the crate's for sounds whose last two samples are silent: there, nothing rings on behind the end.
"""
import json
import pathlib

import auraloss
import numpy as np
import scipy.signal
import torch

OUT = pathlib.Path(__file__).parent.parent / "crates/losses/tests/golden/auraloss.json"


def noise(seed, n):
    i = torch.arange(n, dtype=torch.int64)
    whole = (i * i * 10473 + i * 7919 + seed * 311) % 65521
    return ((whole.double() / 65521 - 0.5) * (1 - i.double() / (2 * n))).float().double()


def stft_loss(*size):
    loss = auraloss.freq.STFTLoss(*size)
    loss.window = loss.window.double()
    return loss


def multi_resolution():
    loss = auraloss.freq.MultiResolutionSTFTLoss()
    for part in loss.stft_losses:
        part.window = torch.hann_window(part.win_length, dtype=torch.float64)
    return loss


def golden():
    samples = 2600
    pairs = [(noise(1 + b, samples), noise(11 + b, samples)) for b in range(2)]

    def each(f):
        return [f(x[None, None], y[None, None]).item() for x, y in pairs]
    def filtered(kind):
        fir = auraloss.perceptual.FIRFilter(kind)
        fir.fir.weight.data = fir.fir.weight.data.double()
        ratio = auraloss.time.ESRLoss(eps=0)
        ended = lambda x: torch.cat([x[..., :-2], torch.zeros_like(x[..., -2:])], -1)
        return each(lambda x, y: ratio(*fir(ended(x), ended(y))))
    for part in multi_resolution().stft_losses:
        for sound in (sound for pair in pairs for sound in pair):
            magnitudes = part.stft(sound[None])[0]
            assert magnitudes.min() > 10 * part.eps ** 0.5, magnitudes.min()
    data = dict(auraloss="0.4.0", samples=samples,
                multi_resolution=each(multi_resolution()),
                one_resolution=each(stft_loss(512, 50, 240)),
                esr_dc=[a + b for a, b in zip(each(auraloss.time.ESRLoss(eps=0)), each(auraloss.time.DCLoss(eps=0)))],
                esr_high_pass=filtered("hp"), esr_folded_differentiator=filtered("fd"))
    OUT.write_text(json.dumps(data) + "\n")
    print(OUT.name, OUT.stat().st_size, "bytes")


def measure():
    loud, quiet = noise(1, 8000), noise(2, 8000) * 1e-3
    loud_off, quiet_off = loud * 1.01, noise(3, 8000) * 1e-3
    sc = auraloss.freq.SpectralConvergenceLoss()
    mag = lambda x: stft_loss(512, 50, 240).stft(x)[0]
    items = [sc(mag(a[None]), mag(b[None])).item() for a, b in ((loud_off, loud), (quiet_off, quiet))]
    batch = sc(mag(torch.stack([loud_off, quiet_off])), mag(torch.stack([loud, quiet]))).item()
    print("spectral convergence of a loud and a quiet item: each", items, "mean", sum(items) / 2, "batch", batch)

    tone = torch.sin(torch.arange(8000, dtype=torch.float64) * 0.3)
    for level, factor in ((1e-2, 10), (1e-8, 10)):
        x = (level * factor * tone)[None, None].requires_grad_()
        loss = stft_loss(512, 50, 240)(x, (level * tone)[None, None])
        loss.backward()
        print(f"a tone at {20 * np.log10(level):.0f} dB, predicted 20 dB too loud: loss", loss.item(), "|gradient|", x.grad.abs().sum().item())

    zeros = torch.zeros(1, 4, 5, dtype=torch.float64)
    x = zeros.clone().requires_grad_()
    loss = sc(x, zeros)
    loss.backward()
    print("spectral convergence of silence from silence: loss", loss.item(), "gradient", x.grad.flatten()[0].item())
    x = zeros.clone().requires_grad_()
    loss = auraloss.freq.STFTMagnitudeLoss()(x, zeros)
    loss.backward()
    print("log magnitudes of silence from silence: loss", loss.item(), "gradient", x.grad.flatten()[0].item())
    x = zeros[0, :1].clone().requires_grad_()
    print("log magnitudes of silence from 1: loss", auraloss.freq.STFTMagnitudeLoss()(x, torch.ones_like(x)).item())
    silence = torch.zeros(1, 1, 8000, dtype=torch.float64).requires_grad_()
    loss = stft_loss(512, 50, 240)(silence, silence.detach())
    loss.backward()
    print("STFTLoss of silence from silence: loss", loss.item(), "gradient finite", silence.grad.isfinite().all().item())

    impulse = torch.zeros(1, 1, 9)
    impulse[..., 4] = 1
    high_pass = auraloss.perceptual.FIRFilter("hp")
    response = high_pass(impulse, impulse)[0][0, 0]
    print("high-pass of an impulse among", impulse.shape[-1], "samples gives", len(response), "samples:",
          [round(v, 3) for v in response[response.nonzero()[:, 0]].tolist()])

    f1, f2, f3, f4 = (p * p for p in (20.598997, 107.65265, 737.86223, 12194.217))
    raw = lambda f: f4 * f ** 4 / ((f * f + f1) * np.sqrt((f * f + f2) * (f * f + f3)) * (f * f + f4))
    at = np.array([1000.0, 5000.0, 10000.0, 15000.0, 20000.0])
    taps = auraloss.perceptual.FIRFilter("aw", fs=44100).fir.weight.data.numpy().ravel()
    got = abs(scipy.signal.freqz(taps, worN=at, fs=44100)[1])
    print("A-weighting at 44.1 kHz, off the standard's curve in dB:",
          dict(zip(at.tolist(), np.round(20 * np.log10(got / (raw(at) / raw(1000.0))), 1).tolist())))

    sounds = torch.stack([noise(1, 8000), noise(2, 8000)])[:, None]
    half = sounds.clone()
    half[..., 4000:] = 0
    target = torch.stack([noise(3, 8000), noise(4, 8000)])[:, None]
    target[..., 4000:] = 0
    print("a sound of 4000 samples alone and with 4000 of padding:",
          stft_loss(512, 50, 240)(half[..., :4000], target[..., :4000]).item(), stft_loss(512, 50, 240)(half, target).item())


golden()
measure()
