// SPDX-License-Identifier: MIT
// The kernels are shaders/optim/psgd_{start,rows,bound,rate,factor,max,balance}.comp; products are
// gemm()'s.
#include "optim/psgd_factors.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "heron/linalg/product.hpp"
#include "heron/spirv/psgd_balance.hpp"
#include "heron/spirv/psgd_bound.hpp"
#include "heron/spirv/psgd_factor.hpp"
#include "heron/spirv/psgd_max.hpp"
#include "heron/spirv/psgd_rate.hpp"
#include "heron/spirv/psgd_rows.hpp"
#include "heron/spirv/psgd_start.hpp"
#include "linalg/integers.hpp"
#include "optim/psgd.h"
#include "optim/psgd_axis.hpp"
#include "optim/psgd_step.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::PsgdRowsJob) == 48);
static_assert(sizeof(gpu::PsgdBoundJob) == 96);
static_assert(sizeof(gpu::PsgdRateJob) == 96);
static_assert(sizeof(gpu::PsgdFactorJob) == 72);
static_assert(sizeof(gpu::PsgdMaxJob) == 48);
static_assert(sizeof(gpu::PsgdBalanceJob) == 80);
static_assert(sizeof(gpu::PsgdStartJob) == 56);

constexpr KernelInfo kRows = make_kernel<gpu::PsgdRowsJob>("psgd_rows", spirv::psgd_rows);
constexpr KernelInfo kBound = make_kernel<gpu::PsgdBoundJob>("psgd_bound", spirv::psgd_bound);
constexpr KernelInfo kRate = make_kernel<gpu::PsgdRateJob>("psgd_rate", spirv::psgd_rate);
constexpr KernelInfo kFactor = make_kernel<gpu::PsgdFactorJob>("psgd_factor", spirv::psgd_factor);
constexpr KernelInfo kMax = make_kernel<gpu::PsgdMaxJob>("psgd_max", spirv::psgd_max);
constexpr KernelInfo kBalance = make_kernel<gpu::PsgdBalanceJob>("psgd_balance", spirv::psgd_balance);
constexpr KernelInfo kStart = make_kernel<gpu::PsgdStartJob>("psgd_start", spirv::psgd_start);

constexpr std::uint64_t kMaxPartials = 256;
constexpr std::uint64_t kRounds = 4;  // of a GPU's invocation at least, where a kernel goes through elements
constexpr std::uint64_t kTile = 16;   // of psgd_factor.comp
constexpr std::uint32_t kRotations = 10;  // of PRO4P at most

// 128 vectors of 8192 elements take an invocation half as many rounds as lavapipe allows.
std::uint32_t rate_threads(const Graph& graph) {
    const Capabilities& device = graph.device().capabilities();
    return threads_of(device, device.cpu ? 32 : 128);
}

// --- A dense factor's fit

// The power iteration that bounds the spectral norm of S = A + B, or A.
struct PowerIteration {
    Tensor scaled;      // S / f
    Tensor difference;  // (A - B) / f
    Tensor before, after, scalars;
};

class DenseFit {
public:
    DenseFit(Graph& graph, const PsgdFactor& factor, const Tensor& draws, const PsgdFitRules& rules)
        : graph_(graph),
          factor_(factor),
          rules_(rules),
          draws_(draws),
          order_(factor.extent),
          vectors_(std::max<std::uint64_t>(rules.vectors, 1)),
          scalars_(graph.temporary(DType::f32, Shape{gpu::PSGD_FACTOR_SCALARS})) {}

