#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Lines of bench_gemm, bench_linalg and bench_step with torch on the same NVIDIA GPU as their peer.

    build/tests/bench/bench_linalg --device NVIDIA | tests/bench/torch_peer.py | build/tests/bench/bench_table
    build/tests/bench/bench_step --device NVIDIA --layers 64x512x512 1x2048x8192 --precision f16 | tests/bench/torch_peer.py

Reads all lines before it measures, so that the two do not share the GPU, and prints each with torch's counterpart in place of
the peer it had; as it is where there is none. A step's counterpart is torch.optim.Muon, whose iterates are in bf16, or the
fused AdamW or SGD. Needs torch with CUDA. Times are medians from CUDA events, of --repeats runs
(9) after two. f32 stays f32: no TF32.
"""
import argparse
import json
import statistics
import sys


def counterparts(torch):
    """Name of a primitive -> what torch calls it, and a maker of what is timed, from A (batch x rows x cols)."""
    la = torch.linalg

    def by_values(a):  # V w^(-1/2) V^T
        w, v = la.eigh(a)
        return (v * w.rsqrt().unsqueeze(-2)) @ v.mT

    def polar(a):
        u, _, v = la.svd(a, full_matrices=False)
        return u @ v

    def newton_schulz(a):
        x = a / la.matrix_norm(a, keepdim=True)
        for _ in range(5):
            gram = x @ x.mT
            x = 3 * x + (gram @ gram - 4 * gram) @ x
        return x

    def power_iteration(a, v):
        for _ in range(4):
            w = a @ v
            v = w / la.vector_norm(w, dim=-2, keepdim=True)
        return v

    def sherman_morrison(a, v):
        w = a @ v
        return torch.baddbmm(a, w, w.mT, alpha=-1e-6)

    def rank(a):
        return (a.shape[-1] + 15) // 16

    alone = {
        "polar": ("torch Newton-Schulz", newton_schulz),
        "cholesky": ("torch.linalg.cholesky", la.cholesky),
        "spd_inverse": ("torch.cholesky_inverse", lambda a: torch.cholesky_inverse(la.cholesky(a))),
        "triangular_inverse": ("torch.linalg.solve_triangular",
                               lambda a: la.solve_triangular(a, torch.eye(a.shape[-1], device=a.device), upper=False)),
        "ldlt": ("torch.linalg.ldl_factor", la.ldl_factor),
        "qr": ("torch.linalg.qr", la.qr),
        "eigh": ("torch.linalg.eigh", la.eigh),
        "svd": ("torch.linalg.svd", lambda a: la.svd(a, full_matrices=False)),
        "truncated_svd": ("torch.svd_lowrank", lambda a: torch.svd_lowrank(a, q=rank(a))),
        "polar_by_svd": ("torch.linalg.svd", polar),
        "inverse_root": ("torch.linalg.eigh", by_values),
        "inverse_root_two_words": ("torch.linalg.eigh, f64", lambda a: by_values(a.double())),
        "matrix_power": ("torch.linalg.eigh", by_values),
        "accumulate_factor": ("torch.matmul", lambda a: a.mT @ a),
        "sum": ("torch.sum", torch.sum),
        "frobenius_norm": ("torch.linalg.matrix_norm", la.matrix_norm),
        "count_nonfinite": ("torch.isfinite", lambda a: a.numel() - torch.isfinite(a).sum()),
        "row_norms": ("torch.linalg.vector_norm", lambda a: la.vector_norm(a, dim=-1)),
        "column_norms": ("torch.linalg.vector_norm", lambda a: la.vector_norm(a, dim=-2)),
        "normalize_rows": ("torch.nn.functional.normalize", lambda a: torch.nn.functional.normalize(a, dim=-1)),
        "convert": ("torch.Tensor.to", lambda a: a.to(torch.bfloat16)),
        "fill_random": ("torch.randn_like", torch.randn_like),
        "argsort": ("torch.argsort", lambda a: torch.argsort(a, stable=True)),
        "top_k": ("torch.topk", lambda a: torch.topk(a, rank(a))),
    }
    with_matrix = {  # and B, as large as A
        "spd_solve": ("torch.cholesky_solve", lambda a, b: torch.cholesky_solve(b, la.cholesky(a))),
        "cholesky_solve": ("torch.cholesky_solve", lambda a, b: torch.cholesky_solve(b, a)),
        "triangular_solve": ("torch.linalg.solve_triangular", lambda a, b: la.solve_triangular(a, b, upper=False)),
        "triangular_product": ("torch.matmul", torch.matmul),
        "two_sided_product": ("torch.matmul", lambda a, b: a @ b @ a),
    }
    with_vector = {  # and v, a column of A's height
        "power_iteration": ("torch.matmul", power_iteration),
        "sherman_morrison": ("torch.baddbmm", sherman_morrison),
        "scale_rows": ("torch.mul", torch.mul),
    }
    found = {name: (peer, lambda a, f=f: lambda: f(a)) for name, (peer, f) in alone.items()}
    for name, (peer, f) in with_matrix.items():
        found[name] = (peer, lambda a, f=f: (lambda b: lambda: f(a, b))(torch.randn_like(a)))
    for name, (peer, f) in with_vector.items():
        found[name] = (peer, lambda a, f=f: (lambda v: lambda: f(a, v))(torch.randn_like(a[..., :1])))
    return found


def step_of(torch, line):
    """What torch calls the optimizer of a line of bench_step, and its step of the same tensors; None where it has none."""
    case = line["case"]
    if case.startswith("muon ") and "matrix" in line and hasattr(torch.optim, "Muon"):
        peer, shape = "torch.optim.Muon", line["matrix"]
        make = lambda parameters: torch.optim.Muon(parameters, lr=0.02, weight_decay=0.0)
    elif case.startswith("adamw ") and "guarded" not in case:  # which clips and skips besides
        peer, shape = "torch.optim.AdamW, fused", [line["elements"] // line["tensors"]]
        make = lambda parameters: torch.optim.AdamW(parameters, fused=True)
    elif case.startswith("sgd momentum "):
        peer, shape = "torch.optim.SGD, fused", [line["elements"] // line["tensors"]]
        make = lambda parameters: torch.optim.SGD(parameters, lr=0.01, momentum=0.9, fused=True)
    else:
        return None
    parameters = [torch.randn(shape, device="cuda").requires_grad_() for _ in range(line["tensors"])]
    for parameter in parameters:
        parameter.grad = torch.randn_like(parameter)
    return peer, make(parameters).step


def work_of(torch, found, line):
    """What torch calls a line's case, and what to time; None where it has no such thing."""
    if line["benchmark"] == "step":
        return step_of(torch, line)
    make = {"device": "cuda", "generator": torch.Generator("cuda").manual_seed(1)}
    if line["benchmark"] == "gemm":
        dtype = {"f32": torch.float32, "f16": torch.float16, "bf16": torch.bfloat16}[line["dtype"]]
        a = torch.randn(line["batch"], line["m"], line["k"], **make).to(dtype)
        b = torch.randn(line["batch"], line["n"], line["k"], **make).to(dtype).mT
        if line["symmetric"]:
            b = a.mT
        elif not line["transposed_b"]:
            b = b.contiguous()
        return "torch.matmul", lambda: a @ b
    if line["benchmark"] != "linalg" or line["primitive"] not in found:
        return None
    peer, maker = found[line["primitive"]]
    a = torch.rand(line["batch"], line["rows"], line["cols"], **make) - 0.5
    if line["rows"] == line["cols"]:  # what bench_linalg gives them: well-conditioned, positive definite, or triangular
        a = a + a.mT + 2 * line["rows"] * torch.eye(line["rows"], device="cuda")
        if line["primitive"].startswith("triangular") or line["primitive"] == "cholesky_solve":
            a = a.tril()
    return peer, maker(a)


