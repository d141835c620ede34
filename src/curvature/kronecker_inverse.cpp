// SPDX-License-Identifier: MIT
// Kronecker factors by the inverses of both (heron/curvature.hpp).
#include <array>

#include "curvature/kronecker_checks.hpp"
#include "curvature/kronecker_factor.hpp"
#include "heron/linalg/power_iteration.hpp"
#include "heron/linalg/spd.hpp"
#include "heron/linalg/two_sided.hpp"

namespace heron {

KroneckerInverse make_kronecker_inverse(Graph& graph, const std::string& name,
                                        const KroneckerFactors& factors, bool conditions) {
    check_factors("make_kronecker_inverse", graph, factors);
    const KroneckerInverse inverse{
        graph.state(name + ".A_inverse", DType::f32, factors.inputs.shape),
        graph.state(name + ".S_inverse", DType::f32, factors.outputs.shape),
        graph.state(name + ".inverse_failures", DType::u32, Shape{2 * factors.groups()}),
        conditions ? graph.state(name + ".inverse_condition", DType::f32, Shape{2 * factors.groups()}, false)
                   : Tensor()};
    for (const Tensor& side : {inverse.inputs, inverse.outputs})
        for (std::uint64_t g = 0; g < factors.groups(); ++g) {
            const Tensor matrix = matrix_of(side, g);
            start_factor(graph, {matrix, matrix, {}}, FactorStart::identity);
        }
    return inverse;
}

void renew_inverse(Graph& graph, const KroneckerFactors& factors, const KroneckerInverse& inverse,
                   const CurvatureDamping& damping) {
    constexpr std::string_view kWho = "renew_inverse";
    check_factors(kWho, graph, factors);
    const std::uint64_t groups = factors.groups();
    check_matrices(kWho, "inputs", graph, inverse.inputs, groups, factors.cols(), factors.cols());
    check_matrices(kWho, "outputs", graph, inverse.outputs, groups, factors.rows(), factors.rows());
    if (inverse.conditions &&
        (inverse.conditions.dtype != DType::f32 || inverse.conditions.shape.count() != 2 * groups))
        refuse(kWho, "conditions is " + text(inverse.conditions) + "; it must have " +
                         std::to_string(2 * groups) + " f32, one for each factor");
    const std::array<Tensor, 2> sides{factors.inputs, factors.outputs};
    const std::array<Tensor, 2> damped{graph.temporary(DType::f32, factors.inputs.shape),
                                       graph.temporary(DType::f32, factors.outputs.shape)};
    damp_factors(graph, sides, damped, damping);
    for (std::size_t side = 0; side < 2; ++side) {
        const Tensor& target = side == 0 ? inverse.inputs : inverse.outputs;
        const Tensor root = graph.temporary(DType::f32, target.shape);
        const Tensor status = graph.temporary(DType::u32, Shape{groups});
        spd_inverse(graph, damped[side], root, {.status = status});
        if (inverse.conditions)
            condition_estimate(graph, damped[side], root, part_of(inverse.conditions, side * groups, groups),
                               {.root_status = status});
        for (std::uint64_t g = 0; g < groups; ++g)
            take_over(graph,
                      {matrix_of(sides[side], g), matrix_of(target, g),
                       part_of(inverse.failures, side * groups + g, 1)},
                      {}, matrix_of(root, g), part_of(status, g, 1));
    }
}

void apply_inverse(Graph& graph, const KroneckerInverse& inverse, const Tensor& g, const Tensor& d) {
    two_sided_product(graph, inverse.outputs, g, inverse.inputs, {}, d);
}

}  // namespace heron
