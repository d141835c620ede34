// SPDX-License-Identifier: MIT
// Aggregators of Jacobians: Gram matrix, a small problem for the weights, weights^T J.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <utility>

#include "aggregate/aggregate.h"
#include "core/number_text.hpp"
#include "graph/element_bytes.hpp"
#include "heron/aggregate.hpp"
#include "heron/spirv/aggregate_combine.hpp"
#include "heron/spirv/aggregate_dual.hpp"
#include "heron/spirv/aggregate_gram.hpp"
#include "heron/spirv/aggregate_gram_sum.hpp"
#include "heron/spirv/aggregate_min_norm.hpp"
#include "heron/spirv/aggregate_weights.hpp"
#include "linalg/checks.hpp"
#include "linalg/tensors.hpp"

namespace heron {

static_assert(sizeof(gpu::AggregateGramJob) == 40);
static_assert(sizeof(gpu::AggregateGramSumJob) == 32);
static_assert(sizeof(gpu::AggregateDualJob) == 64);
static_assert(sizeof(gpu::AggregateWeightsJob) == 56);
static_assert(sizeof(gpu::AggregateMinNormJob) == 56);
static_assert(sizeof(gpu::AggregateCombineJob) == 48);

namespace {

constexpr KernelInfo kGram = make_kernel<gpu::AggregateGramJob>("aggregate_gram", spirv::aggregate_gram);
constexpr KernelInfo kGramSum =
    make_kernel<gpu::AggregateGramSumJob>("aggregate_gram_sum", spirv::aggregate_gram_sum);
constexpr KernelInfo kDual = make_kernel<gpu::AggregateDualJob>("aggregate_dual", spirv::aggregate_dual);
constexpr KernelInfo kWeights =
    make_kernel<gpu::AggregateWeightsJob>("aggregate_weights", spirv::aggregate_weights);
constexpr KernelInfo kMinNorm =
    make_kernel<gpu::AggregateMinNormJob>("aggregate_min_norm", spirv::aggregate_min_norm);
constexpr KernelInfo kCombine =
    make_kernel<gpu::AggregateCombineJob>("aggregate_combine", spirv::aggregate_combine);

constexpr double kDoubleFloatFlops = 45;  // of a product and a sum

// One aggregation of a graph.
class Aggregation {
public:
    // Checks everything; adds nothing.
    Aggregation(const char* who, Graph& graph, std::span<const JacobianPart> jacobian,
                const Tensor& preference, const AggregateOutputs& outputs, bool guarded)
        : graph_(graph),
          jacobian_(jacobian),
          preference_(preference),
          outputs_(outputs),
          guarded_(guarded),
          k_(check_parts(who)),
          tiles_(ceil_div(k_, gpu::AGGREGATE_TILE) * (ceil_div(k_, gpu::AGGREGATE_TILE) + 1) / 2),
          weights_(outputs.weights) {
        if (preference) check_vector(who, "the preference", graph, preference, k_, DType::f32);
        if (outputs.weights) check_vector(who, "`weights`", graph, outputs.weights, k_, DType::f32);
        if (outputs.gram) check_vector(who, "`gram`", graph, outputs.gram, k_ * k_, DType::f32);
        if (outputs.residual) check_vector(who, "`residual`", graph, outputs.residual, 1, DType::f32);
        check_status_tensor(who, graph, outputs.status, 1);
        Extents extents(graph);
        for (std::size_t i = 0; i < jacobian.size(); ++i) {
            extents.read("the rows of part " + std::to_string(i), jacobian[i].rows);
            extents.written("the gradient of part " + std::to_string(i), jacobian[i].gradient);
        }
        extents.read("the preference", preference);
        extents.written("`weights`", outputs.weights);
        extents.written("`gram`", outputs.gram);
        extents.written("`residual`", outputs.residual);
        extents.written("`status`", outputs.status);
        extents.check(who);
    }

    std::uint64_t objectives() const { return k_; }

