// SPDX-License-Identifier: MIT
// The kernels are shaders/optim/subspace_unit.comp and subspace_descent.comp. Half of a loss's gradient, with
// G and what is made of it over |G|:
//
//   one side   P (A A^T) + B (S - 2 I)              A = P^T G, B = G A^T, S = P^T P (right: of G^T)
//   both       L (A S_R A^T) + (G R) K^T            A = L^T G R, K = S_L A S_R - 2 A
//              R (A^T S_L A) + (G^T L) K            S_L = L^T L, S_R = R^T R
#include "optim/subspace_descent.hpp"

#include <cstddef>
#include <string>
#include <utility>

#include "heron/linalg.hpp"
#include "heron/spirv/subspace_descent.hpp"
#include "heron/spirv/subspace_unit.hpp"
#include "linalg/integers.hpp"
#include "optim/checks.hpp"
#include "optim/low_rank.h"
#include "optim/subspace_descent.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::SubspaceUnitJob) == 48);
static_assert(sizeof(gpu::SubspaceDescentJob) == 80);
static_assert(static_cast<std::uint32_t>(SubspaceRule::adamw) == gpu::DESCENT_ADAMW &&
              static_cast<std::uint32_t>(SubspaceRule::sgd) == gpu::DESCENT_SGD &&
              static_cast<std::uint32_t>(SubspaceRule::lion) == gpu::DESCENT_LION);

constexpr KernelInfo kUnit = make_kernel<gpu::SubspaceUnitJob>("subspace_unit", spirv::subspace_unit);
constexpr KernelInfo kDescent =
    make_kernel<gpu::SubspaceDescentJob>("subspace_descent", spirv::subspace_descent);

constexpr GemmOptions kTransposedA{.transpose_a = Transpose::yes};
constexpr GemmOptions kTransposedB{.transpose_b = Transpose::yes};

}  // namespace

std::vector<HyperValue> subspace_descent_hyper(const SubspaceDescentOptions& o, const Schedule& schedule) {
    return {HyperValue::scheduled(o.rate, schedule),
            HyperValue::constant(1.0 - o.beta1),
            HyperValue::constant(1.0 - o.beta2),
            HyperValue::constant(o.weight_decay),
            HyperValue::constant(o.eps),
            HyperValue::inverse_correction(o.beta1),
            HyperValue::inverse_correction(o.beta2)};
}

