#!/usr/bin/env python3
"""Measures the approximation of docs/decisions/0007 in NumPy, on real checkpoints; prints Markdown tables.

  Benchmarks/bench_tail.py minilm-l6 llama-1b-2-layers --ranks 64,128 [--tail] [--overlap] [--seconds] [--budget 0.01]

--tail     errors of the tail's nuclear norm by stochastic Lanczos quadrature, over probes and steps, against all singular values of
           the residual W·(I − V·Vᵀ)
--overlap  share of the globally selected weights that the approximation, S ≈ |W·V||V|ᵀ + κ·(2/π)·ρτᵀ, has in common with the exact mask
--seconds  Lanczos quadrature, all eigenvalues of the Gram matrix and the randomized solver, by order; needs no checkpoint, and
           OPENBLAS_NUM_THREADS=1 in the environment

Without any of them, all three. The method is that of Sources/DistSVD/Randomized (RandomizedSolver.swift, LanczosTrace.swift), with other
random signs.
"""

import time

import numpy as np

import common
import reference

PROBES, STEPS = (4, 8, 16), (8, 12, 16, 24)


def matrices(checkpoint):
    """Name and values of each weight matrix, the tall one of W and Wᵀ, in single precision."""
    for tensor in reference.checkpoint_tensors(checkpoint):
        if reference.is_matrix(tensor):
            w = tensor.read().astype(np.float32)
            yield tensor.name, np.ascontiguousarray(w if w.shape[0] >= w.shape[1] else w.T)


def randomized(w, rank, oversample=10, powers=2, seed=0, krylov=True):
    """Leading singular values and right vectors from all images of a block of random signs, or from the last image alone.

    Products are in single precision.
    """
    n = w.shape[1]
    q = np.random.default_rng(seed).choice([-1.0, 1.0], (n, min(n, rank + oversample)))
    images = []
    for _ in range(powers + 1):
        q = np.linalg.qr((w.T @ (w @ q.astype(np.float32))).astype(np.float64))[0]
        images = [*images, q] if krylov else [q]
    basis = np.linalg.qr(np.hstack(images)[:, :n])[0]
    b = (w @ basis.astype(np.float32)).astype(np.float64)
    squares, rotation = np.linalg.eigh(b.T @ b)
    leading = squares.argsort()[::-1][:rank]
    return np.sqrt(squares[leading].clip(0)), basis @ rotation[:, leading]


def residual_norm(gram, v):
    """Nuclear norm of W·(I − V·Vᵀ), from all eigenvalues in double."""
    u = gram @ v
    u -= v @ (v.T @ u) / 2
    rest = gram - v @ u.T - u @ v.T
    return np.sqrt(np.linalg.eigvalsh(rest)[v.shape[1] :].clip(0)).sum()


def lanczos(w, v, probes, steps, seed):
    """‖P·z‖² of each probe, and its tridiagonal matrix as diagonals and off-diagonals."""
    z = np.random.default_rng(seed).choice([-1.0, 1.0], (w.shape[1], probes))
    z -= v @ (v.T @ z)
    squares = (z * z).sum(0)
    vectors, diagonals, beside = [z / np.sqrt(squares)], [], []
    for _ in range(steps):
        y = (w.T @ (w @ vectors[-1].astype(np.float32))).astype(np.float64)
        y -= v @ (v.T @ y)
        diagonals.append((vectors[-1] * y).sum(0))
        for _ in range(2):
            for x in vectors:
                y -= x * (x * y).sum(0)
        y -= v @ (v.T @ y)
        beside.append(np.sqrt((y * y).sum(0)))
        vectors.append(y / np.maximum(beside[-1], 1e-300))
    return squares, np.array(diagonals), np.array(beside)


def quadratures(squares, diagonals, beside, steps):
    nodes, weights = [], []
    for probe, square in enumerate(squares):
        off = np.diag(beside[: steps - 1, probe], 1)
        values, vectors = np.linalg.eigh(np.diag(diagonals[:steps, probe]) + off + off.T)
        nodes.append(values.clip(0))
        weights.append(vectors[0] ** 2 * square)
    return np.array(nodes), np.array(weights)


def estimate(nodes, weights, dimension, trace):
    """Σ√λ with control variates, its relative standard error, and Σ√λ without them."""
    roots, total = np.sqrt(nodes), weights.sum()
    mean, mean_root = (weights * nodes).sum() / total, (weights * roots).sum() / total
    slope = (weights * (nodes - mean) * (roots - mean_root)).sum() / (weights * (nodes - mean) ** 2).sum()
    constant = mean_root - slope * mean
    rests = (weights * (roots - constant - slope * nodes)).sum(1)
    value = constant * dimension + slope * trace + rests.mean()
    return value, rests.std(ddof=1) / np.sqrt(len(rests)) / value, (weights * roots).sum(1).mean()


def tail_table(checkpoint, ranks, seeds=2):
    errors = {}
    for _, w in matrices(checkpoint):
        gram = w.astype(np.float64).T @ w.astype(np.float64)
        for rank in (r for r in ranks if r < w.shape[1]):
            values, v = randomized(w, rank)
            truth = residual_norm(gram, v)
            trace = np.trace(gram) - (values**2).sum()
            for seed in range(seeds):
                run = lanczos(w, v, max(PROBES), max(STEPS), seed + 10)
                for steps in STEPS:
                    nodes, weights = quadratures(*run, steps)
                    for probes in PROBES:
                        for first in range(0, max(PROBES), probes):
                            part = slice(first, first + probes)
                            value, spread, plain = estimate(nodes[part], weights[part], w.shape[1] - rank, trace)
                            errors.setdefault((w.shape[1], rank, probes, steps), []).append((value / truth - 1, spread, plain / truth - 1))
    print(f"\n{checkpoint.name}: error of the tail's nuclear norm\n")
    table = common.Table(
        "order", "r", "probes", "steps", "mean", "rms", "largest", "estimated rms", "rms without control variates"
    )  # fmt: skip
    for key in sorted(errors):
        found = np.array(errors[key])
        rms = np.sqrt((found**2).mean(0))
        largest = np.abs(found[:, 0]).max()
        table.row(*key, f"{found[:, 0].mean():+.2%}", *(f"{error:.2%}" for error in (rms[0], largest, rms[1], rms[2])))