    // t2 is empty where it is `shift` I.
    void build(const Tensor& t1, const Tensor& t2, float shift) {
        const PsgdGeometry geometry = rules_.geometry;
        const PowerIteration power = iterate(
            t1, t2, {}, rules_.vectors == 0 ? gpu::PSGD_LARGEST : 0,
            (t2 ? gpu::PSGD_DIFFERENCE : 0) | (geometry == PsgdGeometry::eq ? gpu::PSGD_TRIANGLE : 0), {});
        const Tensor& e = t2 ? power.difference : power.scaled;
        const Tensor product = matrix();
        if (geometry == PsgdGeometry::qeq)
            gemm(graph_, factor_.q, e, {}, product);
        else
            gemm(graph_, e, factor_.q, {}, product);
        add_rate(power, shift);
        switch (geometry) {
            case PsgdGeometry::qeq:
            case PsgdGeometry::qep:
            case PsgdGeometry::eq:
                change(factor_.q, {product, {}, {}}, factor_.q, {}, 0);
                break;
            case PsgdGeometry::quad:
            case PsgdGeometry::quad4p: {
                const std::uint32_t half = geometry == PsgdGeometry::quad ? gpu::PSGD_HALF : 0;
                const Tensor next = matrix(), second = matrix();
                change(factor_.q, {product, {}, {}}, next, {}, half | gpu::PSGD_TEMPORARY);
                gemm(graph_, next, e, {}, second);
                change(next, {second, {}, {}}, factor_.q, {}, half | gpu::PSGD_SYMMETRIC);
                break;
            }
            case PsgdGeometry::q05eq15:
            case PsgdGeometry::pro4p: {
                Tensor q = matrix(), skew = matrix();
                change(factor_.q, {product, {}, {}}, q, skew, gpu::PSGD_TEMPORARY | gpu::PSGD_SKEW);
                const std::uint32_t rotations = geometry == PsgdGeometry::pro4p ? kRotations : 1;
                for (std::uint32_t k = 0; k < rotations; ++k) rotate(q, skew, k, rotations);
                break;
            }
        }
    }

private:
    Tensor matrix() { return graph_.temporary(DType::f32, Shape{order_, order_}); }
    double elements() const { return static_cast<double>(order_) * static_cast<double>(order_); }
    std::uint32_t row_threads() const {
        const Capabilities& device = graph_.device().capabilities();
        return threads_of(device, device.cpu ? 8 : 64);
    }

    PowerIteration iterate(const Tensor& a, const Tensor& b, const Tensor& limit_q, std::uint32_t row_flags,
                           std::uint32_t flags, const Tensor& running) {
        const Tensor rows = graph_.temporary(DType::f32, Shape{order_, 3});
        const std::uint32_t common = (b ? gpu::PSGD_SUM : 0) | (limit_q ? gpu::PSGD_LIMIT : 0);
        {
            using Job = gpu::PsgdRowsJob;
            Job job{};
            job.order = narrow(order_);
            job.flags = row_flags | common;
            std::vector<Operand> operands{{offsetof(Job, a), a, Access::read},
                                          {offsetof(Job, rows), rows, Access::write}};
            if (b) operands.push_back({offsetof(Job, b), b, Access::read});
            if (limit_q) operands.push_back({offsetof(Job, q), limit_q, Access::read});
            add_psgd(graph_, kRows, job, std::move(operands), order_, row_threads(), 4 * elements(),
                     (b || limit_q ? 8.0 : 4.0) * elements());
        }
        PowerIteration result;
        result.scaled = matrix();
        result.scalars = scalars_;
        Tensor v = graph_.temporary(DType::f32, Shape{vectors_, order_});
        {
            using Job = gpu::PsgdBoundJob;
            const ElementGrid grid = psgd_grid(graph_.device(), order_ * order_, kRounds);
            Job job{};
            job.order = narrow(order_);
            job.vectors = narrow(vectors_);
            job.element_groups = narrow(grid.groups);
            job.rounds = grid.rounds;
            job.flags = flags | common | (rules_.vectors > 0 ? gpu::PSGD_DRAWS : 0);
            // The first one of a fit makes the scalars.
            std::vector<Operand> operands{
                {offsetof(Job, a), a, Access::read},
                {offsetof(Job, rows), rows, Access::read},
                {offsetof(Job, n), result.scaled, Access::write},
                {offsetof(Job, v), v, Access::write},
                {offsetof(Job, scalars), scalars_, begun_ ? Access::read_write : Access::write}};
            begun_ = true;
            if (b) operands.push_back({offsetof(Job, b), b, Access::read});
            if ((flags & gpu::PSGD_DIFFERENCE) != 0) {
                result.difference = matrix();
                operands.push_back({offsetof(Job, e), result.difference, Access::write});
            }
            if (rules_.vectors > 0) {
                operands.push_back(
                    {offsetof(Job, draws), psgd_part(draws_, drawn_, Shape{vectors_, order_}), Access::read});
                drawn_ += vectors_ * order_;
            }
            if (limit_q) operands.push_back({offsetof(Job, running), running, Access::write});
            add_psgd(graph_, kBound, job, std::move(operands), grid.groups + vectors_, grid.threads,
                     elements(), (b ? 16.0 : 8.0) * elements());
        }
        const std::uint32_t products = rules_.vectors > 0 ? 4 : 2;
        for (std::uint32_t k = 0; k < products; ++k) {
            // Where an iteration may stop its products are those of the one before: there are some in any
            // case.
            if (!running) chain_[k] = graph_.temporary(DType::f32, Shape{vectors_, order_});
            const Tensor next = chain_[k];
            gemm(graph_, v, result.scaled, {}, next,
                 {.split = SplitK::when_needed, .packing = false, .active = running});
            result.before = v;
            result.after = v = next;
        }
        return result;
    }

