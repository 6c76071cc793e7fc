"""An exported model without Rust: what `inversynth export RUN --out FILE.safetensors` writes, read and computed.

    python reference/exported.py FILE.safetensors                       prints what the file holds
    python reference/exported.py FILE.safetensors WAV...                prints parameters as `predict --json` does
    python reference/exported.py FILE.safetensors --check ROWS.jsonl    compares them with rows of `predict --json`

Needs Python 3.11 (tomllib), numpy and safetensors; made with Python 3.11.7, numpy 2.4.6 and safetensors 0.8.0. WAV files have
16-bit or 32-bit float samples at the model's sample rate; of
several channels the mean is taken. With --check and no WAV, the files that the rows name are read.

Everything is computed in float64 from the file alone: sound -> STFT -> log1p magnitude -> normalisation -> encoder (U-Net or
Transformer) and band networks -> pooling -> heads, and their weighted mean with a linear probe. Every tensor has to be read on the way, but for the vector that stands
for hidden patches: nothing is hidden here.

Tolerances of --check: positions 1e-3, since the program computes in float32 and a sum in another order differs by some 1e-6
per layer; classes are the same unless the two best logits are within 1e-3. Exits with 1 where they don't hold, and with 2
where the file or a sound can't be used.
"""

import argparse
import itertools
import json
import math
import pathlib
import struct
import sys
import tomllib

import numpy as np
from safetensors import SafetensorError, safe_open

POSITION_TOLERANCE = 1e-3
LOGIT_TOLERANCE = 1e-3
NORM_EPSILON = 1e-5
POOLING_EPSILON = 1e-5
BAND_GROUPS = 8
DESCRIBED_SEGMENTS = 8
LEAST_PROBABILITY = 1e-12
QUIET = 0.01  # Band networks and probe read loudness, log1p(magnitude / QUIET).
LARGEST_LOG1P = 10.0
PARAMETER_STAGES = ("finetune_parameters_autoencoder", "finetune_parameters_transformer")


class Unusable(Exception):
    """A file or a sound that can't be used, and why."""


class Weights:
    """The tensors below a name. What is read is taken off `unread`, which all parts of a model share."""

    def __init__(self, tensors, prefix="", unread=None):
        self.tensors, self.prefix = tensors, prefix
        self.unread = set(tensors) if unread is None else unread

    def __getitem__(self, name):
        name = self.prefix + name
        if name not in self.tensors:
            raise Unusable(f"the model has no tensor {name}")
        self.unread.discard(name)
        return self.tensors[name]

    def __contains__(self, name):
        name = self.prefix + name
        return any(key == name or key.startswith(name + ".") for key in self.tensors)

    def at(self, name):
        return Weights(self.tensors, f"{self.prefix}{name}.", self.unread)

    def each(self, name):
        """`name.0`, `name.1`, ... as far as there are any."""
        names = (f"{name}.{i}" for i in itertools.count())
        return [self.at(name) for name in itertools.takewhile(lambda name: name in self, names)]