def time_ms(torch, work, repeats):
    times = []
    for repeat in range(-2, repeats):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        work()
        end.record()
        torch.cuda.synchronize()
        if repeat >= 0:
            times.append(begin.elapsed_time(end))
    low, median, high = statistics.quantiles(times, n=4, method="inclusive")
    return median, (high - low) / median if median > 0 else 0.0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=9)
    options = parser.parse_args()
    if options.repeats < 3:
        parser.error("--repeats must be at least 3")
    try:
        import torch
    except ImportError:
        sys.exit("torch_peer: torch is missing (pip install torch)")
    if not torch.cuda.is_available():
        sys.exit("torch_peer: torch finds no CUDA device (a build for CUDA, and an NVIDIA GPU with its driver, are needed)")
    torch.backends.cuda.matmul.allow_tf32 = False
    found = counterparts(torch)
    for text in sys.stdin.readlines():
        line = json.loads(text)
        work = work_of(torch, found, line)
        if work:
            peer_ms, spread = time_ms(torch, work[1], options.repeats)
            own = line["gpu_ms"] if line["gpu_ms"] is not None else line["wall_ms"]
            line.update(peer=f"{work[0]} {torch.__version__}", peer_ms=peer_ms, peer_spread=spread,
                        peer_ratio=peer_ms / own)
            line.pop("peer_gflops", None)
        print(json.dumps(line, separators=(",", ":")), flush=True)


if __name__ == "__main__":
    main()
