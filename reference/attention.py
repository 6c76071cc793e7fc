"""Golden values of scaled dot-product attention and its gradients, for crates/kernels.

    python attention.py > ../crates/kernels/tests/golden/attention.json

Made with PyTorch 2.15.0 on a CPU, in double precision, so that the values are exact to f32.
Tolerance of the test: 1e-5 of the largest value, 1e-4 for gradients; sums of at most 5 terms in f32 stay far below.
Inputs are written out, so that the test needs no generator of PyTorch's.
"""

import json

import torch
import torch.nn.functional as F

BATCH, HEADS, QUERIES, KEYS, HEAD_DIM = 2, 3, 4, 5, 6


def main():
    generator = torch.Generator().manual_seed(1)

    def random(*shape):
        # Rounded to f32, which is what the test reads.
        return torch.randn(*shape, generator=generator).double().requires_grad_()

    query = random(BATCH, HEADS, QUERIES, HEAD_DIM)
    key = random(BATCH, HEADS, KEYS, HEAD_DIM)
    value = random(BATCH, HEADS, KEYS, HEAD_DIM)
    output_gradient = random(BATCH, HEADS, QUERIES, HEAD_DIM).detach()
    hidden_keys = torch.tensor([[False, False, True, False, True], [True, False, False, False, False]])

    # PyTorch's mask says which keys take part.
    output = F.scaled_dot_product_attention(query, key, value, attn_mask=~hidden_keys[:, None, None, :])
    output.backward(output_gradient)

    tensors = {
        "query": query,
        "key": key,
        "value": value,
        "output_gradient": output_gradient,
        "output": output,
        "query_gradient": query.grad,
        "key_gradient": key.grad,
        "value_gradient": value.grad,
    }
    golden = {name: [round(x, 9) for x in tensor.flatten().tolist()] for name, tensor in tensors.items()}
    golden["hidden_keys"] = hidden_keys.flatten().tolist()
    golden["sizes"] = [BATCH, HEADS, QUERIES, KEYS, HEAD_DIM]
    print(json.dumps(golden))


main()
