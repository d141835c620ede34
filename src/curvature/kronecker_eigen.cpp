// SPDX-License-Identifier: MIT
// Kronecker factors by their eigenvalues (heron/curvature.hpp).
#include <cstddef>
#include <vector>

#include "core/number_text.hpp"
#include "curvature/kronecker.h"
#include "curvature/kronecker_checks.hpp"
#include "curvature/kronecker_factor.hpp"
#include "curvature/kronecker_grid.hpp"
#include "heron/linalg/eigh.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/linalg/two_sided.hpp"
#include "heron/spirv/kronecker_basis.hpp"
#include "heron/spirv/kronecker_divide.hpp"
#include "heron/spirv/kronecker_level.hpp"
#include "linalg/convert.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::KroneckerBasisJob) == 64);
static_assert(sizeof(gpu::KroneckerLevelJob) == 56);
static_assert(sizeof(gpu::KroneckerDivideJob) == 72);

constexpr KernelInfo kBasis = make_kernel<gpu::KroneckerBasisJob>("kronecker_basis", spirv::kronecker_basis);
constexpr KernelInfo kLevel = make_kernel<gpu::KroneckerLevelJob>("kronecker_level", spirv::kronecker_level);
constexpr KernelInfo kDivide =
    make_kernel<gpu::KroneckerDivideJob>("kronecker_divide", spirv::kronecker_divide);

Shape values_shape(std::uint64_t groups, std::uint64_t n) {
    return groups == 1 ? Shape{n} : Shape{groups, n};
}

}  // namespace

KroneckerEigen make_kronecker_eigen(Graph& graph, const std::string& name, const KroneckerFactors& factors) {
    check_factors("make_kronecker_eigen", graph, factors);
    const std::uint64_t groups = factors.groups(), n = factors.cols(), m = factors.rows();
    KroneckerEigen eigen;
    eigen.input_vectors = graph.state(name + ".A_vectors", DType::f32, factors.inputs.shape);
    eigen.input_values = graph.state(name + ".A_values", DType::f32, values_shape(groups, n));
    eigen.output_vectors = graph.state(name + ".S_vectors", DType::f32, factors.outputs.shape);
    eigen.output_values = graph.state(name + ".S_values", DType::f32, values_shape(groups, m));
    eigen.level = graph.state(name + ".level", DType::f32, Shape{groups});
    eigen.failures = graph.state(name + ".eigen_failures", DType::u32, Shape{2 * groups});
    for (const Tensor& side : {eigen.input_vectors, eigen.output_vectors})
        for (std::uint64_t g = 0; g < groups; ++g) {
            const Tensor matrix = matrix_of(side, g);
            start_factor(graph, {matrix, matrix, {}}, FactorStart::identity);
        }
    graph.set_phase(Phase::initialize);
    add_zeros(graph, eigen.level, false);
    for (const Tensor& side : {eigen.input_values, eigen.output_values}) {
        const std::vector<float> ones(side.shape.count(), 1.0f);
        convert(graph, constant_floats(graph, ones), side.reshape(Shape{ones.size()}), 1.0f, false);
    }
    graph.set_phase(Phase::step);
    return eigen;
}

void renew_eigen(Graph& graph, const KroneckerFactors& factors, const KroneckerEigen& eigen, float floor) {
    using Job = gpu::KroneckerBasisJob;
    constexpr std::string_view kWho = "renew_eigen";
    check_factors(kWho, graph, factors);
    check_eigen(kWho, graph, eigen);
    if (!(std::isfinite(floor) && floor >= 0))
        refuse(kWho, "floor is " + number_text(floor) + "; it must be finite and not below 0");
    const std::uint64_t groups = factors.groups();
    for (std::size_t side = 0; side < 2; ++side) {
        const Tensor& factor = side == 0 ? factors.inputs : factors.outputs;
        const Tensor& basis = side == 0 ? eigen.input_vectors : eigen.output_vectors;
        const Tensor& spectrum = side == 0 ? eigen.input_values : eigen.output_values;
        const std::uint64_t order = factor.rows();
        check_matrices(kWho, "vectors", graph, basis, groups, order, order);
        const Tensor vectors = graph.temporary(DType::f32, factor.shape);
        const Tensor values = graph.temporary(DType::f32, spectrum.shape);
        const Tensor status = graph.temporary(DType::u32, Shape{groups});
        eigh(graph, factor, values, vectors, {.status = status});
        const FactorGrid grid = factor_grid(graph.device(), order);
        for (std::uint64_t g = 0; g < groups; ++g) {
            Job job{};
            job.order = narrow(order);
            job.rounds = grid.rounds;
            job.least = floor;
            add_factor_operation(
                graph,
                make_operation(kBasis, job,
                               {{offsetof(Job, vectors), matrix_of(vectors, g), Access::read},
                                {offsetof(Job, values), part_of(values, g, order), Access::read},
                                {offsetof(Job, status), part_of(status, g, 1), Access::read},
                                {offsetof(Job, basis), matrix_of(basis, g), Access::write},
                                {offsetof(Job, spectrum), part_of(spectrum, g, order), Access::write},
                                {offsetof(Job, failures), part_of(eigen.failures, side * groups + g, 1),
                                 Access::read_write}},
                               grid.groups),
                grid, 0, 8, order * order);
        }
    }
}