void check_subspace_descent(std::string_view who, const SubspaceDescentOptions& o) {
    check_enum(who, "descent.rule", o.rule, SubspaceRule::random);
    check_option(who, "descent.interval", o.interval, o.interval >= 1 && o.interval <= 0x80000000u,
                 "between 1 and 2^31");
    check_option(who, "descent.rate", o.rate, o.rate >= 0, "finite and not below 0");
    check_option(who, "descent.beta1", o.beta1, o.beta1 >= 0 && o.beta1 < 1, "in [0, 1)");
    check_option(who, "descent.beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    check_option(who, "descent.eps", o.eps, o.eps >= 0, "finite and not below 0");
    check_option(who, "descent.weight_decay", o.weight_decay, o.weight_decay >= 0, "finite and not below 0");
    check_option(who, "descent.orthogonality", o.orthogonality, o.orthogonality >= 0,
                 "finite and not below 0");
}

std::string subspace_descent_text(const SubspaceDescentOptions& o) {
    return " descent.rule=" + std::to_string(static_cast<int>(o.rule)) +
           " descent.rate=" + number_text(o.rate) + " descent.beta1=" + number_text(o.beta1) +
           " descent.beta2=" + number_text(o.beta2) + " descent.eps=" + number_text(o.eps) +
           " descent.weight_decay=" + number_text(o.weight_decay) +
           " descent.interval=" + std::to_string(o.interval) +
           " descent.orthogonality=" + number_text(o.orthogonality);
}

SubspaceDescent::SubspaceDescent(StepBuilder& step, const StepBuilder::Item& item,
                                 const SubspaceDescentOptions& options, std::uint64_t first_hyper,
                                 const std::vector<LowRankBasis>& bases)
    : step_(step), graph_(step.graph()), options_(options), hyper_(step.hyper()) {
    hyper_.byte_offset += first_hyper * sizeof(float);
    hyper_.shape = Shape{sizeof(gpu::SubspaceDescentHyper) / sizeof(float)};
    left_ = side(item, "left", bases, &LowRankBasis::left);
    right_ = side(item, "right", bases, &LowRankBasis::right);
}

SubspaceDescent::Side SubspaceDescent::side(const StepBuilder::Item& item, const char* name,
                                            const std::vector<LowRankBasis>& bases,
                                            Tensor LowRankBasis::*member) {
    Side result;
    std::vector<Shape> shapes;
    for (const LowRankBasis& basis : bases) {
        result.bases.push_back(basis.*member);
        if (basis.*member) shapes.push_back((basis.*member).shape);
    }
    result.m.resize(bases.size());
    result.v.resize(bases.size());
    if (shapes.empty() || options_.rule == SubspaceRule::sgd || options_.rule == SubspaceRule::random)
        return result;
    LowRankState m(step_, item, std::string(name) + "_m", shapes), v;
    if (options_.rule == SubspaceRule::adamw) v = LowRankState(step_, item, std::string(name) + "_v", shapes);
    std::size_t next = 0;
    for (std::size_t b = 0; b < bases.size(); ++b) {
        if (!result.bases[b]) continue;
        result.m[b] = m.part(next);
        if (v) result.v[b] = v.part(next);
        ++next;
    }
    return result;
}

Tensor SubspaceDescent::unit(const Tensor& x, const Tensor& norms) {
    using Job = gpu::SubspaceUnitJob;
    const Tensor result = graph_.temporary(DType::f32, x.shape);
    const std::uint64_t count = x.shape.count();
    const ElementGrid grid = step_.elements(count);
    Job job{};
    job.range = StepBuilder::range(0, count, grid);
    job.item_elements = narrow(x.rows() * x.cols());
    Operation operation = make_operation(kUnit, job,
                                         {{offsetof(Job, from), x, Access::read},
                                          {offsetof(Job, to), result, Access::write},
                                          {offsetof(Job, norms), norms, Access::read}},
                                         grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads}, step_.variant()};
    operation.reason = step_.variant_reason();
    operation.flops = static_cast<double>(count);
    operation.bytes = 8.0 * static_cast<double>(count);
    graph_.add(std::move(operation));
    return result;
}

// x^T x, or x x^T, and 2 lambda `added`.
Tensor SubspaceDescent::gram(const Tensor& x, bool of_columns, const Tensor& added) {
    const std::uint64_t r = of_columns ? x.cols() : x.rows();
    const Tensor result = graph_.temporary(DType::f32, Shape{x.batch(), r, r});
    syrk(graph_, x, added, result,
         {.transpose_a = of_columns ? Transpose::yes : Transpose::no,
          .beta = added ? 2 * options_.orthogonality : 0.0f});
    return result;
}

void SubspaceDescent::draw(const StepBuilder::Item& item, std::size_t batch) {
    for (const bool left : {true, false}) {
        const Tensor& basis = (left ? left_ : right_).bases[batch];
        if (!basis) continue;
        const Shape triangle{basis.batch(), basis.cols(), basis.cols()};
        graph_.set_phase(Phase::initialize);
        graph_.set_stage("initialize");
        qr(graph_, basis, basis, graph_.temporary(DType::f32, triangle), {.guarded = false});
        graph_.set_phase(Phase::step);
        graph_.set_stage("random basis");
        graph_.set_section({.interval = options_.interval, .start = 1});
        const Tensor drawn = graph_.temporary(DType::f32, basis.shape);
        fill_random(graph_, drawn,
                    {.tensor = low_rank_tensor(item, batch),
                     .stream = left ? gpu::LOW_RANK_STREAM_LEFT : gpu::LOW_RANK_STREAM_RIGHT});
        qr(graph_, drawn, basis, graph_.temporary(DType::f32, triangle));
        graph_.set_section({});
    }
}

void SubspaceDescent::move(std::size_t batch, const Tensor& gradient, const Tensor& low) {
    const Tensor norms = graph_.temporary(DType::f32, Shape{gradient.batch()});
    frobenius_norm(graph_, gradient, norms);
    const Tensor a = unit(low, norms);
    const bool left = static_cast<bool>(left_.bases[batch]), right = static_cast<bool>(right_.bases[batch]);
    if (left && right)
        move_both(batch, gradient, a, norms);
    else
        move_one(left ? left_ : right_, batch, gradient, a, norms);
}