    void add_rate(const PowerIteration& power, float shift) {
        using Job = gpu::PsgdRateJob;
        Job job = rate_job(power);
        job.shift = shift;
        job.decay = static_cast<float>(rules_.decay);
        job.rate = rules_.rate;
        job.flags = factor_.smoothness ? gpu::PSGD_SMOOTH : 0;
        std::vector<Operand> operands = rate_operands(power);
        if (factor_.smoothness)
            operands.push_back({offsetof(Job, smoothness), factor_.smoothness, Access::read_write});
        add_rate(job, std::move(operands));
    }
    gpu::PsgdRateJob rate_job(const PowerIteration&) const {
        gpu::PsgdRateJob job{};
        job.order = narrow(order_);
        job.vectors = narrow(vectors_);
        return job;
    }
    std::vector<Operand> rate_operands(const PowerIteration& power) const {
        using Job = gpu::PsgdRateJob;
        return {{offsetof(Job, before), power.before, Access::read},
                {offsetof(Job, after), power.after, Access::read},
                {offsetof(Job, scalars), scalars_, Access::read_write}};
    }
    void add_rate(const gpu::PsgdRateJob& job, std::vector<Operand> operands) {
        const double count = static_cast<double>(vectors_ * order_);
        add_psgd(graph_, kRate, job, std::move(operands), 1, rate_threads(graph_), 4 * count, 8 * count);
    }

    void change(const Tensor& q, const std::array<Tensor, 3>& products, const Tensor& to, const Tensor& skew,
                std::uint32_t flags) {
        using Job = gpu::PsgdFactorJob;
        Job job{};
        job.order = narrow(order_);
        job.flags = flags;
        std::vector<Operand> operands{
            {offsetof(Job, q), q, Access::read},
            {offsetof(Job, scalars), scalars_, Access::read},
            {offsetof(Job, to), to, to.id == q.id ? Access::read_write : Access::write}};
        constexpr std::size_t fields[] = {offsetof(Job, first), offsetof(Job, second), offsetof(Job, third)};
        double passes = 2;
        for (std::size_t k = 0; k < products.size(); ++k)
            if (products[k]) {
                operands.push_back({static_cast<std::uint32_t>(fields[k]), products[k], Access::read});
                ++passes;
            }
        if (skew) {
            operands.push_back({offsetof(Job, skew), skew, Access::write});
            ++passes;
        }
        const Capabilities& device = graph_.device().capabilities();
        const std::uint64_t side = (order_ + kTile - 1) / kTile;
        add_psgd(graph_, kFactor, job, std::move(operands), side * side,
                 threads_of(device, device.cpu ? 32 : 256), 4 * elements(), 4 * passes * elements());
    }

    // One step towards the symmetric Q: a rotation of it. The last one writes the factor, the others `q`
    // anew.
    void rotate(Tensor& q, Tensor& skew, std::uint32_t turn, std::uint32_t turns) {
        using Job = gpu::PsgdRateJob;
        const bool cubic = turns > 1, limited = turn > 0;
        const Tensor running = limited ? graph_.temporary(DType::u32, Shape{1}) : Tensor();
        const PowerIteration power = iterate(skew, {}, limited ? q : Tensor(), gpu::PSGD_LARGEST, 0, running);
        Tensor last = q;
        for (std::size_t k = 0; k < (cubic ? 3u : 2u); ++k) {
            if (!running) products_[k] = matrix();
            gemm(graph_, power.scaled, last, {}, products_[k], {.active = running});
            last = products_[k];
        }
        Job job = rate_job(power);
        job.largest = cubic ? 1.0f / 3.0f : 0.125f;
        job.flags = gpu::PSGD_ROTATION | (cubic ? gpu::PSGD_CUBIC : 0) | (limited ? gpu::PSGD_LIMIT : 0);
        std::vector<Operand> operands = rate_operands(power);
        operands.push_back({offsetof(Job, first), products_[0], Access::read});
        operands.push_back({offsetof(Job, second), products_[1], Access::read});
        if (cubic) operands.push_back({offsetof(Job, third), products_[2], Access::read});
        if (limited) operands.push_back({offsetof(Job, running), running, Access::read});
        add_rate(job, std::move(operands));
        const std::uint32_t flags = gpu::PSGD_ROTATION | (cubic ? gpu::PSGD_CUBIC : 0);
        if (turn + 1 == turns) {
            change(q, products_, factor_.q, {}, flags);
            return;
        }
        const Tensor next = matrix(), next_skew = matrix();
        change(q, products_, next, next_skew, flags | gpu::PSGD_TEMPORARY | gpu::PSGD_SKEW);
        q = next;
        skew = next_skew;
    }

