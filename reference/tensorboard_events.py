"""Reads a run's TensorBoard files with PyPI's `tensorboard`, and fails where something is missing.

    pip install tensorboard
    python reference/tensorboard_events.py runs/NAME

TensorBoard's own reader checks the CRC of every record. The scalars must equal those of metrics.jsonl,
images must be PNG of the stated size, sounds WAV of the stated length. Last run with tensorboard 2.20.
"""
import io
import json
import pathlib
import struct
import sys
import wave

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator


def check_stage(stage):
    everything = {"scalars": 0, "images": 0, "audio": 0}
    events = EventAccumulator(str(stage / "tb"), size_guidance=everything)
    events.Reload()
    tags = events.Tags()

    rows = [json.loads(line) for line in (stage / "metrics.jsonl").read_text().splitlines()]
    expected = {}
    for row in rows:
        expected.setdefault(row["tag"], []).append((row["step"], row["value"]))
    assert sorted(tags["scalars"]) == sorted(expected), (tags["scalars"], sorted(expected))
    for tag, points in expected.items():
        read = [(event.step, event.value) for event in events.Scalars(tag)]
        assert len(read) == len(points), (tag, len(read), len(points))
        for (step, value), (wanted_step, wanted) in zip(read, points):
            assert step == wanted_step and abs(value - wanted) <= 1e-6 * max(1.0, abs(wanted)), (tag, step)

    images = 0
    for tag in tags["images"]:
        for event in events.Images(tag):
            png = event.encoded_image_string
            assert png[:8] == b"\x89PNG\r\n\x1a\n", tag
            assert struct.unpack(">II", png[16:24]) == (event.width, event.height), tag
            images += 1
    sounds = 0
    for tag in tags["audio"]:
        for event in events.Audio(tag):
            sound = wave.open(io.BytesIO(event.encoded_audio_string))
            assert sound.getframerate() == event.sample_rate, tag
            assert sound.getnframes() == event.length_frames > 0, tag
            sounds += 1
    assert rows and images and sounds, "scalars, images and sounds are all expected"
    print(f"{stage}: {len(rows)} scalars under {len(expected)} tags, {images} images, {sounds} sounds")


stages = sorted(path.parent for path in pathlib.Path(sys.argv[1]).glob("*/tb"))
assert stages, f"no stage with TensorBoard files in {sys.argv[1]}"
for stage in stages:
    check_stage(stage)
