"""Golden values for crates/losses, from PyTorch.

    python reference/losses.py        (made with torch 2.15, scipy 1.x, CPU, float64)

Writes to crates/losses/tests/golden/: magnitude.json (L1, L2 over selected bins), spectrogram.json (losses on magnitudes),
waveform.json (STFT, losses on sounds), frequency.json (A-weighting and mel bands, from librosa 0.11), inverse.json
(inverse STFT), contrastive.json, parameter.json. Each has inputs, the loss of each item, the loss
of the batch and its gradient. Deterministic: inputs come from closed formulas; sounds from integer arithmetic that the test
repeats, so that they need not be stored.

The reference goes another way than the crate: it picks the selected elements of each item out by indexing, cuts each sound
to its valid samples and hands it to torch.stft, filters by scipy.signal.lfilter's definition as a plain sum, and makes
InfoNCE out of F.cross_entropy on one dense matrix. A fault in weighting, framing or chunking cannot be shared.
Tolerance in the test: 1e-5 relative to the largest value of its kind (1e-6 for L1, L2), since the crate computes in float32
what is float64 here. Gradients through an STFT: 5e-3 of the largest slope in float32, since a nearly silent bin has hardly a
phase and ln is steep there, and 1e-6 of it in float64. InfoNCE is compared fused and in chunks.

reference/losses_auraloss.py compares with the PyPI package auraloss and measures where it differs.
"""
import json
import math
import pathlib

import torch
import torch.nn.functional as F

BATCH, BINS, FRAMES = 3, 4, 5
VALID = [5, 3, 2]
OUT = pathlib.Path(__file__).parent.parent / "crates/losses/tests/golden"


def closed_form(a, b):
    n = torch.arange(BATCH * BINS * FRAMES, dtype=torch.float64).reshape(BATCH, BINS, FRAMES)
    # Rounded to float32 so that both sides start from equal numbers.
    return torch.sin(a * n + b).mul(2).float().double()


def write(name, data):
    path = OUT / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(dict(torch=torch.__version__, **data)) + "\n")
    print(path.name, path.stat().st_size, "bytes")


def selections():
    hidden = closed_form(2.9, 0.2) > 0.2
    frame = torch.arange(FRAMES).expand(BATCH, BINS, FRAMES)
    valid = frame < torch.tensor(VALID)[:, None, None]
    return hidden, (("valid", valid), ("hidden", hidden & valid))


def evaluate(f, prediction, target, selected):
    x = prediction.clone().requires_grad_()
    items = torch.stack([f(x[b][selected[b]], target[b][selected[b]]) for b in range(BATCH)])
    items.mean().backward()
    return dict(per_item=items.tolist(), batch=items.mean().item(), gradient=x.grad.flatten().tolist())


def magnitude():
    prediction, target = closed_form(0.7, 0.1), closed_form(1.3, 0.5)
    hidden, both = selections()
    cases = [dict(selection=selection, norm=norm, **evaluate(f, prediction, target, selected))
             for selection, selected in both for norm, f in (("l1", F.l1_loss), ("l2", F.mse_loss))]
    write("magnitude.json", dict(shape=[BATCH, BINS, FRAMES], valid_frames=VALID, prediction=prediction.flatten().tolist(),
                                 target=target.flatten().tolist(), hidden=hidden.flatten().tolist(), cases=cases))


def convergence(eps):
    return lambda x, y: torch.linalg.vector_norm(y - x) / torch.sqrt(torch.linalg.vector_norm(y) ** 2 + eps ** 2)


def log_distance(distance, eps):
    return lambda x, y: distance(torch.log(x + eps), torch.log(y + eps))


def low_magnitude(eps, cap):
    def f(x, y):
        w = 1 / (y + eps)
        return (torch.clamp(w / w.mean(), max=cap) * (x - y) ** 2).mean()
    return f


def itakura_saito(floor):
    def f(x, y):
        p, q = torch.clamp(y ** 2, min=floor), torch.clamp(x ** 2, min=floor)
        return (p / q - torch.log(p / q) - 1).mean()
    return f


