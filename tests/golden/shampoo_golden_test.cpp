// SPDX-License-Identifier: MIT
// Shampoo, Shampoo^2 and KL-Shampoo against Distributed Shampoo.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <map>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "golden/optimizer_golden.hpp"
#include "golden/reference_golden.hpp"
#include "optim/reference_shampoo.hpp"
#include "optim/shampoo_options.hpp"
#include "optim/tensor_blocks.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {
namespace {

class ShampooGoldenTest : public OptimizerGoldenTest {
public:
    void run_shampoo(const GoldenCase& golden, GoldenResult& result) {
        const ShampooOptions options = options_of(golden);
        OptimizerGolden setup;
        // Of a whole training ten times what rounding to f32 costs the reference, or where that is more 2e-5;
        // 1e-4 where epsilon is below 1e-3 of all eigenvalues of a gradient's factor together, so that roots
        // magnify roundings. (zero_grad_step, say: the factor of a single 8 x 8 gradient has a condition
        // number of 3e4. Rounding its elements, sums of f32, takes 2e-5 to 3e-5 of its updates, rounded
        // eigenvectors 2e-5 more; eigenvalues as LAPACK's f32 has them, off by n u of the largest, would take
        // 1e-4.) ("nan": the reference's root fails in f32, and 1e-4 t has to do.)
        const std::string said = golden.metadata("float32_deviation");
        const double deviation = said.empty() ? 0.0 : std::stod(said);
        const Shape merged = merge_axes(golden.tensor("w.0").shape, options.block_size, options.least_order);
        const std::vector<TensorBlock> blocks = tensor_blocks(merged, options.block_size);
        double largest = 0, order = 1;
        for (int t = 1; golden.has_tensor("g." + std::to_string(t)); ++t) {
            double trace = 0;
            for (const double g : golden.tensor("g." + std::to_string(t)).values) trace += g * g;
            largest = std::max(largest, std::pow(trace, 1 - options.trace_exponent));
        }
        for (const std::uint64_t extent : blocks[0].extents)
            order = std::max(order, static_cast<double>(extent));
        const double epsilon = static_cast<double>(options.epsilon);
        const bool floored = epsilon < order * 0x1p-23 * largest;
        const double least = epsilon < 1e-3 * largest && !options.eigenbasis ? 1e-4 : 2e-5;
        const double bound = float32_bound(golden);
        setup.update_bound = std::isnan(deviation) ? 0 : bound;
        setup.training_bound = float32_bound(golden, least);
        const bool whitened = options.statistic == ShampooStatistic::whitened;
        // The deviation is a share of the whole way. Of KL-Shampoo's the first step is most: the statistics
        // after it are magnified by epsilon's root, and the updates made of them have as much more of it as
        // they are shorter than the way; up to 1e-3, what an update may be off.
        if (whitened && !std::isnan(deviation))
            setup.conditioning = [&golden, deviation, bound](const std::string&, int t) {
                int last = t;
                while (golden.has_tensor("w." + std::to_string(last + 1))) ++last;
                const double share = distance(golden, t, t - 1) / distance(golden, last, 0);
                return std::max(0.0, std::min(10 * deviation / share, 1e-3) - bound);
            };
        const double factor_bound = whitened ? 4 * bound : bound;  // squares of what roots make
        Blocks all{golden, options, {merged, blocks, 0}, floored, bound, factor_bound, factor_bound, {}};
        // The file's own eigenvalues of a null space: LAPACK's zeros, n 2^-53 of the largest, beside epsilon,
        // of which a root of 1/2 has half as much.
        if (floored && is_deficient(options, blocks[0].extents)) {
            const double zeros = 0.5 * order * 0x1p-53 * largest / epsilon;
            setup.conditioning = [zeros](const std::string&, int) { return zeros; };
            // Roots have a null space that is theirs: they are compared as they are.
            all.floored = false;
            all.root_bound = bound + zeros;
        }
        setup.prepare = [&](const Plan& plan, const std::string&, const std::string& name, int t) {
            if (all.has_eigenvalues() && is_refresh(options, t - 1)) all.keep_eigenvalues(plan, name, t - 1);
        };
        setup.compare_state = [&](GoldenResult& into, const Plan& plan, const std::string& state,
                                  const GoldenTensor& expected, const std::string& name,
                                  int t) { return all.compare_state(into, plan, state, expected, name, t); };
        setup.make = [&](const Device& on) { return std::make_unique<Shampoo>(on, options); };
        run_case(golden, result, setup);
    }

private:
    static double distance(const GoldenCase& golden, int a, int b) {
        const std::vector<double> x = golden.tensor("w." + std::to_string(a)).values,
                                  y = golden.tensor("w." + std::to_string(b)).values;
        double sum = 0;
        for (std::size_t i = 0; i < x.size(); ++i) sum += (x[i] - y[i]) * (x[i] - y[i]);
        return std::sqrt(sum);
    }

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
        // Infinity, which is null here, merges all and cuts nothing.
        options.block_size = golden.is_null("max_preconditioner_dim")
                                 ? std::numeric_limits<std::uint32_t>::max()
                                 : static_cast<std::uint32_t>(golden.number("max_preconditioner_dim"));
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
        const std::size_t variant = choice(
            golden.text("variant", "root_inv"),
            {"root_inv", "eigendecomposed", "eigenvalue_corrected", "kl_root_inv", "kl_eigendecomposed"});
        options.eigenbasis = variant == 2;
        options.statistic = variant >= 3 ? ShampooStatistic::whitened : ShampooStatistic::gradient;
        set_exponents(golden, options);
        set_graft(golden, options);
        set_root(golden, options);
        // The official rule, where a step, or a statistic, sees the null space of an earlier refresh.
        if (!options.eigenbasis && options.root == ShampooRoot::eigenvalues && options.epsilon > 0 &&
            (options.refresh.interval > 1 || options.statistic == ShampooStatistic::whitened))
            options.null_space = ShampooNullSpace::epsilon;
        if (!golden.is_null("momentum")) {
            options.momentum = golden.number("momentum.momentum");
            options.dampening = golden.number("momentum.dampening", 0.0);
            options.nesterov = golden.flag("momentum.use_nesterov", false);
        }
        golden.is_null("blocks");  // follows from the others
        return options;
    }

