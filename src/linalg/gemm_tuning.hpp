// SPDX-License-Identifier: MIT
// What the table of GEMM kernels (gemm_kernels.cpp) knows from measurements. tests/bench/tune_gemm measures
// these on a device and prints the lines.
#pragma once

#include <cstdint>

namespace heron::gemm_tuning {

// GFLOP/s of full tiles; only their ratios matter. llvmpipe of Mesa 22.3, two cores, 512 x 512 x 512.
constexpr double kCpuRate = 13.6;
constexpr double kCpuMediumRate = 9.8;
constexpr double kCpuSmallRate = 6.6;

// Where packed panels begin to pay (gemm_packed). llvmpipe of Mesa 26.1, two cores; GFLOP/s, and those of
// gemm_cpu: 64 x 64 x 512: 33, 43; 96 x 96 x 96: 31, 24; 48 x 512 x 512: 54, 33; 32 x 512 x 512: 39, 44;
// 512 x 512 x 32: 52, 23.
constexpr std::uint64_t kPackedSide = 48;    // rows and columns of D, each
constexpr std::uint64_t kPackedSquare = 96;  // and their product at least that of a square of so many
constexpr std::uint64_t kPackedDepth = 32;   // and k

// Tiles of 128 x 128 from which the large kernel is the faster one. Estimated: a large GPU has about as many
// compute units, and each should have work.
constexpr std::uint64_t kTiledLargeTiles = 128;
constexpr std::uint64_t kCoopmatLargeTiles = 128;

// Longest k of gemm_small, which does not read ahead. Predicted, no GPU at hand: what it takes has at most
// 2,048 sums with those that are padding, of which a tile of gemm_tiled has 4,096 however little is used of
// it: at least half of the multiplications are saved, and workgroups (two matrices of 32 x 32 or eight of 16
// x 16 in one instead of each in its own). Alone on its compute unit, a workgroup waits for memory between
// steps of k, some 16 long: 1000 cycles beside the 300 of its multiplications, a third more than gemm_tiled,
// whose step takes as long as memory does. A thousand k are a hundred microseconds of that; where other
// workgroups of a batch fill the gap, the length does not matter.
constexpr std::uint64_t kSmallDepth = 1024;

}  // namespace heron::gemm_tuning