def spectrogram():
    # Magnitudes from 4e-4 to 4; some bins of the target are silent.
    prediction = closed_form(0.7, 0.1).mul(2.3).exp().mul(0.04).float().double()
    target = closed_form(1.3, 0.5).mul(2.3).exp().mul(0.04).float().double()
    target[closed_form(3.1, 0.9) > 1.5] = 0
    hidden, both = selections()
    sc, log1, low = convergence(0.3), log_distance(F.l1_loss, 1e-3), low_magnitude(1e-2, 2.5)
    losses = dict(spec_sc=sc, spec_log_l1=log1, spec_log_l2=log_distance(F.mse_loss, 1e-3), lowmag=low,
                  itakura_saito=itakura_saito(1e-4),
                  composite=lambda x, y: 0.6 * (0.5 * F.l1_loss(x, y) + 0.25 * F.mse_loss(x, y) + 2 * sc(x, y)
                                                + 1.5 * log1(x, y)) + 0.4 * low(x, y))
    cases = [dict(selection=selection, loss=name, **evaluate(f, prediction, target, selected))
             for selection, selected in both for name, f in losses.items()]
    write("spectrogram.json", dict(shape=[BATCH, BINS, FRAMES], valid_frames=VALID, prediction=prediction.flatten().tolist(),
                                   target=target.flatten().tolist(), hidden=hidden.flatten().tolist(), cases=cases))


def noise(seed, n):
    """Integers modulo a prime, scaled to +-0.5 and faded out: exact on both sides."""
    i = torch.arange(n, dtype=torch.int64)
    whole = (i * i * 10473 + i * 7919 + seed * 311) % 65521
    return ((whole.double() / 65521 - 0.5) * (1 - i.double() / (2 * n))).float().double()


def magnitudes(x, n_fft, hop, win):
    z = torch.stft(x, n_fft, hop, win, torch.hann_window(win, dtype=torch.float64), center=True, pad_mode="reflect",
                   return_complex=True)
    return z.abs()


def multi_resolution(x, y, sizes, eps_sc, eps_log):
    terms = []
    for size in sizes:
        a, b = magnitudes(x, *size), magnitudes(y, *size)
        terms.append(convergence(eps_sc)(a, b) + log_distance(F.l1_loss, eps_log)(a, b))
    return sum(terms) / len(terms)


def a_weighting(fs, reach=200):
    """Fourier coefficients of the curve of IEC 61672-1 by adaptive quadrature."""
    from scipy.integrate import quad

    def gain(f):
        f1, f2, f3, f4 = (p * p for p in (20.598997, 107.65265, 737.86223, 12194.217))
        return f4 * f ** 4 / ((f * f + f1) * math.sqrt((f * f + f2) * (f * f + f3)) * (f * f + f4))
    half = [quad(lambda u: gain(u * fs / 2) / gain(1000.0), 0, 1, weight="cos", wvar=math.pi * k, limit=400)[0]
            for k in range(reach + 1)]
    return half[:0:-1] + half, reach


def filtered(x, taps, present):
    rows = []
    for k, tap in enumerate(taps):
        shift = k - present  # y[n] = sum_k h[k] x[n - shift]
        n = len(x)
        if abs(shift) >= n:
            continue
        zeros = torch.zeros(abs(shift), dtype=torch.float64)
        rows.append(tap * (torch.cat([zeros, x[:n - shift]]) if shift >= 0 else torch.cat([x[-shift:], zeros])))
    return sum(rows)


def esr_dc(x, y, taps, present, eps):
    e, s = filtered(y - x, taps, present), filtered(y, taps, present)
    return (e ** 2).mean() / ((s ** 2).mean() + eps) + (y - x).mean() ** 2 / ((y ** 2).mean() + eps)


