// SPDX-License-Identifier: MIT
// Kronecker factors of heron/curvature.hpp: their running averages, and damping.
#include <algorithm>
#include <cstddef>
#include <limits>
#include <vector>

#include "core/number_text.hpp"
#include "curvature/kronecker.h"
#include "curvature/kronecker_checks.hpp"
#include "curvature/kronecker_factor.hpp"
#include "curvature/kronecker_grid.hpp"
#include "heron/spirv/kronecker_blend.hpp"
#include "heron/spirv/kronecker_damp.hpp"
#include "linalg/cpu_subgroup.hpp"
#include "linalg/split_exponent.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::KroneckerBlendJob) == 64);
static_assert(sizeof(gpu::KroneckerDampJob) == 200);
static_assert(static_cast<std::uint32_t>(DampingUnit::mean) == gpu::DAMPING_MEAN);
static_assert(static_cast<std::uint32_t>(DampingSplit::pi_normalized) == gpu::SPLIT_PI_NORMALIZED);

constexpr KernelInfo kBlend = make_kernel<gpu::KroneckerBlendJob>("kronecker_blend", spirv::kronecker_blend);
constexpr KernelInfo kDamp = make_kernel<gpu::KroneckerDampJob>("kronecker_damp", spirv::kronecker_damp);

}  // namespace

KroneckerFactors make_kronecker_factors(Graph& graph, const std::string& name, std::uint64_t rows,
                                        std::uint64_t cols, std::uint64_t groups) {
    constexpr std::string_view kWho = "make_kronecker_factors";
    if (rows == 0 || cols == 0 || groups == 0) refuse(kWho, "rows, cols and groups must be at least 1");
    if (groups * rows * rows > 0xfffffff0u || groups * cols * cols > 0xfffffff0u)
        refuse(kWho, "a factor has more than 2^32 elements");
    const KroneckerFactors factors{graph.state(name + ".A", DType::f32, matrices(groups, cols, cols)),
                                   graph.state(name + ".S", DType::f32, matrices(groups, rows, rows)),
                                   graph.state(name + ".left_out", DType::u32, Shape{2 * groups})};
    for (const Tensor& factor : {factors.inputs, factors.outputs})
        for (std::uint64_t g = 0; g < groups; ++g) {
            const Tensor matrix = matrix_of(factor, g);
            start_factor(graph, {matrix, matrix, {}}, FactorStart::identity);
        }
    return factors;
}

void update_factor(Graph& graph, const KroneckerFactors& factors, FactorSide side, const Tensor& statistic,
                   const FactorUpdateOptions& options) {
    using Job = gpu::KroneckerBlendJob;
    constexpr std::string_view kWho = "update_factor";
    check_factors(kWho, graph, factors);
    check_enumerator(kWho, side, FactorSide::outputs, "side is not one of FactorSide");
    if (options.interval == 0) refuse(kWho, "interval is 0; it must be at least 1");
    const Tensor& factor = side == FactorSide::inputs ? factors.inputs : factors.outputs;
    const std::uint64_t order = factor.rows(), groups = factors.groups();
    check_matrices(kWho, "statistic", graph, statistic, groups, order, order);
    check_no_overlap(kWho, "factor", factor, "statistic", statistic, graph);
    check_floats(kWho, "unit", graph, options.unit, 1);
    const Tensor rates = rates_of(kWho, graph, options.decay, options.rates);
    const FactorGrid grid = factor_grid(graph.device(), order);
    for (std::uint64_t g = 0; g < groups; ++g) {
        const std::uint64_t word = side == FactorSide::inputs ? g : groups + g;
        Job job{};
        job.order = narrow(order);
        job.rounds = grid.rounds;
        job.flags = (options.unit ? gpu::KRONECKER_HAS_UNIT : 0) | (options.warm ? gpu::KRONECKER_WARM : 0);
        job.interval = options.interval;
        std::vector<Operand> operands{
            {offsetof(Job, average), matrix_of(factor, g), Access::read_write},
            {offsetof(Job, statistic), matrix_of(statistic, g), Access::read},
            {offsetof(Job, rates), rates, Access::read},
            {offsetof(Job, left_out), part_of(factors.left_out, word, 1), Access::read_write}};
        if (options.unit) operands.push_back({offsetof(Job, unit), options.unit, Access::read});
        Operation operation = make_operation(kBlend, job, std::move(operands), grid.groups);
        add_lanes(operation, graph.device(), order * order);
        add_factor_operation(graph, std::move(operation), grid, 4, 12, order * order);
    }
}

