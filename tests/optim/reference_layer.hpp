// SPDX-License-Identifier: MIT
// What references of optimizers that take layers share: a layer without a bias, whose captures are those that
// training.hpp makes of its gradient (the loss a mean over them), and SGD's step with a direction.
#pragma once

#include "optim/reference.hpp"
#include "optim/training.hpp"

namespace heron::test {

class LayerReference : public Reference {
public:
    LayerReference(const MomentumStep& step, std::uint64_t rows, std::uint64_t cols)
        : rows_(rows), cols_(cols), step_(step) {}

protected:
    Matrix inputs(const std::vector<double>& gradient) const {
        return matrix_of(doubles(captured_inputs({gradient.begin(), gradient.end()}, cols_)), kCaptures,
                         cols_);
    }
    Matrix output_gradients(const std::vector<double>& gradient) const {
        return matrix_of(doubles(captured_output_gradients({gradient.begin(), gradient.end()}, rows_)),
                         kCaptures, rows_);
    }
    // A square state; the identity where there is none yet.
    Matrix square(const std::string& name, std::uint64_t order) {
        const auto found = states.find(name);
        if (found != states.end()) return matrix_of(found->second, order, order);
        return Matrix::Identity(static_cast<Eigen::Index>(order), static_cast<Eigen::Index>(order));
    }
    void keep(const std::string& name, const Matrix& value) {
        states[name].assign(value.data(), value.data() + value.size());
    }

    void sgd_step(std::vector<double>& w, const Matrix& direction, double lr, std::uint64_t t) {
        const double wd = t > step_.decay_from ? static_cast<double>(step_.weight_decay) : 0;
        std::vector<double> none(w.size());
        std::vector<double>& b = step_.momentum > 0 ? state("momentum", w.size()) : none;
        for (std::size_t i = 0; i < w.size(); ++i) {
            double d = direction.data()[i];
            if (step_.decoupled_decay)
                w[i] *= 1 - lr * wd;
            else
                d += wd * w[i];
            b[i] = step_.momentum * b[i] + (t == 1 ? 1 : 1 - step_.dampening) * d;
            w[i] -= lr * (step_.nesterov ? d + step_.momentum * b[i] : step_.momentum > 0 ? b[i] : d);
        }
    }

    std::uint64_t rows_, cols_;
    MomentumStep step_;
};

}  // namespace heron::test