    Graph& graph_;
    const PsgdFactor& factor_;
    const PsgdFitRules& rules_;
    Tensor draws_;
    std::uint64_t order_, vectors_;
    std::uint64_t drawn_ = 0;
    Tensor scalars_;
    bool begun_ = false;
    std::array<Tensor, 4> chain_;     // of the power iteration
    std::array<Tensor, 3> products_;  // of the rotation
};

// --- A diagonal factor's fit

// Partial maxima of |a|, or of a + b, into part of `partials` from `first` on; returns how many.
std::uint64_t max_groups(const Graph& graph, std::uint64_t count) {
    return psgd_grid(graph.device(), count, kRounds, kMaxPartials).groups;
}
void add_max(Graph& graph, const Tensor& a, const Tensor& b, const Tensor& partials, std::uint32_t flags,
             float shift) {
    using Job = gpu::PsgdMaxJob;
    const std::uint64_t count = a.shape.count();
    const ElementGrid grid = psgd_grid(graph.device(), count, kRounds, kMaxPartials);
    Job job{};
    job.count = narrow(count);
    job.rounds = grid.rounds;
    job.shift = shift;
    job.flags = flags | (b ? gpu::PSGD_SUM : 0);
    std::vector<Operand> operands{{offsetof(Job, a), a, Access::read},
                                  {offsetof(Job, partials), partials, Access::write}};
    if (b) operands.push_back({offsetof(Job, b), b, Access::read});
    add_psgd(graph, kMax, job, std::move(operands), grid.groups, grid.threads, static_cast<double>(count),
             (b ? 8.0 : 4.0) * static_cast<double>(count));
}

// t2 is empty where it is `shift`, or (own) shift q^2.
void fit_diagonal(Graph& graph, const PsgdFactor& factor, const Tensor& t1, const Tensor& t2, float shift,
                  bool own, const PsgdFitRules& rules) {
    const std::uint64_t groups = max_groups(graph, factor.extent);
    const Tensor partials = graph.temporary(DType::f32, Shape{groups});
    const Tensor scalars = graph.temporary(DType::f32, Shape{gpu::PSGD_FACTOR_SCALARS});
    add_max(graph, t1, own ? factor.q : t2, partials, own ? gpu::PSGD_OWN : 0, shift);
    {
        using Job = gpu::PsgdRateJob;
        Job job{};
        job.vectors = narrow(groups);
        job.shift = own || t2 ? 0.0f : shift;
        job.decay = static_cast<float>(rules.decay);
        job.rate = rules.rate;
        job.flags = gpu::PSGD_DIAGONAL | (factor.smoothness ? gpu::PSGD_SMOOTH : 0);
        std::vector<Operand> operands{{offsetof(Job, after), partials, Access::read},
                                      {offsetof(Job, scalars), scalars, Access::write}};
        if (factor.smoothness)
            operands.push_back({offsetof(Job, smoothness), factor.smoothness, Access::read_write});
        add_psgd(graph, kRate, job, std::move(operands), 1, rate_threads(graph), static_cast<double>(groups),
                 4 * static_cast<double>(groups));
    }
    using Job = gpu::PsgdFactorJob;
    const bool squares = rules.geometry == PsgdGeometry::quad || rules.geometry == PsgdGeometry::quad4p;
    Job job{};
    job.order = narrow(factor.extent);
    job.shift = shift;
    job.flags = gpu::PSGD_DIAGONAL | (t2 ? gpu::PSGD_SUM : 0) | (own ? gpu::PSGD_OWN : 0) |
                (squares ? gpu::PSGD_SQUARE : 0) |
                (rules.geometry == PsgdGeometry::quad ? gpu::PSGD_HALF : 0);
    std::vector<Operand> operands{{offsetof(Job, q), factor.q, Access::read},
                                  {offsetof(Job, to), factor.q, Access::read_write},
                                  {offsetof(Job, first), t1, Access::read},
                                  {offsetof(Job, scalars), scalars, Access::read}};
    if (t2) operands.push_back({offsetof(Job, second), t2, Access::read});
    const Capabilities& device = graph.device().capabilities();
    const double count = static_cast<double>(factor.extent);
    add_psgd(graph, kFactor, job, std::move(operands), (factor.extent + kTile * kTile - 1) / (kTile * kTile),
             threads_of(device, device.cpu ? 32 : 256), 4 * count, 12 * count);
}