void SubspaceDescent::move_one(const Side& side, std::size_t batch, const Tensor& gradient, const Tensor& a,
                               const Tensor& norms) {
    const Tensor& p = side.bases[batch];
    const bool left = &side == &left_, pulls = options_.orthogonality > 0;
    const Tensor s = gram(p, true);
    const Tensor c = gram(a, !left, pulls ? s : Tensor());
    const Tensor product = graph_.temporary(DType::f32, p.shape);
    gemm(graph_, gradient, a, {}, product, left ? kTransposedB : kTransposedA);
    const Tensor b = unit(product, norms);
    const Tensor turned = graph_.temporary(DType::f32, p.shape);
    gemm(graph_, b, s, b, turned, {.beta = -2.0f});
    const Tensor q = graph_.temporary(DType::f32, p.shape);
    gemm(graph_, p, c, turned, q, {.beta = 1.0f});
    step_of(side, batch, q, norms);
}

void SubspaceDescent::move_both(std::size_t batch, const Tensor& gradient, const Tensor& a,
                                const Tensor& norms) {
    const Tensor &left = left_.bases[batch], &right = right_.bases[batch];
    const bool pulls = options_.orthogonality > 0;
    const auto square = [&] { return graph_.temporary(DType::f32, a.shape); };
    const Tensor s_left = gram(left, true), s_right = gram(right, true);
    const Tensor left_a = square(), a_right = square(), k = square();
    gemm(graph_, s_left, a, {}, left_a);
    gemm(graph_, a, s_right, {}, a_right);
    gemm(graph_, left_a, s_right, a, k, {.beta = -2.0f});
    const auto side_of = [&](const Side& side, const Tensor& other, const Tensor& gram_of_side) {
        const bool is_left = &side == &left_;
        const Tensor& p = side.bases[batch];
        const Tensor added = pulls ? gram_of_side : Tensor();
        const float beta = pulls ? 2 * options_.orthogonality : 0.0f;
        const Tensor inner = square();
        if (is_left)
            gemm(graph_, a_right, a, added, inner, {.transpose_b = Transpose::yes, .beta = beta});
        else
            gemm(graph_, a, left_a, added, inner, {.transpose_a = Transpose::yes, .beta = beta});
        const Tensor product = graph_.temporary(DType::f32, p.shape);
        gemm(graph_, gradient, other, {}, product, is_left ? GemmOptions{} : kTransposedA);
        const Tensor x = unit(product, norms);
        const Tensor turned = graph_.temporary(DType::f32, p.shape);
        gemm(graph_, x, k, {}, turned, is_left ? kTransposedB : GemmOptions{});
        const Tensor q = graph_.temporary(DType::f32, p.shape);
        gemm(graph_, p, inner, turned, q, {.beta = 1.0f});
        return q;
    };
    // Both from the bases as they were.
    const Tensor q_left = side_of(left_, right, s_left), q_right = side_of(right_, left, s_right);
    step_of(left_, batch, q_left, norms);
    step_of(right_, batch, q_right, norms);
}

void SubspaceDescent::step_of(const Side& side, std::size_t batch, const Tensor& half_gradient,
                              const Tensor& norms) {
    using Job = gpu::SubspaceDescentJob;
    const Tensor& p = side.bases[batch];
    const std::uint64_t count = p.shape.count();
    const ElementGrid grid = step_.elements(count);
    Job job{};
    job.range = StepBuilder::range(0, count, grid);
    job.item_elements = narrow(p.rows() * p.cols());
    job.pull = 2 * options_.orthogonality;
    job.rule = static_cast<std::uint32_t>(options_.rule);
    std::vector<Operand> operands{{offsetof(Job, gradient), half_gradient, Access::read},
                                  {offsetof(Job, basis), p, Access::read_write},
                                  {offsetof(Job, norms), norms, Access::read},
                                  {offsetof(Job, hyper), hyper_, Access::read}};
    if (side.m[batch]) operands.push_back({offsetof(Job, moment1), side.m[batch], Access::read_write});
    if (side.v[batch]) operands.push_back({offsetof(Job, moment2), side.v[batch], Access::read_write});
    Operation operation = make_operation(kDescent, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads}, step_.variant()};
    operation.reason = step_.variant_reason();
    operation.flops = 16.0 * static_cast<double>(count);
    operation.bytes =
        (12.0 + (side.m[batch] ? 8.0 : 0.0) + (side.v[batch] ? 8.0 : 0.0)) * static_cast<double>(count);
    graph_.add(std::move(operation));
}

}  // namespace heron
