// SPDX-License-Identifier: MIT
// What became of each matrix of a batch: how operations that can fail report it, without a stall.
#pragma once

#include <cstdint>

#include "heron/export.hpp"

namespace heron {

// Operations that can fail take an optional tensor `status`: contiguous, u32, one element for each matrix of
// the batch (in Graph::readback memory the host reads it whenever it likes). Every element is written in
// every step. The result of a failed matrix is defined, as the operation's comment says, and the other
// matrices of the batch do not notice. The values are those of shaders/linalg/status.h.
enum class MatrixStatus : std::uint32_t {
    ok = 0,
    nonfinite = 1,       // the input holds a NaN or an infinity
    indefinite = 2,      // a pivot was not positive, with all the jitter that was allowed
    singular = 3,        // a pivot is zero, or too small to divide by
    rank_deficient = 4,  // fewer independent columns than asked for
    not_converged = 5,   // the iterations ran out, or stopped making progress; the best iterate is the result
    jittered = 6,        // right for the matrix plus the jitter that it took
};

HERON_API const char* to_string(MatrixStatus status);  // "ok", "nonfinite", ...

}  // namespace heron
