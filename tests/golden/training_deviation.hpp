// SPDX-License-Identifier: MIT
// How far a whole training of a golden file ends from the file's, and how far it may: ten times the file's
//
//   float32_deviation = |w'_T - w_T| / |w_T - w_0|
//
// w' the reference with inputs, products, eigenvectors and inverses rounded to f32, or 2e-5 where that is
// more; and one rounding of the weights in each step, which w' does not have, and the first weights'. (Where
// they are a thousand times what they move, those are most of it.) A training runs on from w_0: of one whose
// steps begin at the file's weights it says nothing. Nor does a file without that number, or with "nan",
// where the reference has no root in f32.
#pragma once

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "support/golden.hpp"

namespace heron::test {

// How far a step, or a state, may be from the file's: ten times what rounding to f32 costs the reference's
// whole training, at least `least`. (1e-4 is what an update may be off after one step, whatever the file
// says: a single step may round worse than all of them together.)
inline double float32_bound(const GoldenCase& golden, double least = 1e-4) {
    const std::string said = golden.metadata("float32_deviation");
    const double deviation = said.empty() ? 0.0 : std::stod(said);
    return std::max(std::isnan(deviation) ? 0.0 : 10 * deviation, least);
}

class TrainingDeviation {
public:
    // One of the file's tensors.
    void add(const std::vector<double>& first, const std::vector<double>& last,
             const std::vector<float>& computed) {
        for (std::size_t i = 0; i < computed.size(); ++i) {
            error_ += std::pow(static_cast<double>(computed[i]) - last.at(i), 2);
            way_ += std::pow(last[i] - first.at(i), 2);
            size_ += std::pow(last[i], 2);
        }
    }
    // `bound`: in place of the file's, where it is not 0.
    void compare(const GoldenCase& golden, GoldenResult& result, const std::string& label,
                 double bound = 0) const {
        const std::string said = golden.metadata("float32_deviation");
        if (said.empty() || std::isnan(std::stod(said)) || way_ == 0) return;
        int roundings = 1;
        while (golden.has_tensor("w." + std::to_string(roundings))) ++roundings;
        result.add(label + "the whole training", std::sqrt(error_ / way_),
                   (bound > 0 ? bound : float32_bound(golden, 2e-5)) +
                       roundings * 0x1p-24 * std::sqrt(size_ / way_));
    }

private:
    double error_ = 0, way_ = 0, size_ = 0;  // squares
};

}  // namespace heron::test