void add_start(Graph& graph, const PsgdFactor& factor, gpu::PsgdStartJob job, const Tensor& moments) {
    using Job = gpu::PsgdStartJob;
    const std::uint64_t count = factor.q.shape.count();
    const ElementGrid grid = psgd_grid(graph.device(), count, kRounds);
    job.count = narrow(count);
    job.order = factor.dense ? narrow(factor.extent) : 0;
    job.rounds = grid.rounds;
    std::vector<Operand> operands{{offsetof(Job, q), factor.q, Access::write}};
    if (moments) operands.push_back({offsetof(Job, moments), moments, Access::read});
    add_psgd(graph, kStart, job, std::move(operands), grid.groups, grid.threads, static_cast<double>(count),
             4 * static_cast<double>(count));
}

}  // namespace

Tensor psgd_part(const Tensor& whole, std::uint64_t first, const Shape& shape) {
    Tensor part = whole.reshape(Shape{whole.shape.count()});
    part.byte_offset += first * bytes_of(whole.dtype);
    part.shape = shape;
    return part;
}

std::vector<PsgdFactor> make_psgd_factors(StepBuilder& step, const StepBuilder::Item& item,
                                          std::span<const std::uint64_t> extents,
                                          const std::vector<bool>& dense, bool smooth) {
    std::uint64_t inner = 1, outer = 1;
    for (const std::uint64_t extent : extents) inner *= extent;
    const Tensor smoothness = smooth ? step.state(item, "L", DType::f32, Shape{extents.size()}) : Tensor();
    std::vector<PsgdFactor> factors;
    for (std::size_t a = 0; a < extents.size(); ++a) {
        inner /= extents[a];
        const Shape shape = dense[a] ? Shape{extents[a], extents[a]} : Shape{extents[a]};
        factors.push_back({outer, extents[a], inner, dense[a],
                           step.state(item, "Q" + std::to_string(a), DType::f32, shape),
                           smooth ? psgd_part(smoothness, a, Shape{1}) : Tensor()});
        outer *= extents[a];
    }
    return factors;
}

void start_psgd_factors(Graph& graph, std::span<const PsgdFactor> factors, float scale) {
    gpu::PsgdStartJob job{};
    job.value = scale;
    job.flags = gpu::PSGD_GIVEN;
    for (const PsgdFactor& factor : factors) add_start(graph, factor, job, {});
}

void start_psgd_factors(Graph& graph, std::span<const PsgdFactor> factors, const PsgdMoments& moments) {
    gpu::PsgdStartJob job{};
    job.parameters = narrow(moments.moments.shape[0]);
    job.exponent = (moments.squared ? 2.0f : 1.0f) / static_cast<float>(factors.size());
    job.damping = moments.damping;
    job.probes = static_cast<float>(moments.probes);
    for (const PsgdFactor& factor : factors) add_start(graph, factor, job, moments.moments);
}

std::uint64_t psgd_bound_draws(std::span<const PsgdFactor> factors, const PsgdFitRules& rules) {
    const std::uint64_t bounds = rules.geometry == PsgdGeometry::q05eq15 ? 2
                                 : rules.geometry == PsgdGeometry::pro4p ? 1 + kRotations
                                                                         : 1;
    std::uint64_t draws = 0;
    for (const PsgdFactor& factor : factors)
        if (factor.dense) draws += bounds * rules.vectors * factor.extent;
    return draws;
}

Tensor psgd_precondition(Graph& graph, std::span<const PsgdFactor> factors, const Tensor& x,
                         const PsgdFitRules& rules) {
    Tensor y = x;
    for (const PsgdFactor& factor : factors)
        if (rules.fits_p())
            y = psgd_multiply_once(graph, factor, y);
        else if (factor.dense)
            y = psgd_multiply(graph, factor, psgd_multiply(graph, factor, y, Transpose::no), Transpose::yes);
        else
            y = psgd_scale(graph, factor, y, gpu::PSGD_SQUARE);
    return y;
}

