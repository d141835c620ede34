// SPDX-License-Identifier: MIT
#include "support/matrix.hpp"

namespace heron::test {

Matrix product(const Matrix& a, const Matrix& b) {
    return a.operator*(b);  // Eigen's: the operator alone would be ours, which calls this
}

}  // namespace heron::test