void renew_level(Graph& graph, const KroneckerEigen& eigen, const CurvatureDamping& damping) {
    using Job = gpu::KroneckerLevelJob;
    constexpr std::string_view kWho = "renew_level";
    check_eigen(kWho, graph, eigen);
    const Tensor value = damping_value(kWho, graph, damping);
    const std::uint64_t m = eigen.output_vectors.rows(), n = eigen.input_vectors.rows();
    const FactorGrid grid = factor_grid(graph.device(), 1);
    for (std::uint64_t g = 0; g < eigen.input_vectors.batch(); ++g) {
        Job job{};
        job.rows = narrow(m);
        job.cols = narrow(n);
        job.scale = static_cast<std::uint32_t>(damping.unit);
        job.damping_scale = product_scale(damping, 2);
        add_factor_operation(
            graph,
            make_operation(kLevel, job,
                           {{offsetof(Job, row_values), part_of(eigen.output_values, g, m), Access::read},
                            {offsetof(Job, column_values), part_of(eigen.input_values, g, n), Access::read},
                            {offsetof(Job, damping), value, Access::read},
                            {offsetof(Job, level), part_of(eigen.level, g, 1), Access::write}},
                           1),
            grid, 1, 4, m + n);
    }
}

void apply_eigen(Graph& graph, const KroneckerEigen& eigen, const Tensor& g, const Tensor& d,
                 const Tensor& moments) {
    using Job = gpu::KroneckerDivideJob;
    constexpr std::string_view kWho = "apply_eigen";
    check_eigen(kWho, graph, eigen);
    const std::uint64_t groups = eigen.input_vectors.batch(), m = eigen.output_vectors.rows(),
                        n = eigen.input_vectors.rows();
    check_matrices(kWho, "G", graph, g, groups, m, n, false);
    check_matrices(kWho, "D", graph, d, groups, m, n);
    if (moments) check_matrices(kWho, "moments", graph, moments, groups, m, n);
    const Tensor turned = graph.temporary(DType::f32, matrices(groups, m, n));
    two_sided_product(graph, eigen.output_vectors, g, eigen.input_vectors, {}, turned,
                      {.transpose_left = Transpose::yes});
    const Tensor norm = graph.temporary(DType::f32, Shape{groups});
    frobenius_norm(graph, g, norm);
    const std::uint64_t count = m * n;
    FactorGrid grid = factor_grid(graph.device(), 1);
    grid.groups = ceil_div(count, std::uint64_t{grid.threads} * grid.rounds);
    for (std::uint64_t i = 0; i < groups; ++i) {
        Job job{};
        job.count = narrow(count);
        job.cols = narrow(n);
        job.rounds = grid.rounds;
        job.flags = moments ? gpu::KRONECKER_MOMENTS : 0;
        std::vector<Operand> operands{
            {offsetof(Job, matrix), matrix_of(turned, i), Access::read_write},
            {offsetof(Job, row_values), part_of(eigen.output_values, i, m), Access::read},
            {offsetof(Job, column_values), part_of(eigen.input_values, i, n), Access::read},
            {offsetof(Job, level), part_of(eigen.level, i, 1), Access::read},
            {offsetof(Job, norm), part_of(norm, i, 1), Access::read}};
        if (moments) operands.push_back({offsetof(Job, moments), matrix_of(moments, i), Access::read});
        add_factor_operation(graph, make_operation(kDivide, job, std::move(operands), grid.groups), grid, 3,
                             moments ? 12 : 8, count);
    }
    two_sided_product(graph, eigen.output_vectors, turned, eigen.input_vectors, {}, d,
                      {.transpose_right = Transpose::yes});
}

}  // namespace heron