def approximation(w, v, kappa):
    """Equation (2)."""
    v = v.astype(np.float32)
    projection = w @ v
    rows = np.sqrt(((w * w).sum(1) - (projection**2).sum(1)).clip(0))
    columns = np.sqrt((1 - (v * v).sum(1)).clip(0))
    return np.abs(projection) @ np.abs(v).T + np.float32(kappa * 2 / np.pi) * np.outer(rows, columns)


def overlap_table(checkpoint, ranks, budget):
    variants = [
        *((f"Krylov, q = {q}, p = {p}", p, q, True) for q, p in ((2, 10), (1, 10), (3, 10), (2, 64))),
        *((f"last image only, q = {q}, p = {p}", p, q, False) for q, p in ((2, 10), (3, 10), (4, 10))),
        ("exact V", None, None, None),
    ]
    exact, decomposed = [], []
    for _, w in matrices(checkpoint):
        gram = w.astype(np.float64).T @ w.astype(np.float64)
        squares, v = np.linalg.eigh(gram)
        values, v = np.sqrt(squares[::-1].clip(0)), v[:, ::-1]
        exact.append((np.abs(w @ v.astype(np.float32)) @ np.abs(v.astype(np.float32)).T).ravel())
        decomposed.append((w, gram, values, v))
    exact = np.concatenate(exact)
    count = round(budget * exact.size)
    kept = exact >= np.partition(exact, -count)[-count]

    def overlap(scores):
        scores = np.concatenate(scores)
        return (kept & (scores >= np.partition(scores, -count)[-count])).sum() / count

    print(f"\n{checkpoint.name}: share of the {budget:.0%} kept weights in common with the exact mask\n")
    table = common.Table("r", "subspace", "κ of the residual", "κ of σ_k alone", "κ by Lanczos", "no compensation")
    for rank in ranks:
        for label, oversample, powers, krylov in variants:
            scores = [[], [], [], []]
            for w, gram, values, exact_v in decomposed:
                order = w.shape[1]
                found, v = (values[:rank], exact_v[:, :rank]) if powers is None else randomized(w, rank, oversample, powers, krylov=krylov)
                trace = (values**2).sum() - (found**2).sum()
                bound = np.sqrt((order - rank) * trace)
                sigma = values[rank:]
                kappas = [residual_norm(gram, v) / bound, sigma.sum() / np.sqrt((order - rank) * (sigma**2).sum())]
                if powers is not None:
                    nodes, weights = quadratures(*lanczos(w, v, 16, 16, 1), 16)
                    kappas.append(estimate(nodes, weights, order - rank, trace)[0] / bound)
                else:
                    kappas.append(kappas[0])
                for total, kappa in zip(scores, kappas + [0]):
                    total.append(approximation(w, v, kappa).ravel())
            table.row(rank, label, *(f"{overlap(of_kappa):.1%}" for of_kappa in scores))


def seconds_table(ranks):
    print("\nProcessor seconds for n × n, best of 3\n")
    table = common.Table(
        "n", "Gram matrix, double", "its eigenvalues", "Lanczos, 16 steps, 8 probes", "16 probes",
        *(f"randomized, r = {rank}" for rank in ranks),
    )  # fmt: skip

    def timed(work, *arguments):
        """The least seconds of three calls, and the last one's result."""
        best = float("inf")
        for _ in range(3):
            start = time.process_time()
            result = work(*arguments)
            best = min(best, time.process_time() - start)
        return best, result

    for n in (384, 512, 1024, 2048):
        w = np.random.default_rng(0).standard_normal((n, n), np.float32)
        gram_seconds, gram = timed(lambda a: a.astype(np.float64).T @ a.astype(np.float64), w)
        eigen_seconds, _ = timed(np.linalg.eigvalsh, gram)
        bases = [timed(randomized, w, rank) if rank < n else (float("nan"), (None, None)) for rank in ranks]
        v = bases[0][1][1]
        traces = [timed(lanczos, w, v, probes, 16, 0)[0] for probes in (8, 16)]
        table.row(n, *(f"{seconds:.3f}" for seconds in (gram_seconds, eigen_seconds, *traces, *(basis[0] for basis in bases))))


def main():
    parser = common.parser(__doc__)
    parser.add_argument("checkpoints", nargs="*", type=common.checkpoint)
    parser.add_argument("--ranks", default="64", type=common.numbers, help="numbers of leading vectors, with commas between")
    parser.add_argument("--budget", type=float, default=0.01)
    parser.add_argument("--tail", action="store_true", help="the first table")
    parser.add_argument("--overlap", action="store_true", help="the second table")
    parser.add_argument("--seconds", action="store_true", help="the third table")
    arguments = parser.parse_args()
    everything = not (arguments.tail or arguments.overlap or arguments.seconds)
    for checkpoint in arguments.checkpoints:
        if everything or arguments.tail:
            tail_table(checkpoint, arguments.ranks)
        if everything or arguments.overlap:
            overlap_table(checkpoint, arguments.ranks, arguments.budget)
    if everything or arguments.seconds:
        seconds_table(arguments.ranks)


if __name__ == "__main__":
    main()