def waveform():
    batch, samples, valid, stride = 2, 2600, [2600, 1309], 13  # 1309 = 187 * 7: an odd n_fft has a frame less there
    prediction = torch.stack([(noise(1 + b, samples) + 0.0625).float().double() for b in range(batch)])
    target = torch.stack([noise(11 + b, samples) for b in range(batch)])
    yamamoto = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)]
    taps, reach = a_weighting(16384.0)
    losses = dict(multi_resolution=lambda x, y: multi_resolution(x, y, yamamoto, 1e-3, 1e-5),
                  any_resolution=lambda x, y: multi_resolution(x, y, [(45, 7, 31), (100, 33, 100)], 0.5, 1e-2),
                  none=lambda x, y: esr_dc(x, y, [1.0], 0, 1e-3),
                  high_pass=lambda x, y: esr_dc(x, y, [1.0, -0.85], 0, 1e-3),
                  folded_differentiator=lambda x, y: esr_dc(x, y, [1.0, 0.0, -0.85], 0, 1e-3),
                  a_weighting=lambda x, y: esr_dc(x, y, taps, reach, 1e-3))
    cases = []
    for name, f in losses.items():
        x = prediction.clone().requires_grad_()
        items = torch.stack([f(x[b, :valid[b]], target[b, :valid[b]]) for b in range(batch)])
        items.mean().backward()
        cases.append(dict(loss=name, per_item=items.tolist(), gradient=x.grad.flatten()[::stride].tolist(),
                          largest=x.grad.abs().max().item()))
    spectra = []
    for size in ((45, 7, 31), (64, 16, 64), (30, 11, 30)):
        rows = [magnitudes(target[b, :v], *size) for b, v in enumerate((100, 63))]
        spectra.append(dict(size=size, magnitudes=[m.flatten().tolist() for m in rows]))
    write("waveform.json", dict(shape=[batch, samples], valid_samples=valid, stride=stride, cases=cases, spectra=spectra))


def frequency():
    """Terms that know the frequencies of bins, with librosa's A-weighting and mel filters."""
    import librosa

    rate, n_fft, bands, eps = 16384, 64, 6, 1e-2
    bins, frames = n_fft // 2 + 1, 3
    n = torch.arange(BATCH * bins * frames, dtype=torch.float64).reshape(BATCH, bins, frames)
    prediction, target = (torch.sin(a * n + b).mul(2).exp().mul(0.04).float().double() for a, b in ((0.7, 0.1), (1.3, 0.5)))
    hz = librosa.fft_frequencies(sr=rate, n_fft=n_fft)
    # librosa's curve is 0.0003 dB off at 1 kHz.
    db = librosa.A_weighting(hz, min_db=None) - librosa.A_weighting([1000.0], min_db=None)
    gains = torch.tensor(10 ** (db / 20))
    gains[0] = 0
    filters = torch.tensor(librosa.filters.mel(sr=rate, n_fft=n_fft, n_mels=bands, dtype=float))
    unit = filters / filters.sum(1, keepdim=True)
    losses = dict(spec_a_weighted=lambda x, y: ((x - y).abs() * gains[:, None]).mean(),
                  spec_mel=lambda x, y: (torch.log(unit @ x + eps) - torch.log(unit @ y + eps)).abs().mean())
    valid, cases = [3, 2, 1], []
    for name, f in losses.items():
        x = prediction.clone().requires_grad_()
        items = torch.stack([f(x[b, :, :v], target[b, :, :v]) for b, v in enumerate(valid)])
        items.mean().backward()
        cases.append(dict(selection="valid", loss=name, per_item=items.tolist(), batch=items.mean().item(),
                          gradient=x.grad.flatten().tolist()))
    write("frequency.json", dict(librosa=librosa.__version__, rate=rate, n_fft=n_fft, bands=bands, epsilon=eps,
                                 filters=filters.flatten().tolist(), shape=[BATCH, bins, frames], valid_frames=valid,
                                 prediction=prediction.flatten().tolist(), target=target.flatten().tolist(),
                                 hidden=[False] * (BATCH * bins * frames), cases=cases))


def inverse():
    """torch.istft of one sound's magnitudes with another's phases, and the gradient of its energy."""
    samples, cases = 200, []
    for size in ((64, 16, 64), (60, 15, 40), (45, 9, 45)):
        n_fft, hop, win = size
        window = torch.hann_window(win, dtype=torch.float64)
        phase_of = torch.stft(noise(3, samples), n_fft, hop, win, window, center=True, pad_mode="reflect", return_complex=True)
        m = magnitudes(noise(4, samples), *size).float().double().requires_grad_()
        sound = torch.istft(m * phase_of / phase_of.abs(), n_fft, hop, win, window, center=True, length=samples)
        sound.square().sum().backward()
        cases.append(dict(size=size, magnitudes=m.flatten().tolist(), sound=sound.tolist(), gradient=m.grad.flatten().tolist()))
    write("inverse.json", dict(samples=samples, cases=cases))


