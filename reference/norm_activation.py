"""Golden values of group norm with SiLU, layer norm, GELU and their gradients, for crates/kernels.

    python norm_activation.py > ../crates/kernels/tests/golden/norm_activation.json

Made with PyTorch 2.15.0 on a CPU, in double precision, so that the values are exact to f32.
Tolerance of the test: 1e-5 of the largest value, 1e-4 for gradients; sums of at most 12 terms in f32 stay far below.
Inputs are written out, so that the test needs no generator of PyTorch's.
"""

import json

import torch
import torch.nn.functional as F

EPSILON = 1e-3
SHAPE = (2, 6, 5)


def main():
    generator = torch.Generator().manual_seed(1)

    def random(*shape):
        # Rounded to f32, which is what the test reads.
        return torch.randn(*shape, generator=generator).double()

    x = 1.5 * random(*SHAPE) + 0.7
    gamma, beta, output_gradient = random(6), random(6), random(*SHAPE)
    golden = {"x": x, "gamma": gamma, "beta": beta, "output_gradient": output_gradient}
    golden = {name: tensor.float().flatten().tolist() for name, tensor in golden.items()}
    # As the test reads them.
    x, gamma, beta, output_gradient = (tensor.float().double() for tensor in (x, gamma, beta, output_gradient))

    operations = {
        "group_norm_silu": (6, lambda x, gamma, beta: F.silu(F.group_norm(x, 3, gamma, beta, EPSILON))),
        "layer_norm": (5, lambda x, gamma, beta: F.layer_norm(x, (5,), gamma, beta, EPSILON)),
        "gelu": (0, lambda x, gamma, beta: F.gelu(x)),
    }
    for name, (parameters, operation) in operations.items():
        inputs = [tensor.clone().requires_grad_() for tensor in (x, gamma[:parameters], beta[:parameters])]
        output = operation(*inputs)
        output.backward(output_gradient)
        gradients = [[] if tensor.grad is None else tensor.grad for tensor in inputs]
        results = [output, *gradients]
        golden[name] = [[round(v, 9) for v in r.flatten().tolist()] if len(r) else [] for r in results]
    print(json.dumps(golden))


main()