    void gram() {
        const Chunks plan(graph_.device(), elements_);
        std::uint64_t all_chunks = 0;
        for (const JacobianPart& part : jacobian_) all_chunks += plan.of(part.rows.cols());
        const Tensor partials = graph_.temporary(
            DType::f32, Shape{all_chunks, tiles_ * gpu::AGGREGATE_TILE * gpu::AGGREGATE_TILE});
        gram_ = outputs_.gram ? outputs_.gram : graph_.temporary(DType::f32, Shape{k_, k_});
        std::uint64_t first_chunk = 0;
        for (const JacobianPart& part : jacobian_) {
            const std::uint64_t n = part.rows.cols();
            if (n == 0) continue;
            using Job = gpu::AggregateGramJob;
            Job job{};
            job.n = narrow(n);
            job.stride = narrow(part.rows.stride());
            job.objectives = narrow(k_);
            job.tiles = narrow(tiles_);
            job.chunk_length = narrow(plan.length());
            const std::uint64_t chunks = plan.of(n);
            add(kGram, job,
                {{offsetof(Job, rows), part.rows, Access::read},
                 {offsetof(Job, partials), partials.row_range(first_chunk, chunks), Access::write}},
                tiles_ * chunks,
                {{gpu::SPEC_THREADS, plan.threads}, {gpu::SPEC_DTYPE_A, dtype_code(part.rows)}},
                static_cast<double>(k_ * (k_ + 1) * n), passes() * rows_bytes(part), plan.text());
            first_chunk += chunks;
        }
        using Job = gpu::AggregateGramSumJob;
        Job job{};
        job.objectives = narrow(k_);
        job.chunks = narrow(all_chunks);
        add(kGramSum, job,
            {{offsetof(Job, partials), partials, Access::read}, {offsetof(Job, gram), gram_, Access::write}},
            tiles_ * gpu::AGGREGATE_TILE, {{gpu::SPEC_THREADS, plan.threads}},
            20.0 * static_cast<double>(partials.shape.count()), element_bytes(partials));
    }

    // UPGrad, or with one joint program DualProj.
    void dual_cone(const DualConeOptions& options, bool joint) {
        const std::uint64_t problems = joint ? 1 : k_;
        const Tensor tableau = graph_.temporary(DType::f32, Shape{problems, 2, k_ * k_});
        const Tensor solutions = graph_.temporary(DType::f32, Shape{problems, k_});
        const Tensor verdicts = graph_.temporary(DType::u32, Shape{problems, 2});
        {
            using Job = gpu::AggregateDualJob;
            Job job{};
            job.objectives = narrow(k_);
            job.flags = (joint ? gpu::AGGREGATE_JOINT : 0) | preference_flag();
            job.norm_eps = options.norm_eps;
            job.regularization = options.reg_eps;
            job.each = 1.0f / static_cast<float>(k_);
            std::vector<Operand> operands{{offsetof(Job, gram), gram_, Access::read},
                                          {offsetof(Job, tableau), tableau, Access::write},
                                          {offsetof(Job, solutions), solutions, Access::write},
                                          {offsetof(Job, verdicts), verdicts, Access::write}};
            if (preference_) operands.push_back({offsetof(Job, preference), preference_, Access::read});
            // 2 k pivots are more than most take.
            const double elements = static_cast<double>(problems * k_ * k_) * static_cast<double>(2 * k_ + 3);
            add(kDual, job, std::move(operands), problems, {{gpu::SPEC_THREADS, small_threads()}},
                kDoubleFloatFlops * elements, 16 * elements, joint ? "one program" : "a program each");
        }
        using Job = gpu::AggregateWeightsJob;
        Job job{};
        job.objectives = narrow(k_);
        job.problems = narrow(problems);
        job.flags = output_flags();
        std::vector<Operand> operands{{offsetof(Job, solutions), solutions, Access::read},
                                      {offsetof(Job, verdicts), verdicts, Access::read},
                                      {offsetof(Job, weights), make_weights(), Access::write}};
        add_outputs<Job>(operands);
        add(kWeights, job, std::move(operands), 1, {{gpu::SPEC_THREADS, small_threads()}},
            20.0 * static_cast<double>(problems * k_), element_bytes(solutions));
    }

