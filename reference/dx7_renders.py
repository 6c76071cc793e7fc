"""A labelled folder of renders of a DX7: one-second sounds of random patches, and what the patches were.

    python reference/dx7_renders.py --count N --seed S --out DIR    writes DIR/audio/*.wav, DIR/manifest.jsonl, DIR/params.json
    python reference/dx7_renders.py --check DIR                     renders the rows of DIR/manifest.jsonl again and compares

Needs Python 3.11 and `pip install dexed-py==0.3.0 numpy soundfile`; made with numpy 2.4.6 and soundfile 0.14.0. A sound takes
about a millisecond. --check prints how many rows have identical samples and the worst correlation, and exits with 1 where any
differ. `--count 1200 --seed 7` makes the 1,200 renders of docs/dx7.md; other seeds make fresh ones.

What is drawn, one row after the other from numpy's default_rng: 13 values uniform in 0..1, rounded to float32, then a class for
each of the 4 categories. No patch is rejected: with these ranges none is silent.

How values become a voice (dexed's Preset, whose unit ranges are rounded to the DX7's 0..99, 0..14 or 0..7):

    op2_level, op3_level        output level 0.55..0.95; op4_level 0.45..0.95; op6_level 0.5..0.95
    carrier_attack_rate         rate 1 of operators 1 and 3, 0.4..1; carrier_decay_rate their rate 2, 0.2..0.8
    modulator_decay_rate        rate 2 of operators 2, 4, 5 and 6, 0.2..0.9
    modulator_sustain_level     levels 2 and 3 of these, 0.5..1
    feedback, op1_detune, lfo_speed, lfo_pitch_depth, lfo_amp_depth    the whole range

"Carrier" and "modulator" name the same operators in every algorithm, though some of them then play the other part.

What is fixed: operators 1 and 5 have output levels 0.95 and 0.6; the ratios are 1 for operators 1, 3 and 6 and 2 for operator 5.
Envelopes of operators 1 and 3 go to levels 1, 0.8, 0.9, 0 with rates 3 and 4 of 0.7 and 0.6; those of the others rise to level 1
at rate 0.8 and fall to 0 at 0.6. The LFO starts with the note, without delay, at pitch sensitivity 3; its amplitude depth
reaches operator 1 alone, at sensitivity 2. The rest is Preset's default: oscillators start with the note, no sensitivity to
velocity, no scaling over the keyboard, a flat pitch envelope.

The synth renders at 16,384 Hz itself, key 60 at velocity 127, held for 0.9 s of 1 s. A sound with a peak above 0.99 is divided by
1.01 times its peak, others stay as loud as they are; all are rounded to 16 bits in float32.
"""

import argparse
import hashlib
import json
import pathlib
import sys

import numpy as np
import soundfile as sf
from dexed import DexedSynth, Preset

SAMPLE_RATE = 16384
NOTE, VELOCITY = 60, 127
NOTE_S, RENDER_S = 0.9, 1.0
LOUDEST = np.float32(0.99)
HEADROOM = np.float32(1.01)

CONTINUOUS = [
    "feedback", "op2_level", "op3_level", "op4_level", "op6_level", "carrier_attack_rate", "carrier_decay_rate",
    "modulator_decay_rate", "modulator_sustain_level", "op1_detune", "lfo_speed", "lfo_pitch_depth", "lfo_amp_depth",
]
RATIOS = ["0.5", "1", "2", "3", "4", "5", "6", "7"]  # A class's index is the DX7's coarse frequency.
CATEGORICAL = {
    "algorithm": ["alg1", "alg4", "alg5", "alg7", "alg11", "alg19", "alg22", "alg32"],
    "op2_ratio": RATIOS,
    "op4_ratio": RATIOS,
    "lfo_wave": ["triangle", "saw_down", "saw_up", "square", "sine"],
}


def draw(rng):
    """A random patch: positions by name, class indices by name."""
    positions = rng.random(len(CONTINUOUS)).astype(np.float32)
    classes = {name: int(rng.integers(len(names))) for name, names in CATEGORICAL.items()}
    return dict(zip(CONTINUOUS, positions.tolist())), classes


