// SPDX-License-Identifier: MIT
// The largest eigenvalue of positive semidefinite matrices, and their condition numbers, as graph operations.
#pragma once

#include <cstdint>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

struct PowerIterationOptions {
    std::uint32_t iterations = 4;  // 1 to 64; 2 to 4 are enough where the vector comes from the step before
    // Share of a fixed pseudo-random unit vector that is added to the start, so that a new dominant direction
    // can enter.
    float mix = 1e-3f;
    Tensor status;  // ok, nonfinite
    bool guarded = true;
};

// value = v^T A v / v^T v, then v <- A v / |A v| (v / |v| where A v is zero), for each matrix of the batch.
// A: n x n, f32, f16 or bf16, symmetric positive semidefinite (read as it is). `vector`: n x 1 f32 for each
// matrix, contiguous, read as the start and written: keep it in a state. A vector that is zero or not finite
// starts anew. `value`: one f32 for each matrix.
//
// The value is a lower bound of the largest eigenvalue, up to 2 sqrt(n) u |A|_2 of rounding; its relative
// error falls by (lambda_2 / lambda_1)^2 an iteration. Where an upper bound is needed, take a norm; where the
// value serves as damping, a factor of 1.05 is usual. 2 n^2 FLOPs, A once and 16 n bytes, and two levels an
// iteration (three where gemm() splits n); one before. A matrix with a NaN or an infinity (in an element that
// the product meets): value 0, the vector starts anew, nonfinite. Where a device flushes subnormal numbers,
// sqrt(n) 2^-125 of rounding comes on top.
HERON_API void power_iteration(Graph& graph, const Tensor& a, const Tensor& vector, const Tensor& value,
                               const PowerIterationOptions& options = {});

struct ConditionOptions {
    double root = 1;  // r of X, finite and above 0
    // d = damping + relative_damping |A|_2; both finite and not negative
    float damping = 0.0f, relative_damping = 0.0f;
    std::uint32_t iterations = 8;  // with A, 1 to 64; with X r times as many, up to 64
    // Optional, one u32 for each matrix, read: what became of X (inverse_root() and its like). Where there is
    // no result (nonfinite, indefinite, singular) the condition is the largest f32.
    Tensor root_status;
    bool guarded = true;
};

// condition = (|A|_2 + d) |X|_2^r with X = (A + d I)^(-1 / r): an estimate of the condition number of each
// matrix A + d I, by a power iteration on A and one on X, which is from below, and with the default number of
// iterations mostly within a factor of two for r up to 16 (beyond, X has too few). For monitoring: nothing is
// decided by it. A and X: n x n, f32, f16 or bf16, symmetric positive semidefinite, of one shape;
// `condition`: one f32 for each matrix, contiguous, apart from both. The largest f32 for matrices whose norm
// is below 2^-126 or not finite, and above 2^127: a state that holds it stays finite. FLOPs and bytes are
// those of both power iterations, levels those of the one on X and two more.
HERON_API void condition_estimate(Graph& graph, const Tensor& a, const Tensor& x, const Tensor& condition,
                                  const ConditionOptions& options = {});

}  // namespace heron
