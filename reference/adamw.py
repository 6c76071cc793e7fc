"""Steps of PyTorch's AdamW, for crates/kernels/tests/adamw.rs.

    pip install torch --index-url https://download.pytorch.org/whl/cpu
    python reference/adamw.py > crates/kernels/tests/golden/adamw.json

PyTorch 2.15.0, in f64; both are sums and products of the same numbers in another order, so the test asks for
1e-5 of f32. 77 values, so that vectors have a rest.
"""

import json
import math

import torch

COUNT, STEPS = 77, 6
CASES = [
    {"lr": 1e-3, "weight_decay": 0.01, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8},
    {"lr": 0.05, "weight_decay": 0.3, "beta_1": 0.8, "beta_2": 0.95, "epsilon": 1e-3},
]


def wave(scale, step):
    return [scale * math.sin(0.7 * i * step + 0.3 * step) for i in range(1, COUNT + 1)]


def rounded(tensor):
    return [round(value, 9) for value in tensor.tolist()]


cases = []
for case in CASES:
    parameter = torch.tensor(wave(1.0, 1), dtype=torch.float64, requires_grad=True)
    start = rounded(parameter.detach())
    optimizer = torch.optim.AdamW(
        [parameter],
        lr=case["lr"],
        betas=(case["beta_1"], case["beta_2"]),
        eps=case["epsilon"],
        weight_decay=case["weight_decay"],
    )
    gradients, after = [], []
    for step in range(1, STEPS + 1):
        # Of very different sizes from step to step.
        gradient = wave(10.0 ** (step % 3 - 2), step + 1)
        parameter.grad = torch.tensor(gradient, dtype=torch.float64)
        optimizer.step()
        gradients.append([round(value, 9) for value in gradient])
        after.append(rounded(parameter.detach()))
    cases.append({**case, "start": start, "gradients": gradients, "after": after})
print(json.dumps({"torch": torch.__version__.split("+")[0], "cases": cases}))
