"""PyTorch's side of `cargo xtask bench --peer`: one benchmark case in this process.

    pip install torch            (any 2.x; made with 2.15)
    python peer/torch_peer.py '{"name": "attention", "pass": "step", "work": {"kind": "attention",
        "batch": 8, "heads": 8, "tokens": 512, "head_dim": 32}}' '{... "tokens": 4 ...}' --threads 2 --repeats 3

The first argument is a case as `src/case.rs` writes it, with all sizes and settings. The second is the same case with tiny
sizes, which runs once before anything is measured. Prints one line of JSON: the number of parameters, the milliseconds of
each timed call, the value that both sides compare, the peak of memory, the version.

Pass "forward" is inference under no_grad. Pass "step" is forward, mean squared error (of attention: the sum), backward and,
for a network, fused AdamW. Networks are those of the crates `unet1d` and `transformer`, layer by layer. The numbers of
parameters must agree, and so must the output of a tiny network with weights by a formula. Work without parameters computes
on data by a formula; its mean absolute output, or gradient, must agree.

Memory is the largest resident set while data and model are made and all calls are done, above what the process held before.
By then libraries are loaded and the tiny case has run, so that code and threads don't count. It is read from Linux's /proc
and is null elsewhere.
"""

import argparse
import json
import math
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

# Short work is repeated for this long, and long work for no longer; as in src/bin/peer/measure.rs.
AT_LEAST_S, AT_MOST_S = 1.0, 30.0
# Speed doesn't depend on it.
LR = 1e-4
# PyTorch's fastest on the CPU, since 2.4; its default is a loop over the parameters.
FUSED_ADAMW = True


def noise(*shape, stream=0):
    """Values in 0..1 by a hash of their places and of the stream, as in src/formula.rs."""
    values = torch.empty(math.prod(shape))
    # In pieces, so that the integers take little memory.
    for start in range(0, len(values), 1 << 16):
        place = torch.arange(start, min(start + (1 << 16), len(values)))
        h = (place * 2_654_435_761 + stream * 40_503) & 0xFFFFFFFF
        h ^= h >> 16
        h = (h * 2_246_822_519) & 0xFFFFFFFF
        h ^= h >> 13
        values[start : start + len(place)] = (h >> 8).float() / (1 << 24)
    return values.view(shape)


# ---------------------------------------------------------------------------------------------------------------- U-Net


