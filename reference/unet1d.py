"""Golden values for crates/unet1d: outputs and the gradient of every parameter, from PyTorch.

    python reference/unet1d.py        (made with torch 2.15, numpy, CPU, float64)

Writes to crates/unet1d/tests/golden/: cases.json (configurations, shapes, and the names and sizes of the parameters) and
one CASE.f32 per case: raw little-endian float32, the output first, then the gradient of each parameter in the order of
cases.json, of the loss mean((y - target)^2).

No weights are stored: every number of a parameter, of the input and of the target is a closed formula of its name and
index (`numbers`), in integers and correctly rounded float32 operations, so that Rust and numpy agree to the last bit.
Parameter names are the paths of the Rust module.

Tolerances in the test: outputs 1e-4 absolute (they are of order 1), gradients 1e-3 of the largest value of their tensor:
the crate computes in float32 what is float64 here, and a sum in another order differs by some 1e-6 per layer.
"""
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

OUT = pathlib.Path(__file__).parent.parent / "crates/unet1d/tests/golden"
PLAIN = dict(block="plain", attention_levels=[], attention_heads=4)
CASES = {
    # Frame counts: ragged at the first halving, a multiple of what the levels ask for, ragged at the second halving.
    "plain_ragged": (3, 13, dict(PLAIN, in_channels=11, base_channels=8, channel_mults=[1, 2], blocks_per_level=1, norm_groups=4)),
    "plain_even": (2, 16, dict(PLAIN, in_channels=6, base_channels=4, channel_mults=[1, 2, 3], blocks_per_level=1, norm_groups=2)),
    "plain_deep": (2, 22, dict(PLAIN, in_channels=9, base_channels=4, channel_mults=[1, 2, 3], blocks_per_level=2, norm_groups=2)),
    "residual_attention": (2, 15, dict(block="residual", attention_levels=[1], attention_heads=2, in_channels=7,
                                       base_channels=4, channel_mults=[1, 2], blocks_per_level=2, norm_groups=2)),
}


def numbers(name, shape, centre=0.0, scale=1.0):
    """centre + scale * u, u uniform in [-1, 1): FNV-1a of the name, plus a step per index, through murmur3's mixer."""
    seed = 0x811C9DC5
    for byte in name.encode():
        seed = (seed ^ byte) * 0x01000193 & 0xFFFFFFFF
    x = (np.uint32(seed) + np.arange(math.prod(shape), dtype=np.uint32) * np.uint32(0x9E3779B9)).astype(np.uint32)
    x ^= x >> np.uint32(16)
    x *= np.uint32(0x85EBCA6B)
    x ^= x >> np.uint32(13)
    x *= np.uint32(0xC2B2AE35)
    x ^= x >> np.uint32(16)
    u = (x >> np.uint32(8)).astype(np.float32) / np.float32(2**23) - np.float32(1)
    values = np.float32(centre) + np.float32(scale) * u
    return torch.from_numpy(values.astype(np.float64).reshape(shape))


class Net:
    """The network as functions of named parameters, which come into being when they are first asked for."""

    def __init__(self, config):
        self.__dict__.update(config)
        self.parameters = {}

    def parameter(self, name, *shape):
        if name not in self.parameters:
            if len(shape) == 3:
                value = numbers(name, shape, 0.0, np.sqrt(np.float32(3) / np.float32(shape[1] * shape[2])))
            else:
                value = numbers(name, shape, 1.0 if name.endswith("gamma") else 0.0, 0.25)
            self.parameters[name] = value.requires_grad_()
        return self.parameters[name]

    def conv(self, name, x, c_out, k, **options):
        weight = self.parameter(f"{name}.weight", c_out, x.shape[1], k)
        return F.conv1d(x, weight, self.parameter(f"{name}.bias", c_out), **options)

    def norm(self, name, x):
        c = x.shape[1]
        return F.group_norm(x, self.norm_groups, self.parameter(f"{name}.gamma", c), self.parameter(f"{name}.beta", c))

    def plain(self, name, x, c):
        for i in (1, 2):
            x = F.silu(self.norm(f"{name}.Plain.norm_{i}", self.conv(f"{name}.Plain.conv_{i}", x, c, 3, padding=1)))
        return x

    def residual(self, name, x, c):
        h = x
        for i in (1, 2):
            h = self.conv(f"{name}.Residual.conv_{i}", F.silu(self.norm(f"{name}.Residual.norm_{i}", h)), c, 3, padding=1)
        return h + (x if x.shape[1] == c else self.conv(f"{name}.Residual.shortcut", x, c, 1))

    def attention(self, name, x):
        b, c, t = x.shape
        qkv = self.conv(f"{name}.qkv", self.norm(f"{name}.norm", x), 3 * c, 1)
        q, k, v = qkv.view(b, 3, self.attention_heads, c // self.attention_heads, t).transpose(3, 4).unbind(1)
        y = F.scaled_dot_product_attention(q, k, v).transpose(2, 3).reshape(b, c, t)
        return x + self.conv(f"{name}.out", y, c, 1)

    def level(self, name, index, x, blocks):
        c = self.base_channels * self.channel_mults[index]
        for j in range(blocks):
            x = getattr(self, self.block)(f"{name}.blocks.{j}", x, c)
            if index in self.attention_levels:
                x = self.attention(f"{name}.attention.{j}", x)
        return x

    def forward(self, x):
        n = len(self.channel_mults)
        h, skips = self.conv("stem", x, self.base_channels, 3, padding=1), []
        for i in range(n):
            h = self.level(f"encoder.{i}", i, h, self.blocks_per_level)
            skips.append(h)
            if i < n - 1:
                h = self.conv(f"halve.{i}.conv", h, h.shape[1], 4, stride=2, padding=1)
        h = self.level("middle", n - 1, h, 2)
        for i in reversed(range(n)):
            if i < n - 1:
                c, name = h.shape[1], f"double.{i}.conv"
                h = F.conv_transpose1d(h, self.parameter(f"{name}.weight", c, c, 4), self.parameter(f"{name}.bias", c),
                                       stride=2, padding=1)
                h = F.pad(h, (0, skips[i].shape[-1] - h.shape[-1]))
            h = self.level(f"decoder.{i}", i, torch.cat([h, skips[i]], 1) * 2**-0.5, self.blocks_per_level)
        return self.conv("head", F.silu(self.norm("head_norm", h)), x.shape[1], 3, padding=1)


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    cases, size = [], 0
    for name, (batch, frames, config) in CASES.items():
        shape = [batch, config["in_channels"], frames]
        net = Net(config)
        y = net.forward(numbers("input", shape))
        F.mse_loss(y, numbers("target", shape)).backward()
        parts = [y.detach()] + [p.grad for p in net.parameters.values()]
        values = torch.cat([p.flatten() for p in parts]).numpy().astype("<f4")
        (OUT / f"{name}.f32").write_bytes(values.tobytes())
        size += values.nbytes
        cases.append(dict(name=name, shape=shape, config=config,
                          parameters=[dict(name=n, shape=list(p.shape)) for n, p in net.parameters.items()]))
        print(name, len(net.parameters), "parameters,", values.nbytes, "bytes, outputs up to", y.abs().max().item())
    (OUT / "cases.json").write_text(json.dumps(dict(torch=torch.__version__, cases=cases)) + "\n")
    print("total", size + (OUT / "cases.json").stat().st_size, "bytes")


main()
