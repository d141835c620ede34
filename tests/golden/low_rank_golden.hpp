// SPDX-License-Identifier: MIT
// Bases of golden files of GaLore and its relatives.
//
// A file's basis has the signs of its library. Before a step the plan gets the file's basis of that step: at
// a refresh ours takes the same signs, and is compared; errors do not pile up over refreshes. Bases that move
// get the file's first one alone.
#pragma once

#include <algorithm>
#include <cmath>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "golden/optimizer_golden.hpp"
#include "optim/reference_low_rank.hpp"
#include "support/matrix.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {

// A basis of the file, as the plan has it: vectors are columns.
inline std::vector<double> basis_columns(const GoldenTensor& basis, bool rows_in_file) {
    if (!rows_in_file) return basis.values;
    const Matrix columns = matrix_of(basis.values, basis.shape[0], basis.shape[1]).transpose();
    return {columns.data(), columns.data() + columns.size()};
}

inline void write_basis(Plan& plan, const std::string& state, const std::vector<double>& values) {
    const std::vector<float> floats(values.begin(), values.end());
    plan.write_state(state, std::as_bytes(std::span(floats)));
}

// The largest singular value over the smallest distance of one of the first r to another (for vectors of the
// longer side to zero, too): float32 turns the vectors by 4 u times that.
inline double closeness(const GoldenTensor& g, std::uint64_t rank, bool longer_side) {
    const Vector values = singular_values(matrix_of(g.values, g.shape[0], g.shape.count() / g.shape[0]));
    const Eigen::Index r = std::min<Eigen::Index>(static_cast<Eigen::Index>(rank), values.size());
    double gap = std::numeric_limits<double>::infinity();
    for (Eigen::Index j = 0; j < r; ++j) {
        for (Eigen::Index k = 0; k < values.size(); ++k)
            if (k != j) gap = std::min(gap, std::abs(values[j] - values[k]));
        if (longer_side) gap = std::min(gap, values[j]);
    }
    return values[0] / gap;
}

struct FileBasis {
    std::string name;  // in the file: state.<name>.t
    std::string side;  // the plan's state: left, right
    bool rows;         // vectors are rows in the file
};

// How far Adam's direction goes where float32 moves the projected gradient by `error`: an element that is
// nearly zero may change by all of itself, since its root does, too.
class AdamSensitivity {
public:
    AdamSensitivity(double beta1, double beta2, double eps) : beta1_(beta1), beta2_(beta2), eps_(eps) {}

    // Relative to the direction, by Frobenius norms.
    double step(const Matrix& low, double error) {
        Matrix directions[3];
        for (int side : {0, 1, 2}) {
            const Matrix x = low.array() + (side == 0 ? 0 : side == 1 ? error : -error);
            if (m_[side].size() == 0) m_[side] = v_[side] = Matrix::Zero(low.rows(), low.cols());
            m_[side] = beta1_ * m_[side] + (1 - beta1_) * x;
            v_[side] = beta2_ * v_[side] + (1 - beta2_) * x.cwiseProduct(x);
            directions[side] = m_[side].array() / (v_[side].array().sqrt() + eps_);
        }
        const double size = directions[0].norm();
        if (!(size > 0)) return 0;
        return std::max((directions[1] - directions[0]).norm(), (directions[2] - directions[0]).norm()) /
               size;
    }

private:
    double beta1_, beta2_, eps_;
    Matrix m_[3], v_[3];
};

class LowRankFollower {
public:
    // With AdamW on the projected gradient itself.
    std::optional<AdamSensitivity> adam;
    std::uint64_t rank = 0;
    int interval = 0;  // steps between two refreshes; 0: bases move, from the file's first one on
    std::function<std::vector<FileBasis>(bool tall)> bases;

