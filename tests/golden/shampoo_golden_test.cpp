// SPDX-License-Identifier: MIT
// Shampoo, Shampoo^2 and KL-Shampoo against Distributed Shampoo.
#include <algorithm>
#include <cmath>
#include <stdexcept>
#include <vector>

#include "golden/optimizer_golden.hpp"
#include "optim/tensor_blocks.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {
namespace {

class ShampooGoldenTest : public OptimizerGoldenTest {
public:
    void run_shampoo(const GoldenCase& golden, GoldenResult& result) {
        const ShampooOptions options = options_of(golden);
        OptimizerGolden setup;
        // Ten times what rounding to f32 costs the reference, or the same of a root whose null space f32
        // cannot tell from epsilon: components there are off by some roundings, 2 sqrt(n) u, of the gradient
        // and grow by (n 2^-23)^(-1/2), together sqrt(2^-23). ("nan": the reference's root fails in f32.)
        const double deviation = std::stod(golden.metadata("float32_deviation"));
        std::uint64_t order = 1;
        const Shape shape = golden.tensor("w.0").shape;
        const std::vector<TensorBlock> blocks =
            tensor_blocks(merge_axes(shape, options.block_size, options.least_order), options.block_size);
        for (const std::uint64_t extent : blocks[0].extents) order = std::max(order, extent);
        const bool floored = static_cast<double>(options.epsilon) < static_cast<double>(order) * 0x1p-23;
        const double least = floored ? std::sqrt(0x1p-23) : 2e-5;
        setup.update_bound = std::isnan(deviation) ? least : std::max(10 * deviation, least);
        // Whitened statistics, and roots of them, have squares of what roots make of null spaces.
        const double factor_bound =
            options.statistic == ShampooStatistic::whitened ? 4 * std::sqrt(0x1p-23) : setup.update_bound;
        setup.compare_state = [&](GoldenResult& into, const Plan& plan, const std::string& state,
                                  const GoldenTensor& expected, const std::string& name, int t) {
            return compare_block_state(golden, into, plan, state, expected, name, t, floored,
                                       setup.update_bound, factor_bound);
        };
        setup.make = [&](const Device& on) { return std::make_unique<Shampoo>(on, options); };
        run_case(golden, result, setup);
    }

private:
    static ShampooOptions options_of(const GoldenCase& golden) {
        ShampooOptions options;
        options.lr = static_cast<float>(golden.number("lr"));
        if (!golden.is_null("lrs")) {
            std::vector<float> factors;
            for (const double lr : golden.numbers("lrs"))
                factors.push_back(static_cast<float>(lr / golden.number("lr")));
            options.schedule = Schedule::sequence(factors);
        }
        options.beta1 = golden.numbers("betas").at(0);
        options.beta2 = golden.numbers("betas").at(1);
        options.beta3 = golden.number("beta3");
        options.unweighted_sum = golden.flag("drop_weighting_factor_on_gsquare", false);
        options.bias_correction = golden.flag("use_bias_correction", true);
        options.epsilon = static_cast<float>(golden.number("epsilon"));
        options.block_size = static_cast<std::uint32_t>(golden.number("max_preconditioner_dim"));
        options.least_order = static_cast<std::uint32_t>(golden.number("target_parameter_dimensionality"));
        options.refresh.interval = static_cast<std::uint32_t>(golden.number("precondition_frequency"));
        options.refresh.stagger = false;
        const double start = golden.number("start_preconditioning_step");
        options.refresh.first = start < 0 ? 0 : static_cast<std::uint32_t>(start);
        options.weight_decay = static_cast<float>(golden.number("weight_decay"));
        options.decay = static_cast<ShampooDecay>(choice(golden.text("weight_decay_type", "DECOUPLED"),
                                                         {"DECOUPLED", "CORRECTED", "INDEPENDENT", "L2"}));
        if (golden.flag("use_trace_scaling", false))
            options.trace_exponent = golden.number("trace_scaling_exponent");
        else
            golden.number("trace_scaling_exponent", 0);
        set_exponents(golden, options);
        set_graft(golden, options);
        set_root(golden, options);
        if (!golden.is_null("momentum")) {
            options.momentum = golden.number("momentum.momentum");
            options.dampening = golden.number("momentum.dampening", 0.0);
            options.nesterov = golden.flag("momentum.use_nesterov", false);
        }
        options.statistic =
            choice(golden.text("variant", "root_inv"),
                   {"root_inv", "eigendecomposed", "kl_root_inv", "eigenvalue_corrected"}) == 2
                ? ShampooStatistic::whitened
                : ShampooStatistic::gradient;
        options.eigenbasis = golden.text("variant", "") == "eigenvalue_corrected";
        golden.is_null("blocks");  // follows from the others
        return options;
    }

    // {"2": 0.5} or {"2": {"0": 0.5, "1": 0.0}}; an axis that is left out keeps its own.
    static void set_exponents(const GoldenCase& golden, ShampooOptions& options) {
        if (golden.is_null("inverse_exponent_override")) return;
        for (std::uint32_t order = 1; order <= Shape::kMaxRank; ++order) {
            const std::string key = "inverse_exponent_override." + std::to_string(order);
            if (golden.has(key)) options.exponents[order] = {golden.number(key)};
            for (std::uint32_t axis = 0; axis < order; ++axis) {
                const std::string of_axis = key + "." + std::to_string(axis);
                if (!golden.has(of_axis)) continue;
                std::vector<double>& exponents = options.exponents[order];
                exponents.resize(order, 1.0 / (2.0 * order));
                exponents[axis] = golden.number(of_axis);
            }
        }
    }