    // {"2": 0.5} or {"2": {"0": 0.5, "1": 0.0}}; an axis that is left out keeps its own. SOAP's form has one
    // for c, and axes without a basis, {"2": [1]}.
    static void set_exponents(const GoldenCase& golden, ShampooOptions& options) {
        golden.is_null("ignored_basis_change_dims");
        for (std::uint32_t order = 1; options.eigenbasis && order <= Shape::kMaxRank; ++order) {
            const std::string key = std::to_string(order), ignored = "ignored_basis_change_dims." + key;
            if (golden.has("inverse_exponent_override." + key))
                options.moment_exponents[order] = golden.number("inverse_exponent_override." + key);
            if (!golden.has(ignored)) continue;
            options.exponents[order].assign(order, 1.0 / (2.0 * order));
            for (const double axis : golden.numbers(ignored))
                options.exponents[order].at(static_cast<std::size_t>(axis)) = 0;
        }
        if (golden.is_null("inverse_exponent_override") || options.eigenbasis) return;
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
        options.graft_unweighted_sum = golden.flag("grafting_kw.drop_weighting_factor_on_gsquare", false);
    }

    static void set_root(const GoldenCase& golden, ShampooOptions& options) {
        const std::size_t solver =
            choice(golden.text("solver", "eigh"), {"eigh", "coupled_newton", "higher_order", "qr"});
        if (solver == 3)
            options.qr_steps = static_cast<std::uint32_t>(golden.number("solver_kw.max_iterations", 1));
        // In f32 the iteration wants an epsilon that it can tell from zero; eigenvalues have the same root.
        if (solver == 2 || (solver == 1 && options.epsilon >= 1e-6f)) options.root = ShampooRoot::newton;
        if (golden.is_null("solver_kw")) return;
        if (golden.flag("solver_kw.pseudo_inverse", false)) options.root = ShampooRoot::pseudo_inverse;
        // Below what f32 can tell from zero, which 0 is in the official code, it is that.
        if (!golden.is_null("solver_kw.rank_rtol"))
            options.rank_tolerance = static_cast<float>(golden.number("solver_kw.rank_rtol", 0));
        if (!golden.is_null("solver_kw.rank_atol"))
            options.absolute_rank_tolerance = static_cast<float>(golden.number("solver_kw.rank_atol", 0));
        // The part of a basis' B off its diagonal; of an iteration its end.
        const double tolerance = golden.number("solver_kw.tolerance", 0);
        if (solver == 0 || solver == 3) options.basis_tolerance = static_cast<float>(tolerance);
        // Both iterations converge to the same root.
        if (solver == 2) {
            options.epsilon = static_cast<float>(golden.number("solver_kw.abs_epsilon"));
            options.relative_epsilon = static_cast<float>(golden.number("solver_kw.rel_epsilon"));
        }
        for (const char* budget : {"max_iterations", "order"})
            golden.number("solver_kw." + std::string(budget), 0);
        if (!golden.flag("solver_kw.perturb_before_computation", true) && solver == 3 && options.epsilon != 0)
            throw std::runtime_error("QR without epsilon, which Shampoo's bases leave out");
        for (const char* of_f32 : {"retry_double_precision", "disable_tf32"})
            golden.flag("solver_kw." + std::string(of_f32), true);
    }

