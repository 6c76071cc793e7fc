"""Golden values for crates/losses: L1 and L2 over selected bins, and their gradients, from PyTorch.

    python reference/losses.py        (made with torch 2.x, CPU, float64)

Writes crates/losses/tests/golden/magnitude.json: inputs, weights, the loss of each item, the loss of the batch and the
gradient of the batch's loss with respect to the prediction. Deterministic: inputs come from a closed formula.

The reference goes another way than the crate: it picks the selected elements of each item out by indexing and calls
torch.nn.functional on them, so that a fault in the weighting cannot be shared.
Tolerance in the test: 1e-6 relative, since the crate computes in float32 what is float64 here.
"""
import json
import pathlib

import torch
import torch.nn.functional as F

BATCH, BINS, FRAMES = 3, 4, 5
VALID = [5, 3, 2]
OUT = pathlib.Path(__file__).parent.parent / "crates/losses/tests/golden/magnitude.json"


def closed_form(a, b):
    n = torch.arange(BATCH * BINS * FRAMES, dtype=torch.float64).reshape(BATCH, BINS, FRAMES)
    # Rounded to float32 so that both sides start from equal numbers.
    return torch.sin(a * n + b).mul(2).float().double()


def main():
    prediction, target = closed_form(0.7, 0.1), closed_form(1.3, 0.5)
    hidden = closed_form(2.9, 0.2) > 0.2
    frame = torch.arange(FRAMES).expand(BATCH, BINS, FRAMES)
    valid = frame < torch.tensor(VALID)[:, None, None]
    cases = []
    for selection, selected in (("valid", valid), ("hidden", hidden & valid)):
        for norm, f in (("l1", F.l1_loss), ("l2", F.mse_loss)):
            x = prediction.clone().requires_grad_()
            items = torch.stack([f(x[b][selected[b]], target[b][selected[b]]) for b in range(BATCH)])
            items.mean().backward()
            cases.append(dict(selection=selection, norm=norm, per_item=items.tolist(), batch=items.mean().item(),
                              gradient=x.grad.flatten().tolist()))
    data = dict(torch=torch.__version__, shape=[BATCH, BINS, FRAMES], valid_frames=VALID,
                prediction=prediction.flatten().tolist(), target=target.flatten().tolist(),
                hidden=hidden.flatten().tolist(), cases=cases)
    OUT.parent.mkdir(parents=True, exist_ok=True)
    OUT.write_text(json.dumps(data) + "\n")
    print(OUT.name, OUT.stat().st_size, "bytes")


main()
