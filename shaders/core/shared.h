// SPDX-License-Identifier: MIT
// One definition for GLSL and C++: reference types, and the ids of specialization constants.
#ifndef HERON_CORE_SHARED_H
#define HERON_CORE_SHARED_H

#ifdef __cplusplus
#include <cstdint>
#include <span>
#include <string_view>
#define HERON_SHARED_BEGIN namespace heron::gpu {
#define HERON_SHARED_END }
HERON_SHARED_BEGIN
using uint = std::uint32_t;
using F32 = std::uint64_t;  // device address of floats
using U32 = std::uint64_t;  // device address of 32-bit words: indices, or elements of any dtype (core/half.glsl)
using F32x4 = std::uint64_t;  // the same four at a time, where the address is a multiple of 16
using U32x4 = std::uint64_t;
HERON_SHARED_END
#else
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_scalar_block_layout : require
#define HERON_SHARED_BEGIN
#define HERON_SHARED_END
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer F32 { float v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 4) buffer U32 { uint v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer F32x4 { vec4 v[]; };
layout(buffer_reference, scalar, buffer_reference_align = 16) buffer U32x4 { uvec4 v[]; };
#endif

HERON_SHARED_BEGIN
// Ids of specialization constants, one meaning each in the whole project; kSpecTexts below says how they read. Kernels
// outside of Heron may have others, from 64.
const uint SPEC_THREADS = 0;    // invocations per workgroup
const uint SPEC_DTYPE_A = 3;    // element type of the first operand, one of DTYPE_
const uint SPEC_DTYPE_B = 4;    // of the second
const uint SPEC_DTYPE_C = 5;    // of the third
const uint SPEC_DTYPE_D = 6;    // of the result
const uint SPEC_FLAGS = 7;      // what changes the accesses to memory: bits, each with one meaning in the project
const uint SPEC_PER_THREAD = 8; // elements per invocation
const uint SPEC_POOL = 9;       // vec4 of shared memory
const uint SPEC_TILES = 10;     // tiles of a result per invocation
const uint SPEC_SUBGROUP = 11;  // invocations per subgroup: a kernel that has it gets full subgroups of that size
const uint SPEC_MATRIX_M = 12;  // rows of a cooperative matrix of sums
const uint SPEC_MATRIX_N = 13;  // its columns
const uint SPEC_MATRIX_K = 14;  // columns of op(A) that go into one multiplication
const uint SPEC_REDUCTION = 15; // one of REDUCE_
const uint SPEC_ORDER = 16;     // order of the largest matrix in shared memory
const uint SPEC_LANES = 17;     // invocations that share the rows of a tile
const uint SPEC_PREPARE = 18;   // one of PREPARE_
const uint SPEC_POWER = 19;     // one of POWER_
const uint SPEC_DISTRIBUTION = 20; // heron::Distribution, or RANDOM_ADVANCE
const uint SPEC_NORM = 21;      // NORM_ of linalg/norms.h
const uint SPEC_ROWS = 22;      // where rows come from, one of FACTOR_MATRIX, FACTOR_PATCHES
const uint SPEC_RANK_ONE = 23;  // which step, one of RANK_ONE_
const uint SPEC_LDLT_STEP = 24; // one of LDLT_

// heron::DType.
const uint DTYPE_F32 = 0;
const uint DTYPE_F16 = 1;
const uint DTYPE_BF16 = 2;

// SPEC_REDUCTION.
const uint REDUCE_SUM = 0;
const uint REDUCE_NORM = 1;
const uint REDUCE_NONFINITE = 2;

// SPEC_FLAGS. Of element-wise kernels:
const uint ELEMENTS_SINGLE = 1;  // word by word, an invocation's elements side by side (CPU drivers, which pay for every
                                 // word of every invocation and run both sides of a branch); without it 16 bytes at
                                 // once, neighbouring invocations side by side
const uint ELEMENTS_ROWS = 2048; // besides: neighbouring invocations side by side, and loads from addresses that all share
const uint ELEMENTS_APART = 8192; // besides, with SPEC_SUBGROUP: an invocation's elements are not neighbours, see parameter.glsl
const uint ELEMENTS_AVERAGE = 2; // parameters have a moving average
const uint GRADIENT_READY = 1024; // the gradient is as the step sees it, or a direction: it is not scaled and clipped
// Of one algorithm:
const uint SGD_MOMENTUM = 4;      // SignSGD and layers too: there is a momentum
const uint ADAMW_AMSGRAD = 8;
const uint PARTIAL_NORMS = 16;     // leaves partial norms of what it makes
const uint ACCUMULATE_FINITE = 32; // sums of finite gradients stay finite
const uint PRODUCT_C = 64;         // GEMM_HAS_C of every job
const uint PRODUCT_SYMMETRIC = 128; // GEMM_SYMMETRIC of every job
const uint PRODUCT_UPPER = 4096;    // of PRODUCT_SYMMETRIC: what is below the diagonal stays as it is
const uint PRODUCT_ROWS = 16384;     // A is read where it is, rows of whole steps of k (gemm_packed)
const uint PRODUCT_SQUARES = 256;  // sums of squares of the rows of the result
const uint MUON_RATED = 512;       // the direction has the rate in it, one number in memory, by which weights decay
HERON_SHARED_END

#ifdef __cplusplus
HERON_SHARED_BEGIN
// What describe() prints for a constant: "threads=64", "A=bf16", "ELEMENTS_SINGLE ADAMW_AMSGRAD".
struct SpecText {
    uint id;
    std::string_view name;
    std::span<const std::string_view> values = {}; // names of 0, 1, ...; empty: plain numbers
    std::span<const std::string_view> bits = {};   // names of 1, 2, 4, ...
};
inline constexpr std::string_view kDTypeNames[] = {"f32", "f16", "bf16"};
inline constexpr std::string_view kReductionNames[] = {"sum", "norm", "nonfinite"};
inline constexpr std::string_view kPrepareNames[] = {"symmetric", "copy", "transpose", "basis", "identity"};
inline constexpr std::string_view kPowerNames[] = {"start", "step"};
inline constexpr std::string_view kDistributionNames[] = {"bits", "uniform", "normal", "signs", "exponential", "advance"};
inline constexpr std::string_view kNormNames[] = {"two", "squared", "one", "infinity", "power"};
inline constexpr std::string_view kRowNames[] = {"matrix", "patches"};
inline constexpr std::string_view kRankOneNames[] = {"product", "factor", "update"};
inline constexpr std::string_view kLdltStepNames[] = {"gather", "divide", "scatter"};
inline constexpr std::string_view kFlagNames[] = {"ELEMENTS_SINGLE", "ELEMENTS_AVERAGE", "SGD_MOMENTUM", "ADAMW_AMSGRAD",
                                                  "PARTIAL_NORMS", "ACCUMULATE_FINITE", "PRODUCT_C", "PRODUCT_SYMMETRIC",
                                                  "PRODUCT_SQUARES", "MUON_RATED", "GRADIENT_READY", "ELEMENTS_ROWS",
                                                  "PRODUCT_UPPER", "ELEMENTS_APART", "PRODUCT_ROWS"};
inline constexpr SpecText kSpecTexts[] = {
    {SPEC_THREADS, "threads"},
    {SPEC_DTYPE_A, "A", kDTypeNames},
    {SPEC_DTYPE_B, "B", kDTypeNames},
    {SPEC_DTYPE_C, "C", kDTypeNames},
    {SPEC_DTYPE_D, "D", kDTypeNames},
    {SPEC_FLAGS, "flags", {}, kFlagNames},
    {SPEC_PER_THREAD, "per_thread"},
    {SPEC_POOL, "pool"},
    {SPEC_TILES, "tiles"},
    {SPEC_SUBGROUP, "subgroup"},
    {SPEC_MATRIX_M, "matrix_m"},
    {SPEC_MATRIX_N, "matrix_n"},
    {SPEC_MATRIX_K, "matrix_k"},
    {SPEC_REDUCTION, "reduction", kReductionNames},
    {SPEC_ORDER, "order"},
    {SPEC_LANES, "lanes"},
    {SPEC_PREPARE, "prepare", kPrepareNames},
    {SPEC_POWER, "power", kPowerNames},
    {SPEC_DISTRIBUTION, "distribution", kDistributionNames},
    {SPEC_NORM, "norm", kNormNames},
    {SPEC_ROWS, "rows", kRowNames},
    {SPEC_RANK_ONE, "rank_one", kRankOneNames},
    {SPEC_LDLT_STEP, "step", kLdltStepNames},
};
HERON_SHARED_END
#endif

#endif