    void min_norm(const MgdaOptions& options) {
        using Job = gpu::AggregateMinNormJob;
        Job job{};
        job.objectives = narrow(k_);
        job.iterations = options.max_iterations;
        job.epsilon = options.epsilon;
        job.flags = output_flags();
        std::vector<Operand> operands{{offsetof(Job, gram), gram_, Access::read},
                                      {offsetof(Job, weights), make_weights(), Access::write}};
        add_outputs<Job>(operands);
        add(kMinNorm, job, std::move(operands), 1, {{gpu::SPEC_THREADS, small_threads()}},
            4 * kDoubleFloatFlops * static_cast<double>(k_) *
                static_cast<double>(options.max_iterations + k_),
            4.0 * static_cast<double>(k_ * (options.max_iterations + k_)));
    }

    // The aggregates, with the weights that have been found, else with the preference, or 1 / k each.
    void combine() {
        const Tensor& weights = weights_ ? weights_ : preference_;
        const PassGrid grid(graph_.device(), 2);
        for (const JacobianPart& part : jacobian_) {
            const std::uint64_t n = part.rows.cols();
            if (n == 0) continue;
            using Job = gpu::AggregateCombineJob;
            Job job{};
            job.n = narrow(n);
            job.stride = narrow(part.rows.stride());
            job.objectives = narrow(k_);
            job.flags = weights ? gpu::AGGREGATE_HAS_WEIGHTS : 0;
            job.weight = 1.0f / static_cast<float>(k_);
            std::vector<Operand> operands{{offsetof(Job, rows), part.rows, Access::read},
                                          {offsetof(Job, gradient), part.gradient, Access::write}};
            if (weights) operands.push_back({offsetof(Job, weights), weights, Access::read});
            add(kCombine, job, std::move(operands), grid.groups(n),
                {{gpu::SPEC_THREADS, grid.threads},
                 {gpu::SPEC_PER_THREAD, grid.per_thread},
                 {gpu::SPEC_DTYPE_A, dtype_code(part.rows)},
                 {gpu::SPEC_DTYPE_D, dtype_code(part.gradient)}},
                2.0 * static_cast<double>(k_ * n), rows_bytes(part) + element_bytes(part.gradient));
        }
    }

private:
    std::uint64_t check_parts(const char* who) {
        if (jacobian_.empty() || jacobian_.size() > kMaxParts)
            refuse(who, "there are " + std::to_string(jacobian_.size()) + " parts; give it 1 to " +
                            std::to_string(kMaxParts));
        std::uint64_t k = 0;
        for (std::size_t i = 0; i < jacobian_.size(); ++i) {
            const JacobianPart& part = jacobian_[i];
            const std::string index = std::to_string(i);
            check_float_tensor(who, "the rows of part " + index, graph_, part.rows);
            if (i == 0) k = part.rows.rows();
            if (part.rows.batch() != 1 || part.rows.rows() != k || k < 1 || k > gpu::AGGREGATE_LARGEST)
                refuse(who, "the rows of part " + index + " are " + text(part.rows) +
                                "; they must be a matrix with a row for each objective, 1 to " +
                                std::to_string(gpu::AGGREGATE_LARGEST) + " and as many in all parts");
            check_float_vector(who, "the gradient of part " + index, graph_, part.gradient, part.rows.cols());
            elements_ += part.rows.cols();
        }
        if (elements_ == 0) refuse(who, "the Jacobian has no elements");
        return k;
    }

