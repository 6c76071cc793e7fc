"""Golden values of convolutions over time and their gradients, for crates/kernels.

    python conv.py > ../crates/kernels/tests/golden/conv.json

Made with PyTorch 2.15.0 on a CPU, in double precision, so that the values are exact to f32.
Tolerance of the test: 1e-5 of the largest value, 1e-4 for gradients; sums of at most 22 terms in f32 stay far below.
Inputs are written out, so that the test needs no generator of PyTorch's.
"""

import json

import torch
import torch.nn.functional as F

BATCH, C_IN, C_OUT, FRAMES = 2, 3, 5, 6

# kind, taps, stride, [left, right]
CASES = [
    ("plain", 3, 1, [1, 1]),
    ("plain", 4, 2, [1, 2]),
    ("transposed", 4, 2, [1, 1]),
    ("transposed", 2, 3, [0, 1]),
]


def case(generator, kind, taps, stride, padding):
    def random(*shape):
        # Rounded to f32, which is what the test reads.
        return torch.randn(*shape, generator=generator).double().requires_grad_()

    left, right = padding
    x, bias = random(BATCH, C_IN, FRAMES), random(C_OUT)
    if kind == "plain":
        weight = random(C_OUT, C_IN, taps)
        output = F.conv1d(F.pad(x, (left, right)), weight, bias, stride=stride)
    else:
        weight = random(C_IN, C_OUT, taps)
        output = F.conv_transpose1d(x, weight, bias, stride=stride)
        output = output[..., left : output.shape[-1] - right]
    output_gradient = random(*output.shape).detach()
    output.backward(output_gradient)
    tensors = {
        "x": x,
        "weight": weight,
        "bias": bias,
        "output_gradient": output_gradient,
        "output": output,
        "x_gradient": x.grad,
        "weight_gradient": weight.grad,
        "bias_gradient": bias.grad,
    }
    golden = {name: [round(v, 9) for v in tensor.flatten().tolist()] for name, tensor in tensors.items()}
    return {"kind": kind, "taps": taps, "stride": stride, "padding": padding, **golden}


def main():
    generator = torch.Generator().manual_seed(1)
    cases = [case(generator, *arguments) for arguments in CASES]
    print(json.dumps({"sizes": [BATCH, C_IN, C_OUT, FRAMES], "cases": cases}))


main()