    static std::size_t choice(const std::string& value, const std::vector<std::string>& known) {
        const auto at = std::find(known.begin(), known.end(), value);
        if (at == known.end()) throw std::runtime_error("\"" + value + "\" is not known to this test");
        return static_cast<std::size_t>(at - known.begin());
    }

    // Of the block of a state's name.
    struct Place {
        Shape merged;
        std::vector<TensorBlock> blocks;
        std::size_t block;

        const Shape& extents() const { return blocks[block].extents; }
        // Its elements of a whole tensor.
        std::vector<double> of_whole(const std::vector<double>& whole) const {
            std::vector<double> part;
            for (std::size_t i = 0; i < extents().count(); ++i) {
                std::size_t rest = i, element = 0, stride = 1;
                for (std::size_t a = merged.rank(); a-- > 0; stride *= merged[a], rest /= extents()[a])
                    element += (blocks[block].first[a] + rest % extents()[a]) * stride;
                part.push_back(whole.at(element));
            }
            return part;
        }
        // Of tensors that lie one after the other, block after block, with so many elements for each.
        template <class Count>
        std::vector<double> of_pool(const std::vector<double>& pool, const Count& count) const {
            std::size_t first = 0;
            for (std::size_t b = 0; b < block; ++b) first += count(blocks[b].extents);
            if (first + count(extents()) > pool.size()) throw std::runtime_error("a state is too short");
            const auto begin = pool.begin() + static_cast<std::ptrdiff_t>(first);
            return {begin, begin + static_cast<std::ptrdiff_t>(count(extents()))};
        }
    };

    // Step t, from 1, of a policy without stagger and growth.
    static bool is_refresh(const ShampooOptions& options, int t) {
        const int interval = static_cast<int>(options.refresh.interval);
        const int first = options.refresh.first > 0 ? static_cast<int>(options.refresh.first) : interval;
        return t == first || (t > first && t % interval == 0);
    }
    // Whether roots outlive a refresh that has fewer gradients than rank, with epsilon in their null space.
    static bool is_deficient(const ShampooOptions& options, const Shape& extents) {
        if (options.null_space != ShampooNullSpace::epsilon) return false;
        const std::uint64_t gradients =
            options.refresh.first > 0 ? options.refresh.first : options.refresh.interval;
        for (std::size_t axis = 0; axis < extents.rank(); ++axis)
            if (exponent_of(options, extents.rank(), axis) > 0 &&
                gradients * (extents.count() / extents[axis]) < extents[axis])
                return true;
        return false;
    }