def contrastive():
    batch, tokens, features, values = 3, 5, 4, 2
    n = torch.arange(batch * tokens * features, dtype=torch.float64).reshape(batch, tokens, features)
    q, k = torch.sin(1.7 * n + 0.3).float().double(), torch.sin(0.9 * n * n + 1.1).float().double()
    m = torch.arange(batch * tokens * values, dtype=torch.float64).reshape(batch, tokens, values)
    content = torch.cos(2.3 * m).float().double()
    content[0, 3] = content[0, 1]   # two pairs of tokens with the same content, one across clips
    content[2, 0] = content[0, 2] * 1.004
    hidden = torch.tensor([[0, 1, 1, 1, 0], [1, 0, 1, 1, 1], [1, 0, 0, 1, 0]], dtype=torch.bool)
    valid = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 1, 0], [1, 1, 1, 1, 1]], dtype=torch.bool)
    scored = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 1, 1], [1, 1, 1, 1, 1]], dtype=torch.bool)
    cases = []
    for mode in ("batch", "clip"):
        x = q.clone().requires_grad_()
        losses, right, sizes = [], [], []
        for b in range(batch):
            item, hits, counts = [], [], []
            for i in torch.nonzero(hidden[b] & valid[b] & scored[b]).flatten().tolist():
                logits = []
                for c in range(batch):
                    for j in range(tokens):
                        usable = valid[c, j] and (mode == "batch" or (c == b and hidden[c, j]))
                        apart = (content[c, j] - content[b, i]).norm() > 0.01 * content[b, i].norm()
                        if (c, j) != (b, i) and usable and apart:
                            logits.append(F.cosine_similarity(x[b, i], k[c, j], dim=0) / 0.07)
                logits = torch.stack([F.cosine_similarity(x[b, i], k[b, i], dim=0) / 0.07] + logits)
                item.append(F.cross_entropy(logits[None], torch.tensor([0])))
                hits.append(float(logits.argmax() == 0))
                counts.append(len(logits))
            losses.append(torch.stack(item).mean())
            right.append(sum(hits) / len(hits))
            sizes.append(sum(counts) / len(counts))
        items = torch.stack(losses)
        items.mean().backward()
        cases.append(dict(mode=mode, per_item=items.tolist(), accuracy=right, candidates=sizes,
                          gradient=x.grad.flatten().tolist()))
    write("contrastive.json", dict(shape=[batch, tokens, features], values=values, queries=q.flatten().tolist(),
                                   keys=k.flatten().tolist(), content=content.flatten().tolist(),
                                   hidden=hidden.flatten().tolist(), valid=valid.flatten().tolist(),
                                   scored=scored.flatten().tolist(), cases=cases))


def parameter():
    batch, continuous, sizes = 3, 4, [2, 5]
    n = torch.arange(batch * continuous, dtype=torch.float64).reshape(batch, continuous)
    prediction, target = (torch.sin(a * n).abs().float().double() for a in (0.7, 1.9))
    logits = [(3 * torch.cos(1.3 * torch.arange(batch * c, dtype=torch.float64) + c)).reshape(batch, c).float().double()
              for c in sizes]
    classes = torch.tensor([[0, 4], [1, 2], [1, 0]])
    cases = []
    for smoothing in (0.0, 0.1):
        x, z = prediction.clone().requires_grad_(), [t.clone().requires_grad_() for t in logits]
        cont = torch.stack([F.mse_loss(x[b], target[b]) for b in range(batch)])
        cat = torch.stack([torch.stack([F.cross_entropy(z[q][b:b + 1], classes[b:b + 1, q], label_smoothing=smoothing)
                                        for q in range(len(sizes))]).mean() for b in range(batch)])
        items = 0.5 * (cont + cat)
        items.mean().backward()
        cases.append(dict(label_smoothing=smoothing, per_item=items.tolist(), cont_mse=cont.tolist(),
                          cross_entropy=cat.tolist(), gradient=x.grad.flatten().tolist(),
                          logit_gradients=[t.grad.flatten().tolist() for t in z],
                          correct=[float(z[q][b].argmax() == classes[b, q]) for b in range(batch) for q in range(len(sizes))]))
    write("parameter.json", dict(batch=batch, continuous=continuous, class_counts=sizes, prediction=prediction.flatten().tolist(),
                                 target=target.flatten().tolist(), logits=[t.flatten().tolist() for t in logits],
                                 classes=classes.flatten().tolist(), cases=cases))


magnitude()
spectrogram()
waveform()
frequency()
inverse()
contrastive()
parameter()