def voice(cont, cat):
    """The DX7 voice of a patch."""

    def between(low, high, name):
        return low + (high - low) * cont[name]

    sustain = between(0.5, 1.0, "modulator_sustain_level")
    carrier = (
        [between(0.4, 1.0, "carrier_attack_rate"), between(0.2, 0.8, "carrier_decay_rate"), 0.7, 0.6],
        [1.0, 0.8, 0.9, 0.0],
    )
    modulator = (
        [0.8, between(0.2, 0.9, "modulator_decay_rate"), 0.7, 0.6],  # Rate 3 has no effect: levels 2 and 3 are equal.
        [1.0, sustain, sustain, 0.0],
    )
    envelopes = [carrier, modulator, carrier, modulator, modulator, modulator]
    levels = [
        0.95,
        between(0.55, 0.95, "op2_level"),
        between(0.55, 0.95, "op3_level"),
        between(0.45, 0.95, "op4_level"),
        0.6,
        between(0.5, 0.95, "op6_level"),
    ]
    coarse = [1, cat["op2_ratio"], 1, cat["op4_ratio"], 2, 1]
    return Preset(
        algorithm=int(CATEGORICAL["algorithm"][cat["algorithm"]].removeprefix("alg")) - 1,
        feedback=cont["feedback"],
        lfo_speed=cont["lfo_speed"],
        lfo_pitch_mod_depth=cont["lfo_pitch_depth"],
        lfo_amp_mod_depth=cont["lfo_amp_depth"],
        lfo_wave=cat["lfo_wave"],
        lfo_sync=1,
        pitch_mod_sensitivity=3 / 7,
        op_env_rates=np.array([rates for rates, _ in envelopes]),
        op_env_levels=np.array([levels for _, levels in envelopes]),
        op_output_level=np.array(levels),
        op_frequency_coarse=np.array(coarse) / 31,
        op_detune=np.array([cont["op1_detune"], 0.5, 0.5, 0.5, 0.5, 0.5]),
        op_amp_mod_sensitivity=np.array([2, 0, 0, 0, 0, 0]) / 3,
    )


def render(synth, cont, cat):
    """The sound of a patch, as 16-bit samples."""
    synth.load_preset(voice(cont, cat))
    sound = synth.render(NOTE, VELOCITY, NOTE_S, RENDER_S)
    peak = np.abs(sound).max()
    if peak > LOUDEST:
        sound = sound / (peak * HEADROOM)
    return np.round(sound * np.float32(32767)).astype("<i2")


def digest(samples):
    return hashlib.sha256(samples.tobytes()).hexdigest()


def params():
    continuous = [{"name": name, "kind": "continuous", "min": 0.0, "max": 1.0, "unit": "unit"} for name in CONTINUOUS]
    categorical = [{"name": name, "kind": "categorical", "classes": names} for name, names in CATEGORICAL.items()]
    return {
        "synth": "dexed-py 0.3.0 (DX7)",
        "sample_rate": SAMPLE_RATE,
        "note": NOTE,
        "velocity": VELOCITY,
        "note_s": NOTE_S,
        "params": continuous + categorical,
    }


def write(count, seed, out):
    (out / "audio").mkdir(parents=True, exist_ok=True)
    (out / "params.json").write_text(json.dumps(params(), indent=1))
    synth = DexedSynth(SAMPLE_RATE)
    rng = np.random.default_rng(seed)
    with open(out / "manifest.jsonl", "w") as manifest:
        for number in range(count):
            cont, cat = draw(rng)
            samples = render(synth, cont, cat)
            path = f"audio/{number:05}.wav"
            sf.write(out / path, samples, SAMPLE_RATE, subtype="PCM_16")
            row = {
                "path": path,
                "sha256_pcm": digest(samples),
                "sr": SAMPLE_RATE,
                "frames": len(samples),
                "note": NOTE,
                "velocity": VELOCITY,
                "cont": cont,
                "cat": cat,
            }
            manifest.write(json.dumps(row) + "\n")
    print(f"{count} renders in {out}")


def check(folder):
    """Renders the rows of a folder again. True if all have the same samples."""
    synth = DexedSynth(SAMPLE_RATE)
    rows = [json.loads(line) for line in (folder / "manifest.jsonl").read_text().splitlines()]
    identical, worst = 0, 1.0
    for row in rows:
        samples = render(synth, row["cont"], row["cat"])
        there, _ = sf.read(folder / row["path"], dtype="int16")
        identical += digest(samples) == row["sha256_pcm"] == digest(there.astype("<i2"))
        alike = len(there) == len(samples) and there.std() > 0
        worst = min(worst, np.corrcoef(samples, there)[0, 1] if alike else 0.0)
    print(f"{identical} of {len(rows)} rows have identical samples; the worst correlation is {worst:.6f}")
    return identical == len(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--count", type=int, default=1200)
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--out", type=pathlib.Path, help="folder to write, new or empty")
    parser.add_argument("--check", type=pathlib.Path, help="folder to compare with")
    args = parser.parse_args()
    if args.out is None and args.check is None:
        parser.error("--out or --check is needed")
    if args.out is not None:
        if args.out.exists() and any(args.out.iterdir()):
            parser.error(f"{args.out} isn't empty")
        write(args.count, args.seed, args.out)
    if args.check is not None and not check(args.check):
        sys.exit(1)


if __name__ == "__main__":
    main()