    // The file's states, of all blocks, with their bounds.
    struct Blocks {
        const GoldenCase& golden;
        const ShampooOptions& options;
        Place place;
        bool floored;  // roots have a null space that is not the file's
        double bound, factor_bound, root_bound;
        // Of the last refresh, by block and axis.
        std::map<std::pair<std::size_t, std::size_t>, std::vector<double>> eigenvalues;

        // Of steps of QR they are what these make of them.
        bool has_eigenvalues() const {
            if (options.qr_steps > 0 || options.basis_tolerance > 0) return false;
            const std::vector<std::string> names = golden.tensor_names();
            return std::any_of(names.begin(), names.end(), [](const std::string& name) {
                return name.find("factor_matrices_eigenvalues") != std::string::npos;
            });
        }
        void keep_eigenvalues(const Plan& plan, const std::string& name, int t) {
            const std::size_t order = place.merged.rank();
            for (place.block = 0; place.block < place.blocks.size(); ++place.block)
                for (std::size_t axis = 0; axis < order; ++axis)
                    if (exponent_of(options, order, axis) > 0)
                        eigenvalues[{place.block, axis}] = eigenvalues_of(plan, name, axis, t);
        }

        // state.block<b>.<name><axis>. Of a root with a null space: times its factor, which leaves that out.
        bool compare_state(GoldenResult& result, const Plan& plan, const std::string& state,
                           const GoldenTensor& expected, const std::string& name, int t) {
            const std::size_t dot = state.find('.');
            if (!state.starts_with("block") || dot == std::string::npos) return false;
            const std::string kind = state.substr(dot + 1), block = state.substr(0, dot);
            place.block = std::stoul(block.substr(5));
            if (place.block >= place.blocks.size()) throw std::runtime_error("there is no " + block);
            const std::map<std::string, std::string> whole{
                {"adagrad", "v"}, {"filtered_grad", "m"}, {"momentum_buffer", "momentum"}};
            if (const auto found = whole.find(kind); found != whole.end()) {
                const std::vector<double> values =
                    place.of_whole(values_of(plan, name + "." + found->second));
                result.add(state, maximum_error(values, expected.values), bound);
                return true;
            }
            if (kind == "corrected_eigenvalues") {
                const std::vector<double> moments =
                    place.of_pool(values_of(plan, name + ".basis_moment"),
                                  [](const Shape& extents) { return extents.count(); });
                result.add(state, maximum_error(moments, expected.values), bound);
                return true;
            }
            const std::string index = kind.substr(kind.find_last_not_of("0123456789") + 1);
            const std::string what = kind.substr(0, kind.size() - index.size());
            if (what == "factor_matrices_eigenvectors") return true;  // signs are anybody's choice
            const bool root = what == "inv_factor_matrices", values = what == "factor_matrices_eigenvalues";
            if ((!root && !values && what != "factor") || index.empty()) return false;
            const std::size_t axis = axis_of(block, std::stoul(index), t);
            if (values) {
                compare_eigenvalues(result, plan, state, expected, name, axis, t);
                return true;
            }
            std::vector<double> computed =
                pool_of(plan, name + ".factor" + std::to_string(axis) + (root ? "_whitener" : ""), axis);
            std::vector<double> wanted = expected.values;
            if (root && floored) {
                const std::uint64_t n = expected.shape[0];
                const GoldenTensor of_root =
                    golden.tensor("state." + block + ".factor" + index + "." + std::to_string(t));
                const Matrix factor = matrix_of(of_root.values, n, n);
                const Matrix left = matrix_of(computed, n, n) * factor,
                             right = matrix_of(wanted, n, n) * factor;
                computed.assign(left.data(), left.data() + left.size());
                wanted.assign(right.data(), right.data() + right.size());
            }
            result.add(state, maximum_error(computed, wanted), root ? root_bound : factor_bound);
            return true;
        }