    static void set_graft(const GoldenCase& golden, ShampooOptions& options) {
        options.graft = ShampooGraft::none;
        if (golden.is_null("grafting")) {
            golden.is_null("grafting_kw");
            return;
        }
        options.graft = static_cast<ShampooGraft>(
            choice(golden.text("grafting", ""), {"none", "sgd", "adagrad", "rmsprop", "adam"}));
        options.graft_beta = options.graft == ShampooGraft::rmsprop ? 0.99 : 0.999;
        if (golden.is_null("grafting_kw")) return;
        options.graft_beta = golden.number("grafting_kw.beta2", options.graft_beta);
        options.graft_eps = static_cast<float>(golden.number("grafting_kw.epsilon", 1e-10));
    }

    static void set_root(const GoldenCase& golden, ShampooOptions& options) {
        const std::size_t solver =
            choice(golden.text("solver", "eigh"), {"eigh", "coupled_newton", "higher_order", "qr"});
        if (solver == 3)
            options.qr_steps = static_cast<std::uint32_t>(golden.number("solver_kw.max_iterations", 1));
        if (solver == 1 || solver == 2) options.root = ShampooRoot::newton;
        if (golden.is_null("solver_kw")) return;
        if (golden.flag("solver_kw.pseudo_inverse", false)) options.root = ShampooRoot::pseudo_inverse;
        if (!golden.is_null("solver_kw.rank_rtol") && golden.has("solver_kw.rank_rtol"))
            throw std::runtime_error("another rank tolerance than the dtype's");
        // Both iterations converge to the same root.
        if (solver == 2) {
            options.epsilon = static_cast<float>(golden.number("solver_kw.abs_epsilon"));
            options.relative_epsilon = static_cast<float>(golden.number("solver_kw.rel_epsilon"));
        }
        for (const char* budget : {"max_iterations", "tolerance", "order"})
            golden.number("solver_kw." + std::string(budget), 0);
    }

    static std::size_t choice(const std::string& value, const std::vector<std::string>& known) {
        const auto at = std::find(known.begin(), known.end(), value);
        if (at == known.end()) throw std::runtime_error("\"" + value + "\" is not known to this test");
        return static_cast<std::size_t>(at - known.begin());
    }

    // state.block<b>.<name><axis>. Of a root with a null space: times its factor, which leaves that out.
    static bool compare_block_state(const GoldenCase& golden, GoldenResult& result, const Plan& plan,
                                    const std::string& state, const GoldenTensor& expected,
                                    const std::string& name, int t, bool floored, double bound,
                                    double factor_bound) {
        const std::size_t dot = state.find('.');
        if (!state.starts_with("block") || dot == std::string::npos) return false;
        const std::string kind = state.substr(dot + 1);
        if (state.substr(0, dot) != "block0") throw std::runtime_error("states of several blocks");
        const std::map<std::string, std::string> whole{{"adagrad", "v"},
                                                       {"corrected_eigenvalues", "basis_moment"},
                                                       {"filtered_grad", "m"},
                                                       {"momentum_buffer", "momentum"}};
        if (const auto found = whole.find(kind); found != whole.end()) {
            result.add(state, maximum_error(values_of(plan, name + "." + found->second), expected.values),
                       bound);
            return true;
        }
        const std::string axis = kind.substr(kind.find_last_not_of("0123456789") + 1);
        const std::string what = kind.substr(0, kind.size() - axis.size());
        // Temporaries of a root.
        if (what == "factor_matrices_eigenvectors" || what == "factor_matrices_eigenvalues") return true;
        const bool root = what == "inv_factor_matrices";
        if (!root && what != "factor") return false;
        std::vector<double> computed = values_of(plan, name + ".factor" + axis + (root ? "_whitener" : ""));
        if (computed.size() != expected.values.size()) throw std::runtime_error("factors of several blocks");
        std::vector<double> wanted = expected.values;
        if (root && floored) {
            const std::uint64_t n = expected.shape[0];
            const Matrix factor =
                matrix_of(golden.tensor("state.block0.factor" + axis + "." + std::to_string(t)).values, n, n);
            const Matrix left = matrix_of(computed, n, n) * factor, right = matrix_of(wanted, n, n) * factor;
            computed.assign(left.data(), left.data() + left.size());
            wanted.assign(right.data(), right.data() + right.size());
        }
        result.add(state, maximum_error(computed, wanted), factor_bound);
        return true;
    }
    static std::vector<double> values_of(const Plan& plan, const std::string& state) {
        std::vector<float> values(plan.state_view(state).shape.count());
        plan.read_state(state, std::as_writable_bytes(std::span(values)));
        return {values.begin(), values.end()};
    }
};

TEST_P(ShampooGoldenTest, EveryFile) {
    for (const char* algorithm : {"shampoo", "shampoo2", "kl_shampoo", "soap_eigenvalue_corrected"})
        run_golden(algorithm, GetParam().name,
                   [&](const GoldenCase& golden, GoldenResult& result) { run_shampoo(golden, result); });
}

HERON_DEVICE_TESTS(ShampooGoldenTest);

}  // namespace
}  // namespace heron::test