void fit_psgd_factors(Graph& graph, std::span<const PsgdFactor> factors, const Tensor& h, const Tensor& probe,
                      const Tensor& draws, const PsgdFitRules& rules) {
    // P h, or with triangular factors Q h; and for E v^T P^-1 v the probe, there Q^-T v.
    Tensor x = h, v = probe;
    if (rules.geometry == PsgdGeometry::eq)
        for (const PsgdFactor& factor : factors) {
            x = psgd_multiply_once(graph, factor, x);
            v = psgd_solve(graph, factor, v);
        }
    else
        x = psgd_precondition(graph, factors, h, rules);
    std::uint64_t drawn = 0;
    for (const PsgdFactor& factor : factors) {
        const bool own = rules.geometry == PsgdGeometry::qep;
        float shift = static_cast<float>(factor.outer * factor.inner);
        const Tensor t1 = psgd_gram(graph, factor, own ? psgd_multiply_once(graph, factor, x) : x);
        Tensor t2;
        if (v) {
            t2 = psgd_gram(graph, factor, own ? psgd_multiply_once(graph, factor, v) : v);
            shift = 0;
        } else if (own && factor.dense) {
            t2 = graph.temporary(DType::f32, factor.q.shape);
            syrk(graph, factor.q, {}, t2, {.alpha = shift});
            shift = 0;
        }
        if (factor.dense) {
            const std::uint64_t count = psgd_bound_draws({&factor, 1}, rules);
            DenseFit(graph, factor, count > 0 ? psgd_part(draws, drawn, Shape{count}) : Tensor(), rules)
                .build(t1, t2, shift);
            drawn += count;
        } else {
            fit_diagonal(graph, factor, t1, t2, shift, own && !v, rules);
        }
    }
}

double psgd_fit_flops(std::span<const PsgdFactor> factors, const PsgdFitRules& rules) {
    // Products of order^3 that change a factor, and bounds.
    const auto [products, bounds] = [&]() -> std::pair<double, double> {
        switch (rules.geometry) {
            case PsgdGeometry::qep:
                return {5, 1};
            case PsgdGeometry::quad:
            case PsgdGeometry::quad4p:
                return {4, 1};
            case PsgdGeometry::q05eq15:
                return {6, 2};
            case PsgdGeometry::pro4p:
                return {62, 11};
            default:
                return {2, 1};
        }
    }();
    double flops = 0;
    for (const PsgdFactor& factor : factors) {
        const auto count = static_cast<double>(factor.count()), order = static_cast<double>(factor.extent);
        if (!factor.dense) {
            flops += 8 * count;
            continue;
        }
        // P h (or Q h and Q^-T v), and half of a product for T1.
        flops += (rules.fits_p() ? 3.0 : 5.0) * order * count + products * order * order * order +
                 bounds * 8.0 * rules.vectors * order * order;
    }
    return flops;
}

void balance_psgd_factors(Graph& graph, std::span<const PsgdFactor> factors) {
    if (factors.size() < 2) return;
    using Job = gpu::PsgdBalanceJob;
    std::uint64_t total = 0;
    Job job{};
    for (std::size_t k = 0; k < factors.size(); ++k) {
        total += max_groups(graph, factors[k].q.shape.count());
        job.end[k] = narrow(total);
    }
    const Tensor partials = graph.temporary(DType::f32, Shape{total});
    for (std::size_t k = 0; k < factors.size(); ++k) {
        const std::uint64_t first = k == 0 ? 0 : job.end[k - 1];
        add_max(graph, factors[k].q, {}, psgd_part(partials, first, Shape{job.end[k] - first}), 0, 0.0f);
    }
    const double share = 1.0 / static_cast<double>(factors.size());
    job.factors = narrow(factors.size());
    job.share = static_cast<float>(share);
    job.share_low = static_cast<float>(share - static_cast<double>(job.share));
    for (std::size_t k = 0; k < factors.size(); ++k) {
        const std::uint64_t count = factors[k].q.shape.count();
        const ElementGrid grid = psgd_grid(graph.device(), count, kRounds);
        job.count = narrow(count);
        job.rounds = grid.rounds;
        job.own = narrow(k);
        add_psgd(graph, kBalance, job,
                 {{offsetof(Job, q), factors[k].q, Access::read_write},
                  {offsetof(Job, partials), partials, Access::read}},
                 grid.groups, grid.threads, 2 * static_cast<double>(count), 8 * static_cast<double>(count));
    }
}

}  // namespace heron