    private:
        // The file's factors are those of the axes that have one; it counts these, or names their axes.
        std::size_t axis_of(const std::string& block, std::size_t index, int t) const {
            std::vector<std::size_t> axes;
            for (std::size_t axis = 0; axis < place.merged.rank(); ++axis)
                if (exponent_of(options, place.merged.rank(), axis) > 0) axes.push_back(axis);
            if (axes.empty()) throw std::runtime_error("a factor of a tensor without any");
            const std::string last = "state." + block + ".factor" + std::to_string(axes.back());
            if (golden.has_tensor(last + "." + std::to_string(t))) return index;
            if (index >= axes.size()) throw std::runtime_error("a factor of an axis that is not there");
            return axes[index];
        }
        std::vector<double> pool_of(const Plan& plan, const std::string& state, std::size_t axis) const {
            return place.of_pool(values_of(plan, state),
                                 [axis](const Shape& extents) { return extents[axis] * extents[axis]; });
        }
        // Of X + epsilon I after step t, ascending, in float64.
        std::vector<double> eigenvalues_of(const Plan& plan, const std::string& name, std::size_t axis,
                                           int t) const {
            const std::uint64_t n = place.extents()[axis];
            const double epsilon = static_cast<double>(options.epsilon);
            Matrix x = matrix_of(pool_of(plan, name + ".factor" + std::to_string(axis), axis), n, n);
            if (options.bias_correction && options.beta2 < 1 && !options.unweighted_sum)
                x /= 1 - std::pow(options.beta2, t);
            if (options.trace_exponent > 0)
                x *= std::pow(std::max(x.trace(), epsilon), -options.trace_exponent);
            x.diagonal().array() += epsilon;
            const Vector values = symmetric_eigen(x).values;
            return {values.data(), values.data() + values.size()};
        }
        // The plan's are those of the last refresh; before the first there is nothing to compare.
        void compare_eigenvalues(GoldenResult& result, const Plan& plan, const std::string& state,
                                 const GoldenTensor& expected, const std::string& name, std::size_t axis,
                                 int t) const {
            if (!has_eigenvalues()) return;
            std::vector<double> computed;
            if (const auto kept = eigenvalues.find({place.block, axis}); kept != eigenvalues.end())
                computed = kept->second;
            if (is_refresh(options, t)) computed = eigenvalues_of(plan, name, axis, t);
            if (computed.empty()) return;
            std::vector<double> wanted = expected.values;
            std::sort(wanted.begin(), wanted.end());
            result.add(state, maximum_error(computed, wanted), bound);
        }
    };
    static std::vector<double> values_of(const Plan& plan, const std::string& state) {
        std::vector<float> values(plan.state_view(state).shape.count());
        plan.read_state(state, std::as_writable_bytes(std::span(values)));
        return {values.begin(), values.end()};
    }
};

// Shampoo's reference with parts of its states, by the files' names.
class BlockedReference : public Reference {
public:
    struct Part {
        std::string name, state;
        std::vector<std::size_t> elements;
    };
    BlockedReference(const ShampooOptions& options, const Shape& shape, std::vector<Part> parts)
        : whole_(options, shape), parts_(std::move(parts)) {}

    // The factors of an axis of blocks of these extents, before the first step.
    void start(const std::string& factor, const std::vector<std::size_t>& extents) {
        std::vector<double>&average = whole_.states[factor], &whitener = whole_.states[factor + "_whitener"];
        for (const std::size_t n : extents)
            for (std::size_t i = 0; i < n * n; ++i) {
                average.push_back(0);
                whitener.push_back(i % (n + 1) == 0 ? 1 : 0);
            }
    }
    void step(std::vector<double>& w, const std::vector<double>& gradient, std::uint64_t t) override {
        whole_.step(w, gradient, t);
        for (const Part& part : parts_) {
            std::vector<double>& values = states[part.name];
            values.clear();
            for (const std::size_t i : part.elements) values.push_back(whole_.states.at(part.state).at(i));
        }
    }

private:
    ShampooReference whole_;
    std::vector<Part> parts_;
};