    template <class Job>
    void add(const KernelInfo& kernel, const Job& job, std::vector<Operand> operands, std::uint64_t groups,
             std::vector<SpecConstant> constants, double flops, double bytes, std::string reason = {}) {
        add_operation(graph_, make_operation(kernel, job, std::move(operands), groups), std::move(constants),
                      flops, bytes, guarded_, std::move(reason));
    }
    template <class Job>
    void add_outputs(std::vector<Operand>& operands) const {
        if (outputs_.status) operands.push_back({offsetof(Job, status), outputs_.status, Access::write});
        if (outputs_.residual)
            operands.push_back({offsetof(Job, residual), outputs_.residual, Access::write});
    }
    std::uint32_t output_flags() const {
        return (outputs_.status ? gpu::AGGREGATE_HAS_STATUS : 0) |
               (outputs_.residual ? gpu::AGGREGATE_HAS_RESIDUAL : 0);
    }
    std::uint32_t preference_flag() const { return preference_ ? gpu::AGGREGATE_HAS_PREFERENCE : 0; }
    const Tensor& make_weights() {
        if (!weights_) weights_ = graph_.temporary(DType::f32, Shape{k_});
        return weights_;
    }
    // An invocation for each objective.
    std::uint32_t small_threads() const {
        return std::bit_ceil(std::max(narrow(k_), graph_.device().capabilities().cpu ? 8u : 32u));
    }
    // Rows of tiles over the Gram matrix's: each reads the Jacobian up to twice.
    double passes() const { return static_cast<double>(ceil_div(k_, gpu::AGGREGATE_TILE)); }
    static double rows_bytes(const JacobianPart& part) {
        return static_cast<double>(part.rows.shape.count() * bytes_of(part.rows.dtype));
    }

    Graph& graph_;
    const std::span<const JacobianPart> jacobian_;
    const Tensor preference_;
    const AggregateOutputs outputs_;
    const bool guarded_;
    std::uint64_t elements_ = 0;  // of a row, in all parts
    const std::uint64_t k_, tiles_;
    Tensor gram_, weights_;
};

void add_dual_cone(const char* who, Graph& graph, std::span<const JacobianPart> jacobian,
                   const DualConeOptions& options, bool joint) {
    if (!(options.norm_eps >= 0) || !std::isfinite(options.norm_eps))
        refuse(who, "norm_eps is " + number_text(options.norm_eps) + "; it must be finite and not below 0");
    if (!(options.reg_eps >= 1e-10f && options.reg_eps <= 1.0f))
        refuse(who, "reg_eps is " + number_text(options.reg_eps) + "; it must be between 1e-10 and 1");
    Aggregation aggregation(who, graph, jacobian, options.preference, options.outputs, options.guarded);
    aggregation.gram();
    aggregation.dual_cone(options, joint);
    aggregation.combine();
}

}  // namespace

void aggregate_mean(Graph& graph, std::span<const JacobianPart> jacobian, const MeanOptions& options) {
    Aggregation("aggregate_mean", graph, jacobian, options.preference, {}, options.guarded).combine();
}

void aggregate_upgrad(Graph& graph, std::span<const JacobianPart> jacobian, const DualConeOptions& options) {
    add_dual_cone("aggregate_upgrad", graph, jacobian, options, false);
}

void aggregate_dualproj(Graph& graph, std::span<const JacobianPart> jacobian,
                        const DualConeOptions& options) {
    add_dual_cone("aggregate_dualproj", graph, jacobian, options, true);
}

void aggregate_mgda(Graph& graph, std::span<const JacobianPart> jacobian, const MgdaOptions& options) {
    const char* who = "aggregate_mgda";
    if (!(options.epsilon >= 0) || !std::isfinite(options.epsilon))
        refuse(who, "epsilon is " + number_text(options.epsilon) + "; it must be finite and not below 0");
    if (options.max_iterations < 1 || options.max_iterations > 4096)
        refuse(who, "max_iterations is " + std::to_string(options.max_iterations) +
                        "; it must be between 1 and 4096");
    Aggregation aggregation(who, graph, jacobian, {}, options.outputs, options.guarded);
    aggregation.gram();
    aggregation.min_norm(options);
    aggregation.combine();
}

}  // namespace heron
