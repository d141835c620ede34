// SPDX-License-Identifier: MIT
// Products with inverses of one batch's Kronecker factors, which are never formed (heron/curvature.hpp).
#include <array>
#include <cstddef>
#include <utility>
#include <vector>

#include "core/number_text.hpp"
#include "curvature/kronecker.h"
#include "curvature/kronecker_checks.hpp"
#include "curvature/kronecker_grid.hpp"
#include "heron/linalg/product.hpp"
#include "heron/linalg/spd.hpp"
#include "heron/spirv/kronecker_unlevel.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::KroneckerUnlevelJob) == 40);
constexpr KernelInfo kUnlevel =
    make_kernel<gpu::KroneckerUnlevelJob>("kronecker_unlevel", spirv::kronecker_unlevel);

// One side: F = scale X^T X of order n, by its Gram matrix scale X X^T where the batch is smaller.
struct BatchSide {
    Tensor rows;
    float scale;
    std::uint64_t order;
    bool gram;
    Tensor inverse;  // of that, damped

    std::uint64_t size() const { return gram ? rows.rows() : order; }
};

BatchSide side_of(std::string_view who, const char* which, Graph& graph, const Tensor& rows, float scale,
                  std::uint64_t groups, std::uint64_t count, std::uint64_t order) {
    check_matrices(who, which, graph, rows, groups, count, order, false);
    if (!(std::isfinite(scale) && scale > 0))
        refuse(who, std::string(which) + " have a scale of " + number_text(scale) +
                        "; it must be finite and above 0");
    return {rows, scale, order, count < order, {}};
}

}  // namespace

void apply_batch_inverse(Graph& graph, const BatchRows& inputs, const BatchRows& outputs, const Tensor& g,
                         const Tensor& d, const CurvatureDamping& damping) {
    constexpr std::string_view kWho = "apply_batch_inverse";
    const std::uint64_t groups = g.batch(), m = g.rows(), n = g.cols(), count = inputs.rows.rows();
    check_float_tensor(kWho, "G", graph, g);
    check_matrices(kWho, "D", graph, d, groups, m, n);
    if (count == 0 || m == 0 || n == 0) refuse(kWho, "there are no rows, or G has no elements");
    std::array<BatchSide, 2> sides{
        side_of(kWho, "inputs", graph, inputs.rows, inputs.scale, groups, count, n),
        side_of(kWho, "outputs", graph, outputs.rows, outputs.scale, groups, count, m)};
    check_no_overlap(kWho, "D", d, "G", g, graph);
    CurvatureDamping used = damping;
    used.device_value = damping_value(kWho, graph, damping);
    if (used.split == DampingSplit::pi_normalized) used.split = DampingSplit::pi;  // the same product

    std::array<Tensor, 2> matrices_of, damped, levels;
    std::array<std::uint64_t, 2> orders;
    for (std::size_t i = 0; i < 2; ++i) {
        const BatchSide& side = sides[i];
        const Shape shape = matrices(groups, side.size(), side.size());
        matrices_of[i] = graph.temporary(DType::f32, shape);
        damped[i] = graph.temporary(DType::f32, shape);
        levels[i] = graph.temporary(DType::f32, Shape{groups});
        orders[i] = side.order;
        syrk(graph, side.rows, {}, matrices_of[i],
             {.transpose_a = side.gram ? Transpose::no : Transpose::yes, .alpha = side.scale});
    }
    add_damping(graph, kWho, matrices_of, damped, used, orders, levels);
    for (std::size_t i = 0; i < 2; ++i) {
        sides[i].inverse = graph.temporary(DType::f32, damped[i].shape);
        spd_inverse(graph, damped[i], sides[i].inverse);
    }

    // G (l I + c X^T X)^-1 = (G - c ((G X^T) (l I + c X X^T)^-1) X) / l
    const auto temporary = [&](std::uint64_t rows, std::uint64_t cols) {
        return graph.temporary(DType::f32, matrices(groups, rows, cols));
    };
    const Tensor right = temporary(m, n);
    const BatchSide &a = sides[0], &s = sides[1];
    if (a.gram) {
        const Tensor x = temporary(m, count), y = temporary(m, count);
        gemm(graph, g, a.rows, {}, x, {.transpose_b = Transpose::yes});
        gemm(graph, x, a.inverse, {}, y);
        gemm(graph, y, a.rows, g, right, {.alpha = -a.scale, .beta = 1});
    } else {
        gemm(graph, g, a.inverse, {}, right);
    }
    if (s.gram) {
        const Tensor x = temporary(count, n), y = temporary(count, n);
        gemm(graph, s.rows, right, {}, x);
        gemm(graph, s.inverse, x, {}, y);
        gemm(graph, s.rows, y, right, d, {.transpose_a = Transpose::yes, .alpha = -s.scale, .beta = 1});
    } else {
        gemm(graph, s.inverse, right, {}, d);
    }
    if (!a.gram && !s.gram) return;

    using Job = gpu::KroneckerUnlevelJob;
    FactorGrid grid = factor_grid(graph.device(), 1);
    grid.groups = ceil_div(m * n, std::uint64_t{grid.threads} * grid.rounds);
    for (std::uint64_t i = 0; i < groups; ++i) {
        Job job{};
        job.count = narrow(m * n);
        job.rounds = grid.rounds;
        job.flags = (a.gram ? gpu::KRONECKER_LEVEL : 0) | (s.gram ? gpu::KRONECKER_LEVEL_TOO : 0);
        add_factor_operation(graph,
                             make_operation(kUnlevel, job,
                                            {{offsetof(Job, matrix), matrix_of(d, i), Access::read_write},
                                             {offsetof(Job, level0), part_of(levels[0], i, 1), Access::read},
                                             {offsetof(Job, level1), part_of(levels[1], i, 1), Access::read}},
                                            grid.groups),
                             grid, 2, 8, m * n);
    }
}

}  // namespace heron