class Model:
    """An exported file: metadata, the list of parameters, and the weights."""

    def __init__(self, path):
        try:
            with safe_open(path, framework="numpy") as file:
                metadata = file.metadata() or {}
                self.tensors = {name: file.get_tensor(name) for name in file.keys()}
            self.stage, self.step = metadata["stage"], int(metadata["step"])
            self.sample_rate_hz = int(metadata["sample_rate_hz"])
            self.stft = json.loads(metadata["stft"])
            self.normalization = json.loads(metadata["normalization"])
            self.experiment = tomllib.loads(metadata["experiment"])
            self.parameters = json.loads(metadata.get("parameters", "[]"))
        except KeyError as error:
            raise Unusable(f"{path}: its metadata have no {error}") from error
        except (OSError, SafetensorError, ValueError) as error:
            raise Unusable(f"{path}: {error}") from error
        self.continuous = [p["name"] for p in self.parameters if p["kind"] == "continuous"]
        self.classes = {p["name"]: p["classes"] for p in self.parameters if p["kind"] == "categorical"}
        clip = self.experiment["data"]["clip"]
        # Seconds are a float32, and a half is rounded up.
        self.clip_samples = math.floor(float(np.float32(clip["seconds"])) * clip["sample_rate_hz"] + 0.5)

    def describe(self):
        yield f"stage           {self.stage}, step {self.step}"
        yield f"sample rate     {self.sample_rate_hz} Hz, clips of {self.clip_samples} samples"
        n_fft, hop = self.stft["n_fft"], self.stft["hop_length"]
        yield f"STFT            n_fft {n_fft}, hop {hop}, Hann window of {window_length(self.stft)}"
        yield f"normalisation   (log1p magnitude - {self.normalization['mean']}) / {self.normalization['std']}"
        yield f"parameters      {len(self.continuous)} continuous, {len(self.classes)} categorical"
        for p in self.parameters:
            if p["kind"] == "continuous":
                what = f"{p['min']} to {p['max']} {p['unit']}, {p.get('curve', 'linear')}"
            else:
                what = ", ".join(p["classes"])
            yield f"  {p['name']:<28} {p['kind']:<12} {what}"
        yield f"tensors         {len(self.tensors)}, {sum(t.size for t in self.tensors.values())} values"
        for name, tensor in self.tensors.items():
            yield f"  {name:<60} {tensor.dtype} {list(tensor.shape)}"

    def estimate(self, sound):
        """Positions of the continuous parameters, and the logits of each categorical one."""
        if self.stage not in PARAMETER_STAGES:
            raise Unusable(f"a model of {self.stage} has no parameter heads")
        settings = self.experiment["stages"][self.stage]
        weights = Weights({name: tensor.astype(np.float64) for name, tensor in self.tensors.items()})
        x, valid = self.spectrogram(sound)
        if self.stage == "finetune_parameters_autoencoder":
            maps = unet_maps(weights.at("encoder"), self.experiment["unet"], x, valid)
        else:
            maps = transformer_maps(weights.at("encoder"), self.experiment["transformer"]["encoder"], x, valid)
        # A frozen encoder has none.
        loud = self.loudness(x, valid)
        if settings["encoder"] == "finetuned":
            networks = enumerate(settings["bands"])
            maps += [band_map(weights.at(f"bands.{i}"), shape, loud, valid) for i, shape in networks]
        features = np.concatenate([pooled(values, frames, settings["segments"]) for values, frames in maps])
        outputs = heads(weights.at("heads"), features)
        by_probe = linear(weights.at("linear"), summary_statistics(loud, valid)) if "linear" in weights else None
        unread = weights.unread - {"encoder.mask_token"}
        if unread:
            raise Unusable(f"the model has tensors that nothing reads: {', '.join(sorted(unread))}")
        counts = [len(self.continuous), *map(len, self.classes.values())]
        if len(outputs) != sum(counts):
            raise Unusable(f"the heads have {len(outputs)} outputs, and the parameters ask for {sum(counts)}")
        positions, *logits = np.split(outputs, np.cumsum(counts)[:-1])
        positions = sigmoid(positions)
        if by_probe is not None:
            share = settings["probe_share"]
            their_positions, *theirs = np.split(by_probe, np.cumsum(counts)[:-1])
            positions = (1.0 - share) * positions + share * np.clip(their_positions, 0.0, 1.0)
            means = ((1.0 - share) * softmax(own) + share * softmax(their) for own, their in zip(logits, theirs))
            logits = [np.log(np.maximum(mean, LEAST_PROBABILITY)) for mean in means]
        return positions, dict(zip(self.classes, logits))

    def spectrogram(self, sound):
        """Normalised log1p magnitudes of the sound's beginning, [bins, frames], 0 in the frames of padding; and how many
        frames are none."""
        n_fft, hop, win = self.stft["n_fft"], self.stft["hop_length"], window_length(self.stft)
        sound = sound[: self.clip_samples]
        frames, valid = (1 + (samples - n_fft % 2) // hop for samples in (self.clip_samples, len(sound)))
        clip = np.pad(sound, (0, self.clip_samples - len(sound)))
        window = np.zeros(n_fft)
        left = (n_fft - win) // 2
        window[left : left + win] = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(win) / win)
        extended = np.pad(clip, n_fft // 2, mode="reflect")
        pieces = np.lib.stride_tricks.sliding_window_view(extended, n_fft)[::hop][:valid]
        magnitude = np.abs(np.fft.rfft(pieces * window)).T
        x = np.zeros((n_fft // 2 + 1, frames))
        x[:, :valid] = (np.log1p(magnitude) - self.normalization["mean"]) / self.normalization["std"]
        return x, valid

    def loudness(self, x, valid):
        """What band networks read: 0 is silence, and so is padding."""
        log1p = np.clip(x * self.normalization["std"] + self.normalization["mean"], 0.0, LARGEST_LOG1P)
        magnitude = np.expm1(log1p)
        magnitude[:, valid:] = 0.0
        return np.log1p(magnitude / QUIET)


def window_length(stft):
    return stft.get("win_length") or stft["n_fft"]


# Layers. Feature maps are [..., channels, frames], tokens are [tokens, features].


def sigmoid(x):
    return np.where(x < 0.0, np.exp(np.minimum(x, 0.0)), 1.0) / (1.0 + np.exp(-np.abs(x)))


def silu(x):
    return x * sigmoid(x)


def gelu(x):
    return 0.5 * x * (1.0 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2.0)))


def softmax(x):
    weights = np.exp(x - x.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def conv1d(weights, x, padding, stride=1):
    """weight [c_out, c_in, kernel], bias [c_out]; zeros beyond both ends."""
    weight = weights["weight"]
    kernel = weight.shape[2]
    x = np.pad(x, [(0, 0)] * (x.ndim - 1) + [padding])
    frames = (x.shape[-1] - kernel) // stride + 1
    taps = (x[..., k : k + stride * (frames - 1) + 1 : stride] for k in range(kernel))
    return sum(weight[:, :, k] @ tap for k, tap in enumerate(taps)) + weights["bias"][:, None]


def same_conv1d(weights, x):
    reach = weights["weight"].shape[2] // 2
    return conv1d(weights, x, (reach, reach))


def group_norm(weights, x, groups):
    grouped = x.reshape(*x.shape[:-2], groups, -1)
    mean, variance = grouped.mean(axis=-1, keepdims=True), grouped.var(axis=-1, keepdims=True)
    normal = ((grouped - mean) / np.sqrt(variance + NORM_EPSILON)).reshape(x.shape)
    return normal * weights["gamma"][:, None] + weights["beta"][:, None]


def layer_norm(weights, x):
    mean, variance = x.mean(axis=-1, keepdims=True), x.var(axis=-1, keepdims=True)
    return (x - mean) / np.sqrt(variance + NORM_EPSILON) * weights["gamma"] + weights["beta"]


def linear(weights, x):
    """weight [d_in, d_out], bias [d_out]."""
    return x @ weights["weight"] + weights["bias"]


def attention(query, key, value, n_heads, visible=None):
    """softmax(q k^T / sqrt(d)) v of each head, over the visible keys; all are [tokens, features]."""

    def by_head(x):
        # Products of values that don't lie in order are slow.
        return np.ascontiguousarray(x.reshape(len(x), n_heads, -1).swapaxes(0, 1))

    q, k, v = by_head(query), by_head(key), by_head(value)
    scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[2])
    if visible is not None:
        scores = np.where(visible, scores, -np.inf)
    return (softmax(scores) @ v).swapaxes(0, 1).reshape(query.shape)


# The U-Net's way down.


def unet_maps(weights, unet, x, valid):
    """The feature map of each level and the bottleneck, each with its valid frames."""
    h, maps = same_conv1d(weights.at("stem"), x), []
    halves = weights.each("halve")
    for i, level in enumerate(weights.each("encoder")):
        h = unet_level(level, unet, h)
        maps.append(h)
        if i < len(halves):
            h = conv1d(halves[i].at("conv"), h, (1, 2 if h.shape[1] == 1 else 1), stride=2)
    maps.append(unet_level(weights.at("middle"), unet, h))
    all_frames = x.shape[1]
    return [(values, min(-(-valid * values.shape[1] // all_frames), values.shape[1])) for values in maps]


def unet_level(weights, unet, x):
    groups, attentions = unet["norm_groups"], weights.each("attention")
    for i, block in enumerate(weights.each("blocks")):
        if "Plain" in block:
            x = plain_block(block.at("Plain"), x, groups)
        else:
            x = residual_block(block.at("Residual"), x, groups)
        if i < len(attentions):
            x = frame_attention(attentions[i], x, groups, unet["attention_heads"])
    return x


def plain_block(weights, x, groups):
    for i in "12":
        x = silu(group_norm(weights.at(f"norm_{i}"), same_conv1d(weights.at(f"conv_{i}"), x), groups))
    return x


def residual_block(weights, x, groups):
    h = x
    for i in "12":
        h = same_conv1d(weights.at(f"conv_{i}"), silu(group_norm(weights.at(f"norm_{i}"), h, groups)))
    shortcut = same_conv1d(weights.at("shortcut"), x) if "shortcut" in weights else x
    return shortcut + h


def frame_attention(weights, x, groups, n_heads):
    qkv = same_conv1d(weights.at("qkv"), group_norm(weights.at("norm"), x, groups))
    mixed = attention(*np.split(qkv.T, 3, axis=1), n_heads)
    return x + same_conv1d(weights.at("out"), mixed.T)


# The Transformer's encoder.


def transformer_maps(weights, encoder, x, valid):
    """Tokens [row, column] as one feature map whose channels are (row, feature)."""
    (bins, frames), (height, width) = x.shape, (encoder["patch_bins"], encoder["patch_frames"])
    rows, columns, valid_columns = -(-bins // height), -(-frames // width), -(-valid // width)
    x = np.pad(x, ((0, rows * height - bins), (0, columns * width - frames)))
    patches = x.reshape(rows, height, columns, width).swapaxes(1, 2).reshape(rows * columns, height * width)
    h = linear(weights.at("embed"), patches) + token_positions(weights, encoder, rows, columns)
    visible = np.tile(np.arange(columns) < valid_columns, rows)
    for block in weights.each("blocks"):
        h = transformer_block(block, h, encoder["n_heads"], visible)
    h = layer_norm(weights.at("norm"), h).reshape(rows, columns, -1)
    return [(h.swapaxes(1, 2).reshape(-1, columns), valid_columns)]


def token_positions(weights, encoder, rows, columns):
    if encoder["position"] == "learned":
        table = weights["positions.table"][:, :columns]
    else:
        quarter = encoder["d_model"] // 4
        waves = 10_000.0 ** (-np.arange(quarter) / quarter)
        by_place = (np.arange(n)[:, None] * waves for n in (columns, rows))
        of_columns, of_rows = (np.concatenate([np.sin(a), np.cos(a)], axis=1) for a in by_place)
        table = np.concatenate(np.broadcast_arrays(of_columns[None], of_rows[:, None]), axis=2)
    return table.reshape(rows * columns, -1)


def transformer_block(weights, x, n_heads, visible):
    own = weights.at("self_attention")
    query, key, value = np.split(layer_norm(weights.at("self_norm"), x) @ own["query_key_value"], 3, axis=1)
    mixed = attention(query + own["query_bias"], key, value + own["value_bias"], n_heads, visible)
    x = x + linear(own.at("out"), mixed)
    h = gelu(linear(weights.at("ff_in"), layer_norm(weights.at("ff_norm"), x)))
    return x + linear(weights.at("ff_out"), h)


# Band networks, heads and linear probe.


def band_map(weights, shape, loudness, valid):
    """The mean over bands of a network that reads each of them alike."""
    n_bins, step = len(loudness), shape["step"]
    width = min(shape["bins"] or n_bins, n_bins)
    n_bands = 1 + -(-(n_bins - width) // step)
    loudness = np.pad(loudness, ((0, width + (n_bands - 1) * step - n_bins), (0, 0)))
    h = np.stack([loudness[k * step : k * step + width] for k in range(n_bands)])
    for layer in weights.each("layers"):
        h = silu(group_norm(layer.at("norm"), conv1d(layer.at("conv"), h, (1, 1), stride=2), BAND_GROUPS))
        valid = -(-valid // 2)
    return h.mean(axis=0), valid


def pooled(values, valid, segments):
    """The mean of each channel in each segment of the map, then its standard deviation; padding is left out."""
    channels, frames = values.shape
    means = np.zeros((channels, segments))
    for s in range(segments):
        first, end = s * frames // segments, min((s + 1) * frames // segments, valid)
        if first < end:
            means[:, s] = values[:, first:end].mean(axis=1)
    deviation = np.sqrt(values[:, :valid].var(axis=1) + POOLING_EPSILON)
    return np.concatenate([means.ravel(), deviation])


def summary_statistics(loudness, valid):
    """Levels in pieces of the clip and their deviation, and how each bin rises and falls from frame to frame."""
    change = np.diff(loudness, axis=1, prepend=loudness[:, :1])
    levels = pooled(loudness, valid, DESCRIBED_SEGMENTS)
    changes = [pooled(np.maximum(of, 0.0), valid, 1) for of in (change, -change)]
    return np.concatenate([levels, *changes])


def heads(weights, features):
    h = layer_norm(weights.at("norm"), features)
    if "hidden" in weights:
        h = gelu(linear(weights.at("hidden"), h))
    return linear(weights.at("output"), h)


# Sounds and rows.


def read_wav(path, sample_rate_hz):
    """Samples of a WAV file, the mean of its channels. Not every Python's module `wave` reads float samples."""
    try:
        data = pathlib.Path(path).read_bytes()
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from error
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise Unusable(f"{path} is no WAV file")
    chunks, at = {}, 12
    while at + 8 <= len(data):
        name, size = struct.unpack_from("<4sI", data, at)
        chunks.setdefault(name, data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    if len(chunks.get(b"fmt ", b"")) < 16 or not chunks.get(b"data"):
        raise Unusable(f"{path} is a WAV file without format or samples")
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", chunks[b"fmt "])
    if kind == 0xFFFE:  # The kind stands in the extension.
        (kind,) = struct.unpack_from("<H", chunks[b"fmt "].ljust(26, b"\0"), 24)
    if rate != sample_rate_hz:
        raise Unusable(f"{path} has {rate} Hz and the model {sample_rate_hz}: resample it first")
    if (kind, bits) not in [(1, 16), (3, 32)]:
        raise Unusable(f"{path}: expected 16-bit or 32-bit float samples, got kind {kind} of {bits} bits")
    sample, scale = (np.dtype("<i2"), 32768.0) if kind == 1 else (np.dtype("<f4"), 1.0)
    frame = sample.itemsize * channels
    if not channels or len(chunks[b"data"]) < frame:
        raise Unusable(f"{path} has no samples")
    samples = np.frombuffer(chunks[b"data"][: len(chunks[b"data"]) // frame * frame], sample)
    return samples.reshape(-1, channels).astype(np.float64).mean(axis=1) / scale


def read_rows(path):
    try:
        rows = [json.loads(line) for line in pathlib.Path(path).read_text().splitlines() if line.strip()]
        rows = {row["path"]: (row["cont"], row["cat"]) for row in rows}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise Unusable(f"{path}: not rows of `predict --json`: {error!r}") from error
    if not rows:
        raise Unusable(f"{path} has no rows")
    return rows


def compare(file, cont, cat, logits, row):
    """Faults of one row, its largest deviation, and how many classes differ between logits that are nearly equal."""
    their_cont, their_cat = row
    if cont.keys() != their_cont.keys() or cat.keys() != their_cat.keys():
        names = sorted((cont.keys() ^ their_cont.keys()) | (cat.keys() ^ their_cat.keys()))
        return [f"{file}: only one side has {', '.join(names)}"], math.inf, 0
    faults, largest, ties = [], 0.0, 0
    for name, here in cont.items():
        deviation = abs(here - their_cont[name])
        largest = max(largest, deviation)
        # Not `>`, which is false for NaN.
        if not deviation <= POSITION_TOLERANCE:
            faults.append(f"{file}: {name} is {here:.6f} here and {their_cont[name]:.6f} in the rows")
    for name, here in cat.items():
        best, second = np.sort(logits[name])[::-1][:2]
        if here != their_cat[name]:
            # One of the two best, and no other class.
            if their_cat[name] in np.argsort(logits[name])[-2:] and best - second <= LOGIT_TOLERANCE:
                ties += 1
            else:
                classes = f"{name} is {here} here and {their_cat[name]} in the rows"
                faults.append(f"{file}: {classes}; logits {logits[name].round(4)}")
    return faults, largest, ties


def run(arguments):
    model = Model(arguments.file)
    rows = read_rows(arguments.check) if arguments.check else {}
    files = arguments.wavs or list(rows)
    if not files:
        print("\n".join(model.describe()))
        return 0
    faults, largest, ties, estimates = [], 0.0, 0, []
    for file in files:
        positions, logits = model.estimate(read_wav(file, model.sample_rate_hz))
        cont = dict(zip(model.continuous, positions.tolist()))
        cat = {name: int(values.argmax()) for name, values in logits.items()}
        if not arguments.check:
            print(json.dumps({"path": file, "cont": cont, "cat": cat}))
            continue
        if file not in rows:
            raise Unusable(f"{arguments.check} has no row whose path is {file}")
        of_file, deviation, tied = compare(file, cont, cat, logits, rows[file])
        faults, largest, ties = faults + of_file, max(largest, deviation), ties + tied
        estimates.append(np.concatenate([positions, *logits.values()]))
    if arguments.check:
        for fault in faults:
            print(f"error: {fault}", file=sys.stderr)
        counts = f"{len(files)} sounds, {len(model.continuous)} positions and {len(model.classes)} classes each"
        print(f"{counts}: {len(faults)} differ; positions by up to {largest:.1e}, {ties} classes of nearly equal logits;")
        # Heads that say the same of every sound agree whatever comes before them.
        print(f"between sounds, positions and logits differ by up to {np.ptp(estimates, axis=0).max():.1e}")
    return 1 if faults else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Reads a model that `inversynth export` has written.")
    parser.add_argument("file", metavar="FILE", help="what `inversynth export` has written")
    parser.add_argument("wavs", metavar="WAV", nargs="*", help="sounds at the model's sample rate")
    parser.add_argument("--check", metavar="ROWS", help="what `inversynth predict --run FILE --json WAV...` has printed")
    try:
        sys.exit(run(parser.parse_args()))
    except Unusable as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