std::vector<std::size_t> range(std::size_t first, std::size_t count) {
    std::vector<std::size_t> elements(count);
    std::iota(elements.begin(), elements.end(), first);
    return elements;
}

// What all of the following files share; 5 x 7 has blocks of 5 x 5 and 5 x 2.
std::string hyper_of(const std::string& others) {
    return R"({"beta3": -1.0, "max_preconditioner_dim": 5, "momentum": null, "target_parameter_dimensionality": 2,
        "trace_scaling_exponent": 0.5, "use_trace_scaling": false, "use_bias_correction": true, "lrs": null,
        "weight_decay": 0.0, "weight_decay_type": "DECOUPLED", "lr": 0.0625, )" +
           others + "}";
}

TEST_P(ShampooGoldenTest, EveryFile) {
    for (const char* algorithm : {"shampoo", "shampoo2", "kl_shampoo", "soap_eigenvalue_corrected"})
        run_golden(algorithm, GetParam().name,
                   [&](const GoldenCase& golden, GoldenResult& result) { run_shampoo(golden, result); });
}

// Factors of columns alone, which the file counts from 0; sums without weights, of factors and graft.
TEST_P(ShampooGoldenTest, StatesOfBlocksAndUnweightedSums) {
    ShampooOptions options;
    options.lr = 0.0625f;
    options.beta2 = 0.9;
    options.epsilon = 1e-2f;
    options.unweighted_sum = options.graft_unweighted_sum = true;
    options.exponents[2] = {0.0, 0.5};
    options.graft_beta = 0.8;
    options.graft_eps = 1e-8f;
    options.block_size = 5;
    const Shape shape{5, 7};
    BlockedReference reference(options, shape,
                               {{"block0.factor0", "factor1", range(0, 25)},
                                {"block1.factor0", "factor1", range(25, 4)},
                                {"block1.inv_factor_matrices0", "factor1_whitener", range(25, 4)},
                                {"block1.adagrad", "v", {5, 6, 12, 13, 19, 20, 26, 27, 33, 34}}});
    reference.start("factor1", {5, 2});
    const ReferenceGolden file(
        {.name = "blocked",
         .hyper = hyper_of(R"("betas": [0.9, 0.9], "drop_weighting_factor_on_gsquare": true, "epsilon": 0.01,
            "grafting": "adam", "grafting_kw": {"beta2": 0.8, "epsilon": 1e-8,
            "drop_weighting_factor_on_gsquare": true}, "inverse_exponent_override": {"2": {"0": 0.0, "1": 0.5}},
            "precondition_frequency": 1, "start_preconditioning_step": 1, "solver": "eigh", "solver_kw": null,
            "variant": "root_inv")"),
         .shape = shape,
         .states = {{"block0.factor0", "block0.factor0", {5, 5}},
                    {"block1.factor0", "block1.factor0", {2, 2}},
                    {"block1.inv_factor_matrices0", "block1.inv_factor_matrices0", {2, 2}},
                    {"block1.adagrad", "block1.adagrad", {5, 2}}}},
        std::move(reference));
    EXPECT_TRUE(
        file.passes([&](const GoldenCase& golden, GoldenResult& result) { run_shampoo(golden, result); }));
}

