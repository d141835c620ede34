// SPDX-License-Identifier: MIT
// Random numbers for first weights, the same on every machine: SplitMix64 (Steele et al. 2014).
#pragma once

#include <cstdint>

namespace samples {

class UniformNumbers {
public:
    explicit UniformNumbers(std::uint64_t seed) : state_(seed) {}

    // In [-bound, bound).
    double within(double bound) { return bound * (2.0 * next() - 1.0); }

private:
    double next() {  // in [0, 1)
        state_ += 0x9e3779b97f4a7c15ull;
        std::uint64_t z = state_;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
        return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
    }

    std::uint64_t state_;
};

}  // namespace samples