Tensor damping_value(std::string_view who, Graph& graph, const CurvatureDamping& damping) {
    check_floats(who, "device_value", graph, damping.device_value, 1);
    check_enumerator(who, damping.unit, DampingUnit::mean, "unit is not one of DampingUnit");
    check_enumerator(who, damping.split, DampingSplit::pi_normalized, "split is not one of DampingSplit");
    for (const float scale : damping.scales)
        if (!(std::isfinite(scale) && scale >= 0))
            refuse(who,
                   "a scale of the damping is " + number_text(scale) + "; it must be finite and not below 0");
    if (damping.device_value) return damping.device_value;
    if (!(std::isfinite(damping.value) && damping.value > 0))
        refuse(who, "damping is " + number_text(damping.value) + "; it must be finite and above 0");
    return constant_floats(graph, std::span(&damping.value, 1));
}

float product_scale(const CurvatureDamping& damping, std::size_t factors) {
    double product = 1;
    for (std::size_t k = 0; k < factors; ++k) product *= static_cast<double>(damping.scales[k]);
    return static_cast<float>(std::min(product, static_cast<double>(std::numeric_limits<float>::max())));
}

void damp_factors(Graph& graph, std::span<const Tensor> factors, std::span<const Tensor> damped,
                  const CurvatureDamping& damping) {
    constexpr std::string_view kWho = "damp_factors";
    if (factors.empty() || factors.size() > gpu::KRONECKER_FACTORS || factors.size() != damped.size())
        refuse(kWho, "there are " + std::to_string(factors.size()) + " factors and " +
                         std::to_string(damped.size()) +
                         " results; it must be as many of both, one to eight");
    const std::uint64_t groups = factors[0].batch();
    for (std::size_t k = 0; k < factors.size(); ++k) {
        const std::uint64_t order = factors[k].rows();
        if (order == 0) refuse(kWho, "a factor has no rows");
        check_matrices(kWho, "a factor", graph, factors[k], groups, order, order);
        check_matrices(kWho, "a damped factor", graph, damped[k], groups, order, order);
        for (const Tensor& factor : factors)
            check_no_overlap(kWho, "a damped factor", damped[k], "a factor", factor, graph);
    }
    add_damping(graph, kWho, factors, damped, damping);
}

void add_damping(Graph& graph, std::string_view who, std::span<const Tensor> factors,
                 std::span<const Tensor> damped, const CurvatureDamping& damping,
                 std::span<const std::uint64_t> mean_rows, std::span<const Tensor> levels) {
    using Job = gpu::KroneckerDampJob;
    const std::uint64_t groups = factors[0].batch();
    const Tensor value = damping_value(who, graph, damping);
    std::vector<std::uint64_t> means(mean_rows.begin(), mean_rows.end());
    if (means.empty())
        for (const Tensor& factor : factors) means.push_back(factor.rows());
    const double wide =
        static_cast<double>(std::count_if(means.begin(), means.end(), [](auto n) { return n > 1; }));
    const double count = static_cast<double>(factors.size());
    const SplitExponent per_factor = split_exponent(1 / count),
                        ratio = split_exponent(count / std::max(1.0, wide));
    for (std::size_t k = 0; k < factors.size(); ++k)
        for (std::uint64_t g = 0; g < groups; ++g) {
            const std::uint64_t order = factors[k].rows();
            const FactorGrid grid = factor_grid(graph.device(), order);
            Job job{};
            for (std::size_t i = 0; i < factors.size(); ++i) {
                job.order[i] = narrow(factors[i].rows());
                job.mean[i] = narrow(means[i]);
            }
            job.factors = narrow(factors.size());
            job.index = narrow(k);
            job.per_factor = per_factor.high;
            job.per_factor_low = per_factor.low;
            job.ratio = ratio.high;
            job.ratio_low = ratio.low;
            job.flags =
                (levels.empty() ? 0 : gpu::KRONECKER_LEVEL) | (wide == 0 ? gpu::KRONECKER_SCALARS : 0);
            job.rounds = grid.rounds;
            job.scale = static_cast<std::uint32_t>(damping.unit);
            job.split = static_cast<std::uint32_t>(damping.split);
            job.damping_scale = damping.split == DampingSplit::full ? damping.scales[k]
                                                                    : product_scale(damping, factors.size());
            std::vector<Operand> operands{{offsetof(Job, damping), value, Access::read},
                                          {offsetof(Job, result), matrix_of(damped[k], g), Access::write}};
            if (!levels.empty())
                operands.push_back({offsetof(Job, level), part_of(levels[k], g, 1), Access::write});
            // All are readable: drivers load from both sides of a choice.
            for (std::uint32_t i = 0; i < gpu::KRONECKER_FACTORS; ++i)
                operands.push_back({narrow(offsetof(Job, factor) + i * sizeof(std::uint64_t)),
                                    matrix_of(factors[i < factors.size() ? i : k], g), Access::read});
            add_factor_operation(graph, make_operation(kDamp, job, std::move(operands), grid.groups), grid, 2,
                                 8, order * order);
        }
}

}  // namespace heron
