// SPDX-License-Identifier: MIT
// Shapes of matrix products: used by tests, benchmarks and tuners alike.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

namespace heron::test {

struct GemmSize {
    std::uint64_t m, n, k;
};

// The awkward extents: around powers of two, small primes, nothing at all.
inline constexpr std::array<std::uint64_t, 25> kAwkwardExtents{
    0, 1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97, 101, 127, 128, 129, 255, 256, 257, 1000};

// Each awkward extent in each role beside moderate others; vectors, outer products, tall and wide ones.
inline std::vector<GemmSize> awkward_gemm_sizes() {
    std::vector<GemmSize> sizes;
    for (std::uint64_t extent : kAwkwardExtents) {
        sizes.push_back({extent, 19, 33});
        sizes.push_back({19, extent, 33});
        sizes.push_back({19, 33, extent});
    }
    for (std::uint64_t extent : {1u, 2u, 31u, 64u, 129u}) {
        sizes.push_back({extent, extent, extent});
        sizes.push_back({1, extent, extent});
        sizes.push_back({extent, 1, extent});
        sizes.push_back({extent, extent, 1});
        sizes.push_back({1, 1, extent});
    }
    sizes.push_back({3, 1024, 5});
    sizes.push_back({1024, 3, 5});
    sizes.push_back({130, 200, 70});
    return sizes;
}

// Small matrices, squares, the layers of a small image classifier with a batch of 128 (forward, gradients),
// and Muon's tall ones.
inline std::vector<GemmSize> gemm_benchmark_sizes() {
    return {{8, 8, 8},       {16, 16, 16},       {32, 32, 32},       {128, 128, 128}, {256, 256, 256},
            {512, 512, 512}, {1024, 1024, 1024}, {2048, 2048, 2048}, {128, 256, 784}, {256, 784, 128},
            {128, 784, 256}, {128, 10, 256},     {256, 256, 1024}};
}

}  // namespace heron::test