def same_conv(c_in, c_out, taps):
    return nn.Conv1d(c_in, c_out, taps, padding=taps // 2)


class PlainBlock(nn.Module):
    def __init__(self, c_in, c_out, groups):
        super().__init__()
        self.conv_1, self.norm_1 = same_conv(c_in, c_out, 3), nn.GroupNorm(groups, c_out)
        self.conv_2, self.norm_2 = same_conv(c_out, c_out, 3), nn.GroupNorm(groups, c_out)

    def forward(self, x):
        h = F.silu(self.norm_1(self.conv_1(x)))
        return F.silu(self.norm_2(self.conv_2(h)))


class ResidualBlock(nn.Module):
    def __init__(self, c_in, c_out, groups):
        super().__init__()
        self.norm_1, self.conv_1 = nn.GroupNorm(groups, c_in), same_conv(c_in, c_out, 3)
        self.norm_2, self.conv_2 = nn.GroupNorm(groups, c_out), same_conv(c_out, c_out, 3)
        self.shortcut = nn.Identity() if c_in == c_out else same_conv(c_in, c_out, 1)

    def forward(self, x):
        h = self.conv_1(F.silu(self.norm_1(x)))
        h = self.conv_2(F.silu(self.norm_2(h)))
        return self.shortcut(x) + h


MIDDLE_BLOCKS = 2


class UNet(nn.Module):
    def __init__(self, c):
        super().__init__()
        if c["attention_levels"]:
            raise SystemExit("a U-Net with attention is not supported: clear unet.attention_levels")
        kind = {"plain": PlainBlock, "residual": ResidualBlock}[c["block"]]
        bins, base, groups, blocks = c["in_channels"], c["base_channels"], c["norm_groups"], c["blocks_per_level"]
        channels = [base * mult for mult in c["channel_mults"]]

        def level(c_in, c_out, n_blocks):
            return nn.Sequential(*[kind(c_in if i == 0 else c_out, c_out, groups) for i in range(n_blocks)])

        self.stem = same_conv(bins, base, 3)
        self.encoder = nn.ModuleList(level(c_in, c_out, blocks) for c_in, c_out in zip([base] + channels, channels))
        self.down = nn.ModuleList(nn.Conv1d(c, c, 4, stride=2, padding=1) for c in channels[:-1])
        self.middle = level(channels[-1], channels[-1], MIDDLE_BLOCKS)
        self.up = nn.ModuleList(nn.ConvTranspose1d(c, c, 4, stride=2, padding=1) for c in channels[1:])
        below = channels[1:] + channels[-1:]
        self.decoder = nn.ModuleList(level(under + c_out, c_out, blocks) for under, c_out in zip(below, channels))
        self.head_norm = nn.GroupNorm(groups, channels[0])
        self.head = same_conv(channels[0], bins, 3)

    def forward(self, x):
        h, skips = self.stem(x), []
        for i, level in enumerate(self.encoder):
            h = level(h)
            skips.append(h)
            if i < len(self.down):
                h = self.down[i](h)
        h = self.middle(h)
        for i in reversed(range(len(self.decoder))):
            if i < len(self.up):
                h = self.up[i](h)
                # A level with an odd number of frames gets its last one back as zeros.
                h = F.pad(h, (0, skips[i].shape[-1] - h.shape[-1]))
            h = self.decoder[i](torch.cat([h, skips[i]], 1) * math.sqrt(0.5))
        return self.head(F.silu(self.head_norm(h)))


# ---------------------------------------------------------------------------------------------------------- Transformer


class CrossAttention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.query, self.key, self.value, self.out = (nn.Linear(d, d, bias=name != "key") for name in ("query", "key", "value", "out"))

    def forward(self, x, memory):
        batch, tokens, d = x.shape
        heads = lambda y: y.view(batch, -1, self.heads, d // self.heads).transpose(1, 2)
        mixed = F.scaled_dot_product_attention(heads(self.query(x)), heads(self.key(memory)), heads(self.value(memory)))
        return self.out(mixed.transpose(1, 2).reshape(batch, tokens, d))


class Block(nn.Module):
    """Pre-norm, exact GELU, keys without a bias, on the fused attention of PyTorch."""

    def __init__(self, c, reads=False):
        super().__init__()
        if reads:
            self.cross_norm, self.cross = nn.LayerNorm(c["d_model"]), CrossAttention(c["d_model"], c["n_heads"])
        d, self.heads = c["d_model"], c["n_heads"]
        self.self_norm, self.ff_norm = nn.LayerNorm(d), nn.LayerNorm(d)
        self.query_key_value = nn.Linear(d, 3 * d, bias=False)
        self.query_bias, self.value_bias = nn.Parameter(torch.zeros(d)), nn.Parameter(torch.zeros(d))
        self.out = nn.Linear(d, d)
        self.ff_in, self.ff_out = nn.Linear(d, c["d_ff"]), nn.Linear(c["d_ff"], d)
        self.dropout = nn.Dropout(c["dropout"])

    def forward(self, x, memory=None):
        batch, tokens, d = x.shape
        h = self.self_norm(x)
        bias = torch.cat([self.query_bias, torch.zeros_like(self.query_bias), self.value_bias])
        h = F.linear(h, self.query_key_value.weight, bias)
        query, key, value = h.view(batch, tokens, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        mixed = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).reshape(batch, tokens, d)
        x = x + self.dropout(self.out(mixed))
        if memory is not None:
            x = x + self.dropout(self.cross(self.cross_norm(x), memory))
        return x + self.dropout(self.ff_out(F.gelu(self.ff_in(self.ff_norm(x)))))


def sin_cos(rows, columns, d):
    def waves(n):
        angle = torch.arange(n)[:, None] * 10_000.0 ** (-torch.arange(d // 4) / (d // 4))
        return torch.cat([angle.sin(), angle.cos()], 1)

    of_columns, of_rows = waves(columns), waves(rows)
    return torch.cat([of_columns[None].expand(rows, -1, -1), of_rows[:, None].expand(-1, columns, -1)], 2)


class Encoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        rows, columns = (-(-c[size] // c[patch]) for size, patch in (("bins", "patch_bins"), ("max_frames", "patch_frames")))
        d = c["d_model"]
        self.embed = nn.Linear(c["patch_bins"] * c["patch_frames"], d)
        if c["tokens"] == "all":
            self.mask_token = nn.Parameter(torch.randn(d) * 0.02)
        if c["position"] != "sin_cos":
            raise SystemExit("learned positions are not supported")
        self.register_buffer("positions", sin_cos(rows, columns, d).flatten(0, 1))
        self.dropout = nn.Dropout(c["dropout"])
        self.blocks = nn.ModuleList(Block(c) for _ in range(c["n_layers"]))
        self.norm = nn.LayerNorm(d)
        self.visible_only = c["tokens"] == "visible"

    def forward(self, patches, hidden, kept):
        if self.visible_only:
            batch, places = kept.shape
            seen = patches.gather(1, kept[:, :, None].expand(-1, -1, patches.shape[2]))
            x = self.embed(seen) + self.positions[kept.flatten()].view(batch, places, -1)
        else:
            x = torch.where(hidden[:, :, None], self.mask_token, self.embed(patches)) + self.positions
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x)
        return self.norm(x)


class Masked(nn.Module):
    """Encoder and decoder; the decoder has a query for every place, made of its position."""

    def __init__(self, w):
        super().__init__()
        c, encoder = w["decoder"], w["encoder"]
        d, self.encoder = c["d_model"], encoder_of(w)
        rows, columns = (-(-size // encoder[patch]) for size, patch in ((encoder["bins"], "patch_bins"), (w["frames"], "patch_frames")))
        self.embed, self.mask_token = nn.Linear(encoder["d_model"], d), nn.Parameter(torch.randn(d) * 0.02)
        self.register_buffer("positions", sin_cos(rows, columns, d).flatten(0, 1))
        self.dropout = nn.Dropout(c["dropout"])
        self.blocks = nn.ModuleList(Block(c, reads=True) for _ in range(c["n_layers"]))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, encoder["patch_bins"] * encoder["patch_frames"])

    def forward(self, patches, hidden, kept):
        memory = self.embed(self.encoder(patches, hidden, kept))
        x = self.dropout((self.positions + self.mask_token).expand(len(patches), -1, -1))
        for block in self.blocks:
            x = block(x, memory)
        return self.head(self.norm(x))


# ------------------------------------------------------------------------------------------------------------------ work


def trained(model, inputs, target, optimizer, is_step):
    """A call of a network, and its number of parameters."""
    if is_step:
        return training_step(model, optimizer, lambda: F.mse_loss(model(*inputs), target))
    model.eval()

    def forward():
        with torch.no_grad():
            model(*inputs)

    return forward, count(model)


def training_step(model, optimizer, loss_of):
    decayed = [p for p in model.parameters() if p.ndim > 1]
    undecayed = [p for p in model.parameters() if p.ndim == 1]
    groups = [{"params": decayed, "weight_decay": optimizer["weight_decay"]}, {"params": undecayed, "weight_decay": 0.0}]
    betas = (optimizer["beta_1"], optimizer["beta_2"])
    adamw = torch.optim.AdamW(groups, lr=LR, betas=betas, eps=optimizer["epsilon"], fused=FUSED_ADAMW)

    def step():
        adamw.zero_grad()
        loss = loss_of()
        loss.backward()
        adamw.step()
        assert math.isfinite(loss.item())

    return step, count(model)


def count(model):
    return sum(p.numel() for p in model.parameters())


def unet(w, is_step):
    x = noise(w["batch"], w["model"]["in_channels"], w["frames"])
    return trained(UNet(w["model"]), [x], x, w["optimizer"], is_step)


def patches_of(w):
    """Random patches, which of them are hidden, and the places of the others."""
    c = w["encoder"]
    tokens = -(-c["bins"] // c["patch_bins"]) * -(-w["frames"] // c["patch_frames"])
    patches = noise(w["batch"], tokens, c["patch_bins"] * c["patch_frames"])
    # As many tokens of each item, evenly spread, in each item at other places.
    hidden = (torch.arange(tokens)[None] + torch.arange(w["batch"])[:, None]) * w["hidden"] % tokens < w["hidden"]
    return patches, hidden, (~hidden).nonzero()[:, 1].view(w["batch"], -1)


def encoder_of(w):
    return Encoder({**w["encoder"], "max_frames": w["frames"]})


def transformer(w, is_step):
    patches, hidden, kept = patches_of(w)
    places = kept.shape[1] if w["encoder"]["tokens"] == "visible" else patches.shape[1]
    target = noise(w["batch"], places, w["encoder"]["d_model"], stream=1)
    return trained(encoder_of(w), [patches, hidden, kept], target, w["optimizer"], is_step)


class Contrastive(nn.Module):
    """Encoder and two heads; the head of the keys reads the detached embedding of each patch."""

    def __init__(self, w):
        super().__init__()
        heads = w["heads"]
        if heads["predictor_layers"] or heads["keys"] != "content" or heads["key_gradient"] != "head":
            raise SystemExit("a predictor, positions in keys and fixed keys are not supported")
        self.encoder = encoder_of(w)
        self.query_head, self.key_head = (nn.Linear(w["encoder"]["d_model"], heads["proj_dim"]) for _ in range(2))

    def forward(self, patches, hidden, kept):
        context = self.encoder(patches, hidden, kept)
        return self.query_head(context), self.key_head(self.encoder.embed(patches).detach())


def contrastive_training(w, is_step):
    assert is_step, "contrast is measured by whole steps"
    patches, hidden, kept = patches_of(w)
    model, items = Contrastive(w), hidden.nonzero()
    places = items[:, 1].view(w["batch"], w["hidden"])

    def loss():
        queries, keys = model(patches, hidden, kept)
        return contrast(queries, keys, patches, places, w["loss"])

    return training_step(model, w["optimizer"], loss)


def masked_training(w, is_step):
    inputs = patches_of(w)
    return trained(Masked(w), inputs, inputs[0], w["optimizer"], is_step)


# Work without parameters returns its output, or the gradient that the other side returns.


def differentiated(operands, of, is_step):
    """`of(*operands)`, or the gradient of its sum by the first of them; those of the others are computed, too."""
    if not is_step:
        with torch.no_grad():
            return of(*operands)
    for operand in operands:
        operand.grad = None
        operand.requires_grad_()
    of(*operands).sum().backward()
    return operands[0].grad


def attention(w, is_step):
    shape = (w["batch"], w["heads"], w["tokens"], w["head_dim"])
    operands = [noise(*shape, stream=stream) for stream in range(3)]
    return lambda: differentiated(operands, F.scaled_dot_product_attention, is_step), 0


def layer(w, is_step):
    c, (batch, channels, features) = w["layer"], w["shape"]
    name, x = c["name"], noise(*w["shape"])
    vectors = lambda *shape: [noise(*shape, stream=1), noise(shape[0], stream=2)]
    if name == "gelu":
        return lambda: differentiated([x], F.gelu, is_step), 0
    if name == "conv1d":
        parameters = vectors(c["out"], channels, c["taps"])
        of = lambda weight, bias, x: F.conv1d(x, weight, bias, padding=c["taps"] // 2)
    elif name == "linear":
        # Its matrix lies the other way round here.
        parameters = [noise(features, c["out"], stream=1).T.contiguous(), noise(c["out"], stream=2)]
        of = lambda weight, bias, x: F.linear(x, weight, bias)
    elif name == "layer_norm":
        parameters, of = vectors(features), lambda weight, bias, x: F.layer_norm(x, [features], weight, bias)
    else:
        parameters = vectors(channels)
        of = lambda weight, bias, x: F.silu(F.group_norm(x, c["groups"], weight, bias))
    return lambda: differentiated([*parameters, x], of, is_step), 0


def stft(w, is_step):
    x, window = noise(w["clips"], w["samples"]) * 2 - 1, torch.hann_window(w["n_fft"])

    def call():
        with torch.no_grad():
            return torch.log1p(torch.stft(x, w["n_fft"], w["hop_length"], window=window, return_complex=True).abs())

    return call, 0


def contrast(queries, keys, content, places, c):
    """InfoNCE of the tokens at `places`, as many in each item, on the dense matrix of cosines.

    Negatives are all tokens of the batch, or those of the same item at `places`, by one batched product. Tokens with the
    same content as the query's positive are left out.
    """
    batch, tokens, _ = queries.shape
    of_clip = c["negatives"]["from"] == "clip"
    rows = torch.arange(batch)[:, None]
    asked, asked_content = queries[rows, places], content[rows, places]
    if of_clip:
        keys, content = keys[rows, places], asked_content
        own = torch.arange(places.shape[1]).expand(batch, -1)
    else:
        asked, asked_content, keys, content = (x.reshape(1, -1, x.shape[2]) for x in (asked, asked_content, keys, content))
        own = (rows * tokens + places).reshape(1, -1)
    logits = (F.normalize(asked, dim=2) / c["temperature"]) @ F.normalize(keys, dim=2).mT
    # |a - b|^2 <= same^2 (|a|^2 + |b|^2) / 2, as the sign of one product.
    half, size = (1 - c["same_content"] ** 2 / 2) / 2, lambda x: x.square().sum(2, keepdim=True)
    asked_content = torch.cat([asked_content, -half * size(asked_content), torch.full_like(asked_content[:, :, :1], -half)], 2)
    content = torch.cat([content, torch.ones_like(content[:, :, :1]), size(content)], 2)
    same = asked_content @ content.mT >= 0
    same.scatter_(2, own[:, :, None], False)
    return F.cross_entropy(logits.masked_fill_(same, float("-inf")).flatten(0, 1), own.flatten())


def infonce(w, is_step):
    shape = w["batch"], w["tokens"], w["features"]
    queries, keys, content = (noise(*shape, stream=stream) for stream in range(3))
    queries.requires_grad_()
    # The first tokens of each item are the hidden ones.
    places = torch.arange(w["hidden"]).expand(w["batch"], -1)

    def call():
        queries.grad = None
        contrast(queries, keys, content, places, w["loss"]).backward()
        return queries.grad

    return call, 0


def multi_resolution(w, is_step):
    """Spectral convergence of each item and L1 of logarithms, of magnitudes by torch.stft on the whole batch."""
    prediction, target = (noise(w["batch"], w["samples"], stream=stream) * 0.2 - 0.1 for stream in range(2))
    c = w["loss"]
    windows = [torch.hann_window(r["win_length"]) for r in c["resolutions"]]

    def magnitude(sound, r, window):
        sizes = r["n_fft"], r["hop_length"], r["win_length"]
        power = torch.view_as_real(torch.stft(sound, *sizes, window=window, return_complex=True)).square().sum(-1)
        return power.clamp_min(1e-14).sqrt()

    def call():
        sound, loss = prediction.detach().requires_grad_(), 0
        for r, window in zip(c["resolutions"], windows):
            x, y = magnitude(sound, r, window), magnitude(target, r, window)
            convergence = (x - y).flatten(1).norm(dim=1) / (y.flatten(1).square().sum(1) + 1e-6).sqrt()
            logs = ((x + 1e-5).log() - (y + 1e-5).log()).abs().flatten(1).mean(1)
            loss = loss + (convergence + logs).mean() / len(windows)
        loss.backward()
        return sound.grad

    return call, 0


def product(w, is_step):
    a, b = (noise(w["size"], w["size"], stream=stream) for stream in range(2))

    def call():
        with torch.no_grad():
            return a @ b

    return call, 0


KINDS = unet, transformer, contrastive_training, masked_training, layer, attention, stft, infonce, multi_resolution, product
WORK = {f.__name__: f for f in KINDS}


# ------------------------------------------------------------------------------------------------------------ measurement


def formula_weights(shape):
    """Weights that follow from their places, the same for a weight and its transpose; as in src/formula.rs."""
    places = sum(torch.arange(size, dtype=torch.double).view(-1, *[1] * (len(shape) - 1 - axis)) for axis, size in enumerate(shape))
    wave = (0.7 * (places + 1)).sin()
    return 1 + 0.1 * wave if sum(size > 1 for size in shape) < 2 else wave / math.sqrt(math.prod(shape))


def formula_output(w):
    """The mean absolute output of a network with weights by the formula; of a contrastive one, its loss."""
    if w["kind"] == "unet":
        model, inputs = UNet(w["model"]), [noise(w["batch"], w["model"]["in_channels"], w["frames"])]
    else:
        # With one column of patches, they lie as the bins of the spectrogram do.
        model, inputs = {"transformer": encoder_of, "contrastive_training": Contrastive, "masked_training": Masked}[w["kind"]](w), patches_of(w)
    model.eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(formula_weights(parameter.shape))
        output = model(*inputs)
        if w["kind"] == "contrastive_training":
            places = inputs[1].nonzero()[:, 1].view(w["batch"], -1)
            output = contrast(*output, inputs[0], places, w["loss"])
    return magnitude(output)


def magnitude(values):
    return values.double().abs().mean().item()


def reset_peak():
    """Resets the peak to what is resident now, and returns that; None where the system can't."""
    try:
        with open("/proc/self/clear_refs", "w") as f:
            f.write("5")
    except OSError:
        return None
    return peak()


def peak():
    with open("/proc/self/status") as f:
        return next(int(line.split()[1]) * 1024 for line in f if line.startswith("VmHWM:"))


def wants_more(calls, elapsed_s, repeats):
    too_few = calls < repeats and elapsed_s < AT_MOST_S
    return calls == 0 or too_few or elapsed_s < AT_LEAST_S


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("case", type=json.loads, help="a case as JSON")
    parser.add_argument("tiny", type=json.loads, help="the same with tiny sizes")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    torch.manual_seed(0)
    work, tiny = arguments.case["work"], arguments.tiny["work"]
    make, is_step = WORK[work["kind"]], arguments.case["pass"] == "step"
    # Loads code and starts threads, neither of which belongs to the work.
    make(tiny, is_step)[0]()

    baseline = reset_peak()
    call, parameters = make(work, is_step)
    call()
    times_ms, start = [], time.perf_counter()
    while wants_more(len(times_ms), time.perf_counter() - start, arguments.repeats):
        begin = time.perf_counter()
        call()
        times_ms.append((time.perf_counter() - begin) * 1e3)
    peak_bytes = None if baseline is None else max(0, peak() - baseline)
    # After the peak: the check takes memory.
    value = formula_output(tiny) if parameters else magnitude(call())
    print(json.dumps({"parameters": parameters, "times_ms": times_ms, "value": value, "peak_bytes": peak_bytes,
                      "version": f"torch {torch.__version__}"}))


main()
