// SPDX-License-Identifier: MIT
// Bases that move by gradient steps on what they leave of the gradient (Online Subspace Descent, Liang et al.
// 2024):
//
//   one side   |G - P P^T G|^2 (or |G - G P P^T|^2),  G of norm 1
//   both       |G - L L^T G R R^T|^2
#pragma once

#include <vector>

#include "heron/optim/online_subspace_descent.hpp"
#include "optim/low_rank.hpp"

namespace heron {

// gpu::SubspaceDescentHyper
std::vector<HyperValue> subspace_descent_hyper(const SubspaceDescentOptions& options,
                                               const Schedule& schedule);
// Throws (invalid_argument), in the name of `optimizer`, for an option out of range.
void check_subspace_descent(std::string_view optimizer, const SubspaceDescentOptions& options);
std::string subspace_descent_text(const SubspaceDescentOptions& options);

// The bases of one parameter; states <parameter>.left_m, .left_v, .right_m, .right_v.
class SubspaceDescent {
public:
    // `first_hyper`: where gpu::SubspaceDescentHyper begins in the optimizer's hyper struct.
    SubspaceDescent(StepBuilder& step, const StepBuilder::Item& item, const SubspaceDescentOptions& options,
                    std::uint64_t first_hyper, const std::vector<LowRankBasis>& bases);

    // SubspaceRule::random, before everything of the step that uses the basis.
    void draw(const StepBuilder::Item& item, std::size_t batch);
    // The other rules, after everything of the step that uses the basis. `low` is the projection of
    // `gradient`.
    void move(std::size_t batch, const Tensor& gradient, const Tensor& low);

private:
    struct Side {
        std::vector<Tensor> bases;  // by batch, empty for some
        std::vector<Tensor> m, v;
    };
    Side side(const StepBuilder::Item& item, const char* name, const std::vector<LowRankBasis>& bases,
              Tensor LowRankBasis::*member);
    // x / |G|
    Tensor unit(const Tensor& x, const Tensor& norms);
    Tensor gram(const Tensor& x, bool of_columns, const Tensor& added = {});
    void move_one(const Side& side, std::size_t batch, const Tensor& gradient, const Tensor& a,
                  const Tensor& norms);
    void move_both(std::size_t batch, const Tensor& gradient, const Tensor& a, const Tensor& norms);
    void step_of(const Side& side, std::size_t batch, const Tensor& half_gradient, const Tensor& norms);

    StepBuilder& step_;
    Graph& graph_;
    const SubspaceDescentOptions& options_;
    Tensor hyper_;
    Side left_, right_;
};

}  // namespace heron
