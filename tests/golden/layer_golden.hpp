// SPDX-License-Identifier: MIT
// Golden files of layers that a test makes of matrices, for options of official codes that none of the
// project's files has.
#pragma once

#include <cstdint>
#include <random>
#include <string>

#include "golden/golden_file.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {

class LayerGolden : public GoldenFile {
protected:
    using GoldenFile::GoldenFile;

    // Normal numbers, as f32 has them: what goes in is the same for both sides.
    Matrix drawn(std::uint64_t rows, std::uint64_t cols) {
        return gaussian(rows, cols, random_).cast<float>().cast<double>();
    }

    void add_matrix(const std::string& name, const Matrix& x) {
        add(name, Shape{static_cast<std::uint64_t>(x.rows()), static_cast<std::uint64_t>(x.cols())},
            {x.data(), x.data() + x.size()});
    }

private:
    std::mt19937 random_{1};
};

}  // namespace heron::test
