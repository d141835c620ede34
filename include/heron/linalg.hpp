// SPDX-License-Identifier: MIT
// Dense linear algebra as graph operations: batched, mixed shapes, one dispatch for all operations of a level
// that one variant of a kernel does.
//
// Matrices are the last two axes of a tensor, row-major with an optional row stride; the axes before them are
// a batch (all operands have the same batch, or the operand is one matrix used for every item). Sums are
// always f32; operands are f32, f16 or bf16, which needs no 16-bit feature of the device, except where an
// operation says otherwise. All functions throw heron::Error (invalid_argument) for shapes, dtypes or
// overlaps that do not fit, naming the operand, and add nothing then; an implementation that is forced by
// name and cannot run is unsupported. From its first to its last element a tensor may have 2^32 - 1 (shaders
// count in 32 bits), and begins at a multiple of 4 bytes. An empty result (no rows or no columns) adds
// nothing but statuses; an empty sum (over k = 0) gives beta C. Nothing here waits for the host: what cannot
// be computed is reported by MatrixStatus, and matrices of a batch never touch each other.
//
// Numbers below 2^-126 (subnormal) may count as zero on any device, in operands, results and where scaling
// makes them: a matrix with elements of 1e-37 has lost its smaller ones before the first operation, and no
// status tells. Scale such matrices, and those whose inverse would be as small.
//
// Threads: a function changes its graph, which one thread uses at a time; on graphs of their own they run at
// the same time, also for one device. What takes a Device alone may be called from any thread.
//
// Bytes are those that Plan::describe() counts: every operand of a dispatch once, from memory.
#pragma once

#include "heron/linalg/cholesky.hpp"
#include "heron/linalg/dct.hpp"
#include "heron/linalg/eigh.hpp"
#include "heron/linalg/factor.hpp"
#include "heron/linalg/fisher_inverse.hpp"
#include "heron/linalg/inverse_root.hpp"
#include "heron/linalg/ldlt.hpp"
#include "heron/linalg/matrix_power.hpp"
#include "heron/linalg/norms.hpp"
#include "heron/linalg/polar.hpp"
#include "heron/linalg/power_iteration.hpp"
#include "heron/linalg/product.hpp"
#include "heron/linalg/qr.hpp"
#include "heron/linalg/quantize.hpp"
#include "heron/linalg/random.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/linalg/select.hpp"
#include "heron/linalg/spd.hpp"
#include "heron/linalg/status.hpp"
#include "heron/linalg/svd.hpp"
#include "heron/linalg/triangular.hpp"
#include "heron/linalg/two_sided.hpp"
#include "heron/linalg/update.hpp"
#include "heron/linalg/woodbury.hpp"
