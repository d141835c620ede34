// SPDX-License-Identifier: MIT
// Inverse roots of large matrices, all but the iteration itself: first iterates; after each step, an
// operation that decides on the device what becomes of each matrix; results. Matrices that have stopped are
// left alone by all that follows.
#include <algorithm>
#include <cstddef>
#include <string>
#include <utility>

#include "graph/graph.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/spirv/inverse_root_commit.hpp"
#include "heron/spirv/inverse_root_error.hpp"
#include "heron/spirv/inverse_root_finish.hpp"
#include "heron/spirv/inverse_root_guess.hpp"
#include "heron/spirv/inverse_root_rows.hpp"
#include "heron/spirv/inverse_root_start.hpp"
#include "linalg/blocks.hpp"
#include "linalg/inverse_root.hpp"

namespace heron {

static_assert(sizeof(gpu::RootRowsJob) == 48);
static_assert(sizeof(gpu::RootStartJob) == 96);
static_assert(sizeof(gpu::RootGuessJob) == 48);
static_assert(sizeof(gpu::RootErrorJob) == 40);
static_assert(sizeof(gpu::RootCommitJob) == 128);
static_assert(sizeof(gpu::RootFinishJob) == 96);

namespace {

constexpr KernelInfo kRows = make_kernel<gpu::RootRowsJob>("inverse_root_rows", spirv::inverse_root_rows);
constexpr KernelInfo kStart = make_kernel<gpu::RootStartJob>("inverse_root_start", spirv::inverse_root_start);
constexpr KernelInfo kGuess = make_kernel<gpu::RootGuessJob>("inverse_root_guess", spirv::inverse_root_guess);
constexpr KernelInfo kError = make_kernel<gpu::RootErrorJob>("inverse_root_error", spirv::inverse_root_error);
constexpr KernelInfo kCommit =
    make_kernel<gpu::RootCommitJob>("inverse_root_commit", spirv::inverse_root_commit);
constexpr KernelInfo kFinish =
    make_kernel<gpu::RootFinishJob>("inverse_root_finish", spirv::inverse_root_finish);

}  // namespace

BlockedRoot::BlockedRoot(Graph& graph, const Tensor& a, const Tensor& x, const InverseRootOptions& options)
    : graph_(graph),
      a_(a),
      x_(x),
      options_(options),
      method_(root_method(options, false)),
      budget_(root_budget(options, method_)),
      n_(a.rows()),
      items_(a.batch()),
      cpu_(graph.device().capabilities().cpu) {
    groups_ = ceil_div(n_, rows_per_group());
    // Three iterates: Newton-Schulz needs its square root, Denman-Beavers has it for one product more.
    three_ = method_ == RootMethod::newton_schulz || options.square_root;
    writes_t_ = method_ == RootMethod::newton && (options.p >= 4 || options.words == 2);
    now_ = iterate();
    next_ = iterate();
    if (writes_t_) t_ = square();
    const std::uint32_t scratch = method_ == RootMethod::newton           ? std::min(options.p - 1, 2u)
                                  : method_ == RootMethod::denman_beavers ? 1
                                                                          : 0;
    for (std::uint32_t i = 0; i < scratch; ++i) scratch_[i] = square();
    running_ = graph.temporary(DType::u32, Shape{items_});
    states_ = graph.temporary(DType::u32, Shape{items_, slots(), gpu::ROOT_STATE_WORDS});
    partials_ = graph.temporary(DType::u32, Shape{items_, groups_});
}

void BlockedRoot::add() {
    const Purpose purpose(graph_, std::string("inverse_root by products, ") + to_string(method_) + ": " +
                                      root_workgroup_refusal(graph_.device(), n_, options_));
    if (options_.guess)
        start_warm();
    else
        start();
    for (std::uint32_t iteration = 1; iteration <= budget_; ++iteration) {
        Tensor failures;
        if (options_.guess)
            refine();
        else if (method_ == RootMethod::newton)
            newton();
        else if (method_ == RootMethod::newton_schulz)
            newton_schulz();
        else
            failures = denman_beavers(iteration);
        error(next_.m, 0);
        commit(iteration, failures, 0);
        std::swap(now_, next_);
    }
    correct(now_.x, next_.x);
    finish(now_.x, next_.x, x_, -1, true);
    if (!options_.square_root) return;
    correct(now_.y, next_.y);
    finish(now_.y, next_.y, options_.square_root, 1, false);
}

void BlockedRoot::start() {
    // Newton-Schulz begins with Y = M, X = I, M = X Y; Denman-Beavers with X = I, Y = M.
    first_iterate(now_.m, now_.x, method_ == RootMethod::newton ? 0.0 : 1.0);
    if (three_) convert(now_.m, now_.y);
}

void BlockedRoot::start_warm() {
    const Tensor a_scaled = square();
    first_iterate(a_scaled, now_.x, 1.0);
    gpu::RootGuessJob job{};
    job.n = narrow(n_);
    job.guess_stride = narrow(options_.guess.stride());
    job.guess_item = item_stride(options_.guess);
    job.slots = narrow(slots());
    job.groups = narrow(groups_);
    add_operation(make_operation(kGuess, job,
                                 {{offsetof(gpu::RootGuessJob, guess), options_.guess, Access::read},
                                  {offsetof(gpu::RootGuessJob, x), next_.x, Access::write},
                                  {offsetof(gpu::RootGuessJob, states), states_, Access::read}},
                                 items_ * groups_),
                  2);
    convert(a_scaled, now_.m);
    full_product(a_scaled, next_.x, {}, next_.m);
    error(next_.m, gpu::ROOT_WARM);
    commit(0, {}, gpu::ROOT_WARM);
    std::swap(now_, next_);
}

void BlockedRoot::convert(const Tensor& from, const Tensor& to) {
    heron::convert(graph_, from, to, 1.0f, options_.guarded);
}

void BlockedRoot::first_iterate(const Tensor& m, const Tensor& x, double norm) {
    const Tensor& w = next_.x;  // until the first step
    const Tensor rows = graph_.temporary(DType::f32, Shape{items_, n_, 4});
    gpu::RootRowsJob rows_job{};
    rows_job.n = narrow(n_);
    rows_job.a_stride = narrow(a_.stride());
    rows_job.a_item = item_stride(a_);
    rows_job.groups = narrow(groups_);
    Operation rows_operation = make_operation(kRows, rows_job,
                                              {{offsetof(gpu::RootRowsJob, a), a_, Access::read},
                                               {offsetof(gpu::RootRowsJob, w), w, Access::write},
                                               {offsetof(gpu::RootRowsJob, rows), rows, Access::write}},
                                              items_ * groups_);
    rows_operation.constants = {{gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(a_.dtype)}};
    add_operation(std::move(rows_operation), 4.0 / options_.words);

    gpu::RootStartJob job{};
    job.n = narrow(n_);
    job.p = options_.p;
    job.absolute = options_.damping.absolute;
    job.relative = options_.damping.relative;
    job.relative_to = static_cast<std::uint32_t>(options_.damping.scale);
    job.norm = static_cast<float>(norm);
    job.slots = narrow(slots());
    job.flags = (writes_t_ ? gpu::ROOT_WRITES_T : 0) | root_word_flag(options_);
    job.groups = narrow(groups_);
    std::vector<Operand> operands{{offsetof(gpu::RootStartJob, w), w, Access::read},
                                  {offsetof(gpu::RootStartJob, rows), rows, Access::read},
                                  {offsetof(gpu::RootStartJob, m), m, Access::write},
                                  {offsetof(gpu::RootStartJob, x), x, Access::write},
                                  {offsetof(gpu::RootStartJob, states), states_, Access::write},
                                  {offsetof(gpu::RootStartJob, running), running_, Access::write}};
    // Products leave them as they are where a matrix has stopped; what is in them then is never used.
    for (const Tensor& unused : {next_.m, next_.y, scratch_[0], scratch_[1]})
        if (unused) operands.push_back({Operand::kNoField, unused, Access::write});
    if (writes_t_) operands.push_back({offsetof(gpu::RootStartJob, t), t_, Access::write});
    add_operation(make_operation(kStart, job, std::move(operands), items_ * groups_), 3);
}

void BlockedRoot::error(const Tensor& test, std::uint32_t flags) {
    gpu::RootErrorJob job{};
    job.n = narrow(n_);
    job.groups = narrow(groups_);
    job.flags = flags | root_word_flag(options_);
    add_operation(make_operation(kError, job,
                                 {{offsetof(gpu::RootErrorJob, test), test, Access::read},
                                  {offsetof(gpu::RootErrorJob, running), running_, Access::read},
                                  {offsetof(gpu::RootErrorJob, partials), partials_, Access::write}},
                                 items_ * groups_),
                  1);
}

void BlockedRoot::commit(std::uint32_t iteration, const Tensor& failures, std::uint32_t extra_flags) {
    gpu::RootCommitJob job{};
    job.n = narrow(n_);
    job.p = options_.p;
    job.matrices = three_ ? 3 : 2;
    job.partial_count = narrow(groups_);
    job.iteration = iteration;
    job.tolerance = root_tolerance(options_);
    job.slots = narrow(slots());
    const bool bounded = method_ != RootMethod::denman_beavers && !options_.guess;
    job.flags = extra_flags | (bounded ? gpu::ROOT_BOUNDED : 0) | (options_.guess ? gpu::ROOT_GUESSED : 0) |
                (failures ? gpu::ROOT_FAILURES : 0) | (writes_t_ ? gpu::ROOT_WRITES_T : 0) |
                root_word_flag(options_);
    job.groups = narrow(groups_);
    std::vector<Operand> operands{{offsetof(gpu::RootCommitJob, old0), now_.x, Access::read},
                                  {offsetof(gpu::RootCommitJob, old1), now_.m, Access::read},
                                  {offsetof(gpu::RootCommitJob, new0), next_.x, Access::read_write},
                                  {offsetof(gpu::RootCommitJob, new1), next_.m, Access::read_write},
                                  {offsetof(gpu::RootCommitJob, partials), partials_, Access::read},
                                  {offsetof(gpu::RootCommitJob, states), states_, Access::read_write},
                                  {offsetof(gpu::RootCommitJob, running), running_, Access::read_write}};
    if (three_) {
        operands.push_back({offsetof(gpu::RootCommitJob, old2), now_.y, Access::read});
        operands.push_back({offsetof(gpu::RootCommitJob, new2), next_.y, Access::read_write});
    }
    if (writes_t_) operands.push_back({offsetof(gpu::RootCommitJob, t), t_, Access::read_write});
    if (failures) operands.push_back({offsetof(gpu::RootCommitJob, failures), failures, Access::read});
    add_operation(make_operation(kCommit, job, std::move(operands), items_ * groups_), writes_t_ ? 2 : 0);
}

void BlockedRoot::finish(const Tensor& x, const Tensor& corrected, const Tensor& result, int sign,
                         bool reports) {
    gpu::RootFinishJob job{};
    job.n = narrow(n_);
    job.result_stride = narrow(result.stride());
    job.result_item = item_stride(result);
    job.numerator = sign;
    job.denominator = options_.p;
    job.tolerance = root_tolerance(options_);
    job.slots = narrow(slots());
    job.flags =
        reports ? root_flags(options_) : root_flags(options_) & (gpu::ROOT_KEEP | gpu::ROOT_TWO_WORDS);
    job.groups = narrow(groups_);
    std::vector<Operand> operands{{offsetof(gpu::RootFinishJob, x), x, Access::read},
                                  {offsetof(gpu::RootFinishJob, corrected), corrected, Access::read},
                                  {offsetof(gpu::RootFinishJob, result), result,
                                   options_.keep_on_failure ? Access::read_write : Access::write},
                                  {offsetof(gpu::RootFinishJob, states), states_, Access::read}};
    if (reports) add_root_reports<gpu::RootFinishJob>(operands, options_);
    add_operation(make_operation(kFinish, job, std::move(operands), items_ * groups_), 2);
}

// `passes`: iterates that are read or written.
void BlockedRoot::add_operation(Operation operation, double passes) {
    operation.constants.push_back({gpu::SPEC_THREADS, threads()});
    operation.constants.push_back({gpu::SPEC_PER_THREAD, rows_per_group()});
    operation.bytes = 4.0 * options_.words * passes * static_cast<double>(items_ * n_ * n_);
    operation.guarded = options_.guarded;
    graph_.add(std::move(operation));
}

}  // namespace heron
