"""PyTorch on the work of benches/benches/losses.rs: InfoNCE and the multi-resolution STFT loss, each with its gradient.

    pip install torch            (any 2.x; made with 2.15)
    python reference/losses_speed.py --threads 2
    python reference/losses_speed.py --threads 2 --only multi_resolution

Prints a line for each case: its name as in the benchmark, the smallest and the median of the times of --repeats calls. The
figures in benches/README.md come from turns of the benchmark and of this script. Data are random, so nothing is compared
but time; reference/losses.py compares values.

InfoNCE is cross_entropy on the dense matrix of cosines, with the tokens of equal content masked out; keys are off the
graph. The clips' own negatives are one batched product. The STFT loss is torch.stft on the whole batch, spectral
convergence of each item and L1 of logarithms.
"""

import argparse
import statistics
import time

import torch
import torch.nn.functional as F

TEMPERATURE, SAME, VALUES = 0.07, 0.01, 128
CONTRAST = [(16, 512, 256), (16, 289, 128)]
SOUNDS = (8, 88_200)
RESOLUTIONS = [(1024, 120, 600), (2048, 240, 1200), (512, 50, 240)]


def contrast(batch, tokens, features, clip):
    queries, keys = (torch.rand(batch, tokens, features) for _ in range(2))
    content = torch.rand(batch, tokens, VALUES)
    asked = torch.arange(tokens // 2, tokens)

    def call():
        # With negatives of the clip its hidden tokens are the keys, with those of the batch all tokens are.
        q = queries[:, asked].detach().requires_grad_()
        k, c = (x[:, asked] if clip else x.reshape(1, -1, x.shape[2]) for x in (keys, content))
        a = content[:, asked] if clip else content[:, asked].reshape(1, -1, VALUES)
        own = torch.arange(len(asked)).expand(batch, -1)
        if not clip:
            own = (torch.arange(batch)[:, None] * tokens + asked).reshape(1, -1)
        unit = F.normalize(q, dim=-1)
        unit = unit if clip else unit.reshape(1, -1, features)
        logits = unit @ F.normalize(k, dim=-1).mT / TEMPERATURE
        sizes = a.square().sum(-1)[:, :, None] + c.square().sum(-1)[:, None]
        same = a @ c.mT >= (1 - SAME * SAME / 2) / 2 * sizes
        same.scatter_(2, own[:, :, None], False)
        logits = logits.masked_fill(same, float("-inf"))
        F.cross_entropy(logits.flatten(0, 1), own.flatten()).backward()

    queried = batch * len(asked)
    return f"info_nce/{queried}_of_{batch * tokens}x{features}/{'clip' if clip else 'batch'}", call


def multi_resolution():
    prediction, target = (torch.randn(SOUNDS) * 0.1 for _ in range(2))
    windows = [torch.hann_window(win) for _, _, win in RESOLUTIONS]

    def magnitude(sound, size, window):
        power = torch.view_as_real(torch.stft(sound, *size, window=window, return_complex=True)).square().sum(-1)
        return power.clamp_min(1e-14).sqrt()

    def call():
        sound = prediction.detach().requires_grad_()
        loss = 0
        for size, window in zip(RESOLUTIONS, windows):
            x, y = magnitude(sound, size, window), magnitude(target, size, window)
            convergence = (x - y).flatten(1).norm(dim=1) / (y.flatten(1).square().sum(1) + 1e-6).sqrt()
            logs = ((x + 1e-5).log() - (y + 1e-5).log()).abs().flatten(1).mean(1)
            loss = loss + (convergence + logs).mean() / len(RESOLUTIONS)
        loss.backward()

    return f"multi_resolution_stft/{SOUNDS[0]}x{SOUNDS[1]}/forward_and_backward", call


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    cases = [contrast(*size, clip) for size in CONTRAST for clip in (False, True)] + [multi_resolution()]
    for name, call in cases:
        if options.only not in name:
            continue
        call()
        times = []
        for _ in range(options.repeats):
            start = time.perf_counter()
            call()
            times.append(1e3 * (time.perf_counter() - start))
        print(f"{name}: smallest {min(times):.1f} ms, median {statistics.median(times):.1f} ms")


if __name__ == "__main__":
    main()
