"""Small sound files in every format that crates/stft-data decodes, and what soundfile decodes from them.

    python reference/sound_files.py     writes crates/stft-data/tests/fixtures/*
                                        and    crates/stft-data/tests/golden/sound_files.json

Made with numpy 2.4.6, soundfile 0.14.0 and libsndfile 1.2.2 (1.1 brought MP3). The encoders of
OGG Vorbis and MP3 may write other bytes in other versions; the golden values are made from
the same files, so both are committed together.

Golden are the length, the rate, the channels and every 37th sample of the mean of the
channels. Tolerances: PCM, FLAC and float files decode to the same numbers, but for the
rounding of the mean (1e-7); Vorbis and MP3 decoders may round differently (1e-4).
"""

import io
import json
import pathlib

import numpy as np
import soundfile as sf

CRATE = pathlib.Path(__file__).parent.parent / "crates/stft-data"
STRIDE = 37

# (file, rate, channels, frames, format, subtype)
FILES = [
    ("stereo_16bit.wav", 22050, 2, 2205, "WAV", "PCM_16"),
    ("mono_24bit.wav", 48000, 1, 2400, "WAV", "PCM_24"),
    ("stereo_float.wav", 44100, 2, 1323, "WAV", "FLOAT"),
    ("mono_8bit.wav", 8000, 1, 801, "WAV", "PCM_U8"),
    ("stereo_16bit.flac", 44100, 2, 6615, "FLAC", "PCM_16"),
    ("mono_24bit.flac", 32000, 1, 3200, "FLAC", "PCM_24"),
    ("stereo.ogg", 44100, 2, 8820, "OGG", "VORBIS"),
    ("mono.mp3", 32000, 1, 9600, "MP3", "MPEG_LAYER_III"),
    ("stereo.mp3", 44100, 2, 11025, "MP3", "MPEG_LAYER_III"),
    ("stereo_16bit.aiff", 22050, 2, 1103, "AIFF", "PCM_16"),
    ("mono_24bit.aiff", 96000, 1, 1200, "AIFF", "PCM_24"),
    ("mono_32bit.wav", 192000, 1, 1501, "WAV", "PCM_32"),
    ("stereo_double.wav", 16000, 2, 801, "WAV", "DOUBLE"),
    ("mono_alaw.wav", 8000, 1, 1203, "WAV", "ALAW"),
    ("stereo_ulaw.wav", 11025, 2, 1102, "WAV", "ULAW"),
    ("six_channels_16bit.wav", 48000, 6, 1100, "WAV", "PCM_16"),
    ("six_channels_24bit_extensible.wav", 44100, 6, 500, "WAVEX", "PCM_24"),
]


def channel(frames, rate, number):
    n = np.arange(frames)
    decay = np.exp(-4.0 * n / frames)
    return 0.6 * decay * np.sin(2 * np.pi * 330.0 * (1 + number) * n / rate) + 0.05 * np.sin(
        2 * np.pi * 2500.0 * n / rate + number
    )


golden = []
fixtures = CRATE / "tests/fixtures"
fixtures.mkdir(parents=True, exist_ok=True)
for name, rate, channels, frames, form, subtype in FILES:
    sound = np.stack([channel(frames, rate, c) for c in range(channels)], axis=1)
    if subtype in ("FLOAT", "DOUBLE"):
        sound *= 2.5  # beyond full scale, which only float files can hold
    sf.write(fixtures / name, sound, rate, format=form, subtype=subtype)
    decoded, decoded_rate = sf.read(fixtures / name, dtype="float64", always_2d=True)
    mono = decoded.mean(axis=1)
    golden.append(
        {
            "file": name,
            "rate": decoded_rate,
            "channels": decoded.shape[1],
            "frames": len(mono),
            "lossy": subtype in ("VORBIS", "MPEG_LAYER_III"),
            "stride": STRIDE,
            "samples": [float(f"{x:.9g}") for x in mono[::STRIDE]],
        }
    )
# Two streams end to end in one file, the second with other channels, as internet radio leaves them.
streams = [(fixtures / "stereo.ogg").read_bytes()]
sf.write(fixtures / "chained.ogg", channel(4410, 44100, 2), 44100, format="OGG", subtype="VORBIS")
streams.append((fixtures / "chained.ogg").read_bytes())
decoded = [sf.read(io.BytesIO(s), dtype="float64", always_2d=True)[0].mean(axis=1) for s in streams]
(fixtures / "chained.ogg").write_bytes(b"".join(streams))
mono = np.concatenate(decoded)
golden.append(
    {
        "file": "chained.ogg",
        "rate": 44100,
        "channels": 2,
        "frames": len(mono),
        "lossy": True,
        "stride": STRIDE,
        "samples": [float(f"{x:.9g}") for x in mono[::STRIDE]],
    }
)
out = CRATE / "tests/golden/sound_files.json"
out.parent.mkdir(parents=True, exist_ok=True)
out.write_text("[\n" + ",\n".join(json.dumps(g) for g in golden) + "\n]\n")
total = sum((fixtures / name).stat().st_size for name, *_ in FILES)
print(f"{len(FILES)} files, {total} bytes; soundfile {sf.__version__}, {sf.__libsndfile_version__}")