    void prepare(const GoldenCase& golden, Plan& plan, const std::string& in_file, const std::string& in_plan,
                 int t) {
        if (interval == 0 && t > 1) return;
        const GoldenTensor g = golden.tensor(GoldenCase::tensor_name("g", in_file, t));
        Followed& followed = followed_[in_plan];
        followed.in_file = in_file;
        followed.tall = g.shape[0] >= g.shape[1];
        bool longer_side = false;
        ReferenceBasis used;
        for (const FileBasis& basis : bases(followed.tall)) {
            const std::string name = GoldenCase::tensor_name("state." + basis.name, in_file, t);
            // Signs of bases that move make no difference to the weights.
            if (interval > 0 || golden.has_tensor(name)) {
                const GoldenTensor p = golden.tensor(name);
                const std::vector<double> columns = basis_columns(p, basis.rows);
                write_basis(plan, in_plan + "." + basis.side, columns);
                (basis.side == "left" ? used.left : used.right) =
                    matrix_of(columns, p.shape[basis.rows ? 1 : 0], p.shape[basis.rows ? 0 : 1]);
            }
            longer_side =
                longer_side || (g.shape[0] != g.shape[1] && (basis.side == "left") == followed.tall);
        }
        if (t == 1 || (t - 1) % interval == 0)
            followed.closeness = std::max(followed.closeness, closeness(g, rank, longer_side));
        if (!adam) return;
        if (t == 1) followed.adam = adam;
        const Matrix gradient = matrix_of(g.values, g.shape[0], g.shape[1]);
        const double line =
            gradient.norm() / std::sqrt(static_cast<double>(std::max(g.shape[0], g.shape[1])));
        followed.sensitivity =
            followed.adam->step(used.project(gradient), 4 * kUnit * followed.closeness * line);
    }
    // A few times what the basis turns by, and what Adam makes of it.
    double conditioning(const std::string& in_plan) {
        return 16 * kUnit * followed_[in_plan].closeness + 2 * followed_[in_plan].sensitivity;
    }

    // The basis that the plan has after step t.
    template <class Read>
    bool compare(const GoldenCase& golden, GoldenResult& result, const Read& read, const std::string& state,
                 const std::string& in_plan, int t) {
        const Followed& followed = followed_[in_plan];
        for (const FileBasis& basis : bases(followed.tall)) {
            if (basis.name != state) continue;
            const int step = interval == 0 ? t + 1 : t;
            const std::string name = GoldenCase::tensor_name("state." + state, followed.in_file, step);
            if (!golden.has_tensor(name)) return true;
            const std::vector<double> expected = basis_columns(golden.tensor(name), basis.rows);
            result.add(name, maximum_error(read(in_plan + "." + basis.side, expected.size()), expected),
                       (interval == 0 ? 1e-5 * t : 6e-6) + 8 * kUnit * followed.closeness);
            return true;
        }
        return false;
    }
    double state_bound(const std::string& in_plan) { return 6e-6 + 8 * kUnit * followed_[in_plan].closeness; }

private:
    struct Followed {
        std::string in_file;
        bool tall = true;
        double closeness = 0;  // worst so far
        std::optional<AdamSensitivity> adam;
        double sensitivity = 0;  // of the step
    };
    std::map<std::string, Followed> followed_;  // by the parameter's name in the plan
};

class LowRankGoldenTest : public OptimizerGoldenTest {
protected:
    // A file may have a rate for each step.
    static Schedule schedule_of(const GoldenCase& golden, float lr) {
        if (!golden.has("lr_per_step") || golden.is_null("lr_per_step")) return {};
        std::vector<float> factors;
        for (const double rate : golden.numbers("lr_per_step"))
            factors.push_back(static_cast<float>(rate / static_cast<double>(lr)));
        return Schedule::sequence(factors);
    }

    // Gives the setup a follower, which outlives it. States m, v and so on are as far off as the basis.
    static void follow_bases(const GoldenCase& golden, OptimizerGolden& setup, LowRankFollower& follower) {
        setup.prepare = [&](Plan& plan, const std::string& in_file, const std::string& in_plan, int t) {
            follower.prepare(golden, plan, in_file, in_plan, t);
        };
        setup.conditioning = [&](const std::string& in_plan, int) { return follower.conditioning(in_plan); };
        setup.compare_state = [&golden, &follower, states = setup.states](
                                  GoldenResult& to, const Plan& plan, const std::string& state,
                                  const GoldenTensor& expected, const std::string& in_plan, int t) {
            const auto read = [&](const std::string& name, std::size_t count) {
                return read_state(plan, name, count);
            };
            if (follower.compare(golden, to, read, state, in_plan, t)) return true;
            const auto known = states.find(state);
            if (known == states.end() || known->second.empty()) return false;
            to.add(
                state + " of step " + std::to_string(t),
                maximum_error(read(in_plan + "." + known->second, expected.values.size()), expected.values),
                follower.state_bound(in_plan) + (follower.interval == 0 ? 1e-5 * t : 0));
            return true;
        };
    }
};

}  // namespace heron::test
