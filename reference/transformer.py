"""Golden values for crates/transformer: outputs and the gradient of every parameter, from PyTorch.

    python reference/transformer.py        (made with torch 2.15, numpy, CPU, float64)

Writes to crates/transformer/tests/golden/: cases.json (configurations, shapes, the names and sizes of the parameters, and
a table of 2-D sines and cosines) and one CASE.f32 per case: raw little-endian float32, the outputs first, then the
gradient of each parameter in the order of cases.json.

Each item goes through PyTorch alone, without its padding tokens and, for an encoder of visible tokens, without the hidden
ones: what is not there cannot leak. So every output is written for the tokens that are there only, item after item.

No weights are stored: every number of a parameter, of the input, of the mask and of the targets is a closed formula of its
name and index (`numbers`), in integers and correctly rounded float32 operations, so that Rust and numpy agree to the last
bit. Parameter names are the paths of the Rust module.

Tolerances in the test: outputs 1e-4 absolute (they are of order 1), gradients 1e-3 of the largest value of their tensor:
the crate computes in float32 what is float64 here, and a sum in another order differs by some 1e-6 per layer.
"""
import json
import math
import pathlib

import numpy as np
import torch
import torch.nn.functional as F

OUT = pathlib.Path(__file__).parent.parent / "crates/transformer/tests/golden"
# Ragged in bins and frames; the items end in the last column, within the fourth of six, and within the third.
BATCH, BINS, FRAMES, VALID_FRAMES = 3, 9, 27, [27, 19, 11]
ENCODER = dict(bins=BINS, max_frames=33, patch_bins=2, patch_frames=5, d_model=16, n_heads=2, d_ff=20, n_layers=2, dropout=0.0)
DECODER = dict(d_model=12, n_heads=3, d_ff=14, n_layers=1, dropout=0.0)
CASES = {
    "masked_all": dict(encoder=dict(ENCODER, position="sin_cos", tokens="all"), decoder=DECODER, targets="raw"),
    "masked_visible": dict(encoder=dict(ENCODER, position="learned", tokens="visible"), decoder=DECODER,
                           contrastive=dict(predictor_layers=1), targets="per_patch_normalized"),
    "contrastive_all": dict(encoder=dict(ENCODER, position="learned", tokens="all"),
                            contrastive=dict(proj_dim=7, predictor_layers=0, keys="content", key_gradient="head")),
    "contrastive_visible": dict(encoder=dict(ENCODER, position="sin_cos", tokens="visible"),
                                contrastive=dict(proj_dim=7, predictor_layers=1, keys="content_and_position",
                                                 key_gradient="none")),
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


def sincos_1d(width, places):
    """get_1d_sincos_pos_embed_from_grid of facebookresearch/mae (util/pos_embed.py)."""
    omega = np.arange(width // 2, dtype=np.float64)
    omega /= width / 2.0
    omega = 1.0 / 10000**omega
    out = np.einsum("m,d->md", places.reshape(-1), omega)
    return np.concatenate([np.sin(out), np.cos(out)], axis=1)


def sincos_2d(width, rows, columns):
    """get_2d_sincos_pos_embed of facebookresearch/mae, for a grid that need not be square: columns come first."""
    grid = np.stack(np.meshgrid(np.arange(columns, dtype=np.float64), np.arange(rows, dtype=np.float64)), axis=0)
    return np.concatenate([sincos_1d(width // 2, grid[0]), sincos_1d(width // 2, grid[1])], axis=1)


class Net:
    """The networks as functions of named parameters, which come into being when they are first asked for."""

    def __init__(self, config):
        self.config = config
        self.encoder_size = config["encoder"]
        self.patch = (self.encoder_size["patch_bins"], self.encoder_size["patch_frames"])
        self.parameters = {}

    def parameter(self, name, *shape):
        if name not in self.parameters:
            if len(shape) == 2:
                value = numbers(name, shape, 0.0, np.sqrt(np.float32(3) / np.float32(shape[0])))
            else:
                value = numbers(name, shape, 1.0 if name.endswith("gamma") else 0.0, 0.25)
            self.parameters[name] = value.requires_grad_()
        return self.parameters[name]

    def linear(self, name, x, d_out, bias=True):
        y = x @ self.parameter(f"{name}.weight", x.shape[-1], d_out)
        return y + self.parameter(f"{name}.bias", d_out) if bias else y

    def norm(self, name, x):
        d = x.shape[-1]
        return F.layer_norm(x, (d,), self.parameter(f"{name}.gamma", d), self.parameter(f"{name}.beta", d), 1e-5)

    def self_attention(self, name, x, n_heads):
        d = x.shape[-1]
        weight = self.parameter(f"{name}.query_key_value", d, 3 * d)
        query_bias, value_bias = (self.parameter(f"{name}.{part}_bias", d) for part in ("query", "value"))
        q, k, v = (x @ weight + torch.cat([query_bias, torch.zeros_like(query_bias), value_bias])).chunk(3, -1)
        return self.mixed(name, q, k, v, n_heads)

    def cross_attention(self, name, x, read, n_heads):
        d = x.shape[-1]
        q = self.linear(f"{name}.query", x, d)
        k = self.linear(f"{name}.key", read, d, bias=False)
        return self.mixed(name, q, k, self.linear(f"{name}.value", read, d), n_heads)

    def mixed(self, name, q, k, v, n_heads):
        d = q.shape[-1]
        q, k, v = (y.view(len(y), n_heads, d // n_heads).transpose(0, 1) for y in (q, k, v))
        return self.linear(f"{name}.out", F.scaled_dot_product_attention(q, k, v).transpose(0, 1).reshape(-1, d), d)

    def block(self, name, x, size, memory=None):
        h = self.norm(f"{name}.self_norm", x)
        x = x + self.self_attention(f"{name}.self_attention", h, size["n_heads"])
        if memory is not None:
            h = self.norm(f"{name}.cross.norm", x)
            x = x + self.cross_attention(f"{name}.cross.attention", h, memory, size["n_heads"])
        h = F.gelu(self.linear(f"{name}.ff_in", self.norm(f"{name}.ff_norm", x), size["d_ff"]))
        return x + self.linear(f"{name}.ff_out", h, x.shape[-1])

    def places(self, name, d_model, columns):
        """[rows * columns, d_model]"""
        rows = -(-BINS // self.patch[0])
        if self.encoder_size["position"] == "sin_cos":
            return torch.from_numpy(sincos_2d(d_model, rows, columns))
        max_columns = -(-self.encoder_size["max_frames"] // self.patch[1])
        table = self.parameter(f"{name}.positions.table", rows, max_columns, d_model)
        return table[:, :columns].reshape(-1, d_model)

    def encoder(self, patches, hidden, columns):
        size = self.encoder_size
        d = size["d_model"]
        x = self.linear("encoder.embed", patches, d)
        if hidden is not None and size["tokens"] == "all":
            x = torch.where(hidden[:, None], self.parameter("encoder.mask_token", d), x)
        x = x + self.places("encoder", d, columns)
        if hidden is not None and size["tokens"] == "visible":
            x = x[~hidden]
        for i in range(size["n_layers"]):
            x = self.block(f"encoder.blocks.{i}", x, size)
        return self.norm("encoder.norm", x)

    def decoder(self, name, memory, size, d_out, columns):
        d = size["d_model"]
        memory = self.linear(f"{name}.embed", memory, d)
        x = self.parameter(f"{name}.mask_token", d) + self.places(name, d, columns)
        for i in range(size["n_layers"]):
            x = self.block(f"{name}.blocks.{i}", x, size, memory)
        return self.linear(f"{name}.head", self.norm(f"{name}.norm", x), d_out)

    def contrast(self, memory, patches, columns):
        size = self.config["contrastive"]
        d = self.encoder_size["d_model"]
        context = memory
        if size["predictor_layers"]:
            predictor = dict(self.encoder_size, n_layers=size["predictor_layers"])
            context = self.decoder("predictor", memory, predictor, d, columns)
        queries = self.linear("query_head", context, size["proj_dim"])
        known = self.linear("encoder.embed", patches, d)
        if size["keys"] == "content_and_position":
            known = known + self.places("encoder", d, columns)
        keys = self.linear("key_head", known.detach(), size["proj_dim"])
        return queries, keys.detach() if size["key_gradient"] == "none" else keys


def patchify(x, patch):
    """One spectrogram as [tokens, patch values]: windows that neither overlap nor leave a gap."""
    bins, frames = x.shape
    x = F.pad(x, (0, -frames % patch[1], 0, -bins % patch[0]))
    return F.unfold(x[None, None], kernel_size=patch, stride=patch)[0].T


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    spectrograms = numbers("input", [BATCH, BINS, FRAMES])
    cases, size = [], 0
    for name, config in CASES.items():
        net = Net(config)
        patch_len = math.prod(net.patch)
        rows, columns = -(-BINS // net.patch[0]), -(-FRAMES // net.patch[1])
        hidden = numbers("hidden", [BATCH, rows, columns]) > 0.1
        outputs, losses = dict(memory=[], features=[], pooled=[]), []
        for item, valid in enumerate(VALID_FRAMES):
            x = spectrograms[item, :, :valid]
            patches, real = patchify(x, net.patch), patchify(torch.ones_like(x), net.patch) > 0
            columns_here = -(-valid // net.patch[1])
            hidden_here = hidden[item, :, :columns_here].flatten()
            memory = net.encoder(patches, hidden_here, columns_here)
            with torch.no_grad():
                features = net.encoder(patches, None, columns_here)
            outputs["memory"].append(memory)
            outputs["features"].append(features)
            outputs["pooled"].append(features.mean(0))
            if "decoder" in config:
                predicted = net.decoder("decoder", memory, config["decoder"], patch_len, columns_here)
                target = patches.clone()
                if config["targets"] == "per_patch_normalized":
                    for i, of in enumerate(real):
                        true = patches[i, of]
                        target[i, of] = (true - true.mean()) / (true.var(correction=0) + 1e-6).sqrt()
                outputs.setdefault("predicted", []).append(predicted)
                scored = hidden_here[:, None] & real
                losses.append((predicted - target)[scored] ** 2)
            else:
                queries, keys = net.contrast(memory, patches, columns_here)
                outputs.setdefault("queries", []).append(queries)
                outputs.setdefault("keys", []).append(keys)
                losses.append((queries - keys)[hidden_here].flatten() ** 2)
        torch.cat([part.flatten() for part in losses]).mean().backward()
        parts = [torch.cat([part.detach().flatten() for part in item]) for item in outputs.values()]
        lengths = {key: len(part) for key, part in zip(outputs, parts)}
        for parameter in net.parameters.values():
            parts.append((torch.zeros_like(parameter) if parameter.grad is None else parameter.grad).flatten())
        values = torch.cat(parts).numpy().astype("<f4")
        (OUT / f"{name}.f32").write_bytes(values.tobytes())
        size += values.nbytes
        cases.append(dict(name=name, config=config, outputs=lengths,
                          parameters=[dict(name=n, shape=list(p.shape)) for n, p in net.parameters.items()]))
        print(name, len(net.parameters), "parameters,", values.nbytes, "bytes,", int(hidden.sum()), "of", hidden.numel(), "hidden,",
              {key: round(part.abs().max().item(), 2) for key, part in zip(outputs, parts)})
    golden = dict(torch=torch.__version__, shape=[BATCH, BINS, FRAMES], valid_frames=VALID_FRAMES, cases=cases,
                  sin_cos=dict(rows=3, columns=5, d_model=8, values=sincos_2d(8, 3, 5).flatten().tolist()))
    (OUT / "cases.json").write_text(json.dumps(golden) + "\n")
    print("total", size + (OUT / "cases.json").stat().st_size, "bytes")


main()