// SOAP's form with another power of c and columns that are not rotated.
TEST_P(ShampooGoldenTest, ExponentsAndIgnoredAxesOfBases) {
    ShampooOptions options = ShampooOptions::soap();
    options.first_basis = ShampooFirstBasis::qr;
    options.lr = 0.0625f;
    options.beta1 = 0.9;
    options.beta2 = 0.9;
    options.epsilon = 1e-2f;
    options.qr_steps = 0;
    options.exponents[2] = {0.25, 0.0};
    options.moment_exponents[2] = 0.25;
    options.block_size = 5;
    options.refresh = {.interval = 4, .stagger = false, .first = 3};
    const Shape shape{5, 7};
    BlockedReference reference(options, shape,
                               {{"block1.factor0", "factor0", range(25, 25)},
                                {"block1.corrected_eigenvalues", "basis_moment", range(25, 10)},
                                {"block1.filtered_grad", "m", {5, 6, 12, 13, 19, 20, 26, 27, 33, 34}}});
    reference.start("factor0", {5, 5});
    const ReferenceGolden file(
        {.name = "bases",
         .hyper = hyper_of(R"("betas": [0.9, 0.9], "drop_weighting_factor_on_gsquare": false, "epsilon": 0.01,
            "grafting": null, "grafting_kw": null, "inverse_exponent_override": {"2": 0.25},
            "ignored_basis_change_dims": {"2": [1]}, "precondition_frequency": 4,
            "start_preconditioning_step": 3, "solver": "eigh", "solver_kw": {"tolerance": 0.0},
            "variant": "eigenvalue_corrected")"),
         .shape = shape,
         .states = {{"block1.factor0", "block1.factor0", {5, 5}},
                    {"block1.corrected_eigenvalues", "block1.corrected_eigenvalues", {5, 2}},
                    {"block1.filtered_grad", "block1.filtered_grad", {5, 2}}}},
        std::move(reference));
    EXPECT_TRUE(
        file.passes([&](const GoldenCase& golden, GoldenResult& result) { run_shampoo(golden, result); }));
}

// The eigendecomposed form: roots whose eigenvalues are those of a basis that goes on from the last one.
TEST_P(ShampooGoldenTest, RootsFromTheLastBasis) {
    const auto passes = [&](const char* name, const char* hyper, const ShampooOptions& options) {
        const Shape shape{5, 7};
        BlockedReference reference(options, shape, {{"block0.factor1", "factor1", range(0, 25)}});
        reference.start("factor0", {5, 5});
        reference.start("factor1", {5, 2});
        const ReferenceGolden file(
            {.name = name,
             .hyper = hyper_of(std::string(R"("betas": [0.9, 0.9], "drop_weighting_factor_on_gsquare": false,
                "grafting": null, "grafting_kw": null, "precondition_frequency": 2, "start_preconditioning_step": 2,
                "inverse_exponent_override": {"2": 0.5}, )") +
                               hyper),
             .shape = shape,
             .states = {{"block0.factor1", "block0.factor1", {5, 5}}},
             .steps = 6},
            std::move(reference));
        EXPECT_TRUE(file.passes(
            [&](const GoldenCase& golden, GoldenResult& result) { run_shampoo(golden, result); }));
    };
    ShampooOptions options;
    options.lr = 0.0625f;
    options.beta2 = 0.9;
    options.epsilon = 0;
    options.exponents[2] = {0.5};
    options.graft = ShampooGraft::none;
    options.block_size = 5;
    options.refresh = {.interval = 2, .stagger = false, .first = 2};
    options.root = ShampooRoot::pseudo_inverse;
    options.qr_steps = 2;
    options.absolute_rank_tolerance = 1.5f;
    passes("qr_pseudo_inverse",
           R"("epsilon": 0.0, "solver": "qr", "solver_kw": {"max_iterations": 2, "tolerance": 0.0,
        "pseudo_inverse": true, "rank_rtol": 0.0, "rank_atol": 1.5}, "variant": "eigendecomposed")",
           options);
    options.root = ShampooRoot::eigenvalues;
    options.epsilon = 0.01f;
    options.statistic = ShampooStatistic::whitened;
    passes("qr_kl", R"("epsilon": 0.01, "solver": "qr", "solver_kw": {"max_iterations": 2, "tolerance": 0.0},
        "variant": "kl_eigendecomposed")",
           options);
    // Some bases of the six refreshes stay, not all.
    options.statistic = ShampooStatistic::gradient;
    options.qr_steps = 0;
    options.basis_tolerance = 0.3f;
    passes("eigh_tolerance", R"("epsilon": 0.01, "solver": "eigh", "solver_kw": {"tolerance": 0.3},
        "variant": "eigendecomposed")",
           options);
}

HERON_DEVICE_TESTS(ShampooGoldenTest);

}  // namespace
}  // namespace heron::test
