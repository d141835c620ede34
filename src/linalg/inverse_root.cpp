// SPDX-License-Identifier: MIT
// inverse_root(): small matrices in one workgroup each; large ones by products, with an operation between the
// iterations that decides on the device what becomes of each matrix.
#include "heron/linalg/inverse_root.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>

#include "graph/graph.hpp"
#include "heron/linalg/cholesky.hpp"
#include "heron/linalg/product.hpp"
#include "heron/linalg/reduce.hpp"
#include "heron/spirv/inverse_root_commit.hpp"
#include "heron/spirv/inverse_root_denman.hpp"
#include "heron/spirv/inverse_root_error.hpp"
#include "heron/spirv/inverse_root_finish.hpp"
#include "heron/spirv/inverse_root_guess.hpp"
#include "heron/spirv/inverse_root_rows.hpp"
#include "heron/spirv/inverse_root_start.hpp"
#include "heron/spirv/inverse_root_workgroup.hpp"
#include "linalg/blocks.hpp"
#include "linalg/checks.hpp"
#include "linalg/integers.hpp"
#include "linalg/inverse_root.h"

namespace heron {

static_assert(sizeof(gpu::InverseRootJob) == 96);
static_assert(sizeof(gpu::RootRowsJob) == 48);
static_assert(sizeof(gpu::RootStartJob) == 88);
static_assert(sizeof(gpu::RootGuessJob) == 48);
static_assert(sizeof(gpu::RootErrorJob) == 32);
static_assert(sizeof(gpu::RootCommitJob) == 120);
static_assert(sizeof(gpu::RootDenmanJob) == 72);
static_assert(sizeof(gpu::RootFinishJob) == 88);

namespace {

constexpr KernelInfo kWorkgroup =
    make_kernel<gpu::InverseRootJob>("inverse_root_workgroup", spirv::inverse_root_workgroup);
constexpr KernelInfo kRows = make_kernel<gpu::RootRowsJob>("inverse_root_rows", spirv::inverse_root_rows);
constexpr KernelInfo kStart = make_kernel<gpu::RootStartJob>("inverse_root_start", spirv::inverse_root_start);
constexpr KernelInfo kGuess = make_kernel<gpu::RootGuessJob>("inverse_root_guess", spirv::inverse_root_guess);
constexpr KernelInfo kError = make_kernel<gpu::RootErrorJob>("inverse_root_error", spirv::inverse_root_error);
constexpr KernelInfo kCommit =
    make_kernel<gpu::RootCommitJob>("inverse_root_commit", spirv::inverse_root_commit);
constexpr KernelInfo kDenman =
    make_kernel<gpu::RootDenmanJob>("inverse_root_denman", spirv::inverse_root_denman);
constexpr KernelInfo kFinish =
    make_kernel<gpu::RootFinishJob>("inverse_root_finish", spirv::inverse_root_finish);

constexpr std::uint32_t kMaxRoot = 64;
constexpr std::uint32_t kMaxIterations = 64;
constexpr std::uint64_t kMaxRows = 4096;

RootMethod method_of(const InverseRootOptions& options, bool small) {
    if (options.method != RootMethod::automatic) return options.method;
    if (options.p == 2 && (!small || options.square_root)) return RootMethod::denman_beavers;
    return RootMethod::newton;
}

// Small eigenvalues of M grow at least by ((p + 1) / p)^p = 2, 2.25, 2.44, ... in an iteration of Newton's,
// by 2.25 in one of Newton-Schulz, until the last six or so; norms and powers of two may begin 32 times below
// 1.
std::uint32_t budget_of(const InverseRootOptions& options, RootMethod method) {
    if (options.iterations != 0) return options.iterations;
    if (method == RootMethod::denman_beavers) return 8;
    const double p = method == RootMethod::newton_schulz ? 2.0 : options.p;
    return 6 + static_cast<std::uint32_t>(std::ceil(std::log(8e6) / (p * std::log1p(1.0 / p))));
}

std::uint32_t products_of_power(std::uint32_t p) {  // for T^p M by binary powering
    std::uint32_t products = 1;
    for (std::uint32_t rest = p; rest > 1; rest /= 2) products += 1 + rest % 2;
    return products;
}

bool is_finite_not_negative(float x) { return x >= 0 && std::isfinite(x); }

void check_square(const Graph& graph, const char* name, const Tensor& tensor, const Tensor& a) {
    const char* who = "inverse_root";
    check_float_tensor(who, name, graph, tensor);
    if (tensor.shape != a.shape || tensor.dtype != DType::f32)
        refuse(who, std::string(name) + " is " + text(tensor) + ", A is " + text(a) +
                        "; it must be f32 of A's shape");
}

void check(const Graph& graph, const Tensor& a, const Tensor& x, const InverseRootOptions& options) {
    const char* who = "inverse_root";
    check_float_tensor(who, "A", graph, a);
    if (a.rows() != a.cols()) refuse(who, "A is " + text(a) + "; it must be square");
    if (a.rows() > kMaxRows)
        refuse(who, "A is " + text(a) + "; it may have at most " + std::to_string(kMaxRows) + " rows");
    check_square(graph, "X", x, a);
    if (!same_place(graph, x, a)) check_no_overlap(who, "X", x, "A", a, graph);
    check_enumerator(who, options.method, RootMethod::denman_beavers, "method is not one of RootMethod");
    check_enumerator(who, options.damping.scale, DampingScale::max_diagonal,
                     "damping.scale is not one of DampingScale");
    if (options.p < 1 || options.p > kMaxRoot)
        refuse(who, "p is " + std::to_string(options.p) + "; it must be 1 to " + std::to_string(kMaxRoot));
    if (options.iterations > kMaxIterations)
        refuse(who, "iterations is " + std::to_string(options.iterations) + "; it may be at most " +
                        std::to_string(kMaxIterations));
    if (!is_finite_not_negative(options.damping.absolute) ||
        !is_finite_not_negative(options.damping.relative))
        refuse(who, "the damping is " + std::to_string(options.damping.absolute) + " absolute, " +
                        std::to_string(options.damping.relative) +
                        " relative; both must be finite and not negative");
    if (!(options.tolerance > 0 && options.tolerance < 0.01f))
        refuse(who, "the tolerance is " + std::to_string(options.tolerance) +
                        "; it must be above 0 and below 0.01");
    const bool square_only =
        options.method == RootMethod::newton_schulz || options.method == RootMethod::denman_beavers;
    if (options.p != 2 && (square_only || options.square_root))
        refuse(who, std::string(square_only ? to_string(options.method) : "a square root") +
                        " needs p = 2, p is " + std::to_string(options.p));
    if (options.square_root) {
        if (options.method == RootMethod::newton)
            refuse(who, "newton cannot compute the square root; leave the method to `automatic`");
        check_square(graph, "the square root", options.square_root, a);
        check_no_overlap(who, "the square root", options.square_root, "A", a, graph);
        check_no_overlap(who, "the square root", options.square_root, "X", x, graph);
    }
    if (options.guess) {
        if (options.p != 1)
            refuse(who, "a guess needs p = 1, p is " + std::to_string(options.p) +
                            "; for p > 1 the iteration would converge to something else");
        check_square(graph, "the guess", options.guess, a);
        if (!same_place(graph, x, options.guess))
            check_no_overlap(who, "X", x, "the guess", options.guess, graph);
    }
    const std::pair<const char*, const Tensor*> extras[] = {{"status", &options.status},
                                                            {"residual", &options.residual},
                                                            {"iterations_used", &options.iterations_used}};
    for (const auto& [name, extra] : extras) {
        if (!*extra) continue;
        const DType dtype = extra == &options.residual ? DType::f32 : DType::u32;
        if (extra->id >= graph.impl().objects.size())
            refuse(who, std::string(name) + " belongs to another graph");
        if (extra->dtype != dtype || extra->shape.count() != a.batch() || extra->stride() != extra->cols())
            refuse(who, std::string(name) + " is " + text(*extra) + "; it must be a contiguous tensor of " +
                            std::to_string(a.batch()) + " " + to_string(dtype) + ", one for each matrix");
        check_no_overlap(who, name, *extra, "A", a, graph);
        check_no_overlap(who, name, *extra, "X", x, graph);
    }
}

std::uint32_t flags_of(const InverseRootOptions& options) {
    return (options.status ? gpu::ROOT_HAS_STATUS : 0) | (options.residual ? gpu::ROOT_HAS_RESIDUAL : 0) |
           (options.iterations_used ? gpu::ROOT_HAS_USED : 0) |
           (options.keep_on_failure ? gpu::ROOT_KEEP : 0);
}

template <class Job>
void add_report_operands(std::vector<Operand>& operands, const InverseRootOptions& options) {
    if (options.status) operands.push_back({offsetof(Job, status), options.status, Access::write});
    if (options.residual) operands.push_back({offsetof(Job, residual), options.residual, Access::write});
    if (options.iterations_used)
        operands.push_back({offsetof(Job, used), options.iterations_used, Access::write});
}

// --------------------------------------------------------------------------- one workgroup

struct Variant {
    std::uint32_t threads, pool, tiles, largest;
};

Variant choose_variant(const Capabilities& capabilities) {
    Variant variant{};
    // A little is left for the kernel's other variables; more than 64 KiB would keep other workgroups away.
    variant.pool = std::min<std::uint32_t>(capabilities.shared_memory_bytes, 65536) / 16 - 4;
    variant.threads = std::min({capabilities.cpu ? 8u : 256u, capabilities.max_workgroup_invocations,
                                capabilities.max_workgroup_size_x});
    std::uint32_t q = 1;
    while (12 * (q + 1) * (q + 1) <= variant.pool) ++q;
    variant.largest = 4 * q;
    variant.tiles = narrow(ceil_div(q * (q + 1) / 2, variant.threads));
    return variant;
}

void add_small(Graph& graph, const Tensor& a, const Tensor& x, const InverseRootOptions& options) {
    const Variant variant = choose_variant(graph.device().capabilities());
    gpu::InverseRootJob job{};
    job.n = narrow(a.rows());
    job.a_stride = narrow(a.stride());
    job.a_item = item_stride(a);
    job.x_stride = narrow(x.stride());
    job.x_item = item_stride(x);
    job.p = options.p;
    job.iterations = budget_of(options, RootMethod::newton);
    job.absolute = options.damping.absolute;
    job.relative = options.damping.relative;
    job.relative_to = static_cast<std::uint32_t>(options.damping.scale);
    job.tolerance = options.tolerance;
    job.flags = flags_of(options);
    std::vector<Operand> operands{
        {offsetof(gpu::InverseRootJob, a), a, Access::read},
        {offsetof(gpu::InverseRootJob, x), x, options.keep_on_failure ? Access::read_write : Access::write}};
    add_report_operands<gpu::InverseRootJob>(operands, options);
    Operation operation = make_operation(kWorkgroup, job, std::move(operands), a.batch());
    operation.constants = {{gpu::SPEC_THREADS, variant.threads},
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(a.dtype)},
                           {gpu::SPEC_POOL, variant.pool},
                           {gpu::SPEC_TILES, variant.tiles}};
    operation.reason = "three matrices fit shared memory: one workgroup for each root";
    const double n = static_cast<double>(a.rows());
    operation.flops =
        n * n * n * (1 + products_of_power(options.p)) * job.iterations * static_cast<double>(a.batch());
    operation.bytes = static_cast<double>(a.span_bytes() + x.span_bytes());
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

// --------------------------------------------------------------------------- products

// Iterates, and what an iteration makes of them. The watched matrix is always the second.
struct Iterate {
    Tensor x, m, y;  // y only where a square root is computed along
};

class BlockedRoot {
public:
    BlockedRoot(Graph& graph, const Tensor& a, const Tensor& x, const InverseRootOptions& options)
        : graph_(graph),
          a_(a),
          x_(x),
          options_(options),
          method_(method_of(options, false)),
          budget_(budget_of(options, method_)),
          n_(a.rows()),
          items_(a.batch()),
          cpu_(graph.device().capabilities().cpu) {
        groups_ = ceil_div(n_, rows_per_group());
        // Three iterates: Newton-Schulz needs its square root, Denman-Beavers has it for one product more.
        three_ = method_ == RootMethod::newton_schulz || options.square_root;
        writes_t_ = method_ == RootMethod::newton && options.p >= 4;
        now_ = iterate();
        next_ = iterate();
        if (writes_t_) t_ = square();
        states_ = graph.temporary(DType::u32, Shape{items_, slots(), gpu::ROOT_STATE_WORDS});
        partials_ = graph.temporary(DType::u32, Shape{items_, groups_});
    }

    void add() {
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
        finish(now_.x, x_, -1, true);
        if (options_.square_root) finish(now_.y, options_.square_root, 1, false);
    }

private:
    std::uint32_t rows_per_group() const { return cpu_ ? 32 : 8; }
    std::uint32_t threads() const { return cpu_ ? 8 : 128; }
    std::uint64_t slots() const { return budget_ + 1; }
    Tensor square() { return graph_.temporary(DType::f32, Shape{items_, n_, n_}); }
    Iterate iterate() { return {square(), square(), three_ ? square() : Tensor{}}; }

    // D = alpha A B + beta C for matrices whose product is symmetric
    void multiply(const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d, double alpha = 1.0,
                  double beta = 0.0) {
        GemmOptions gemm_options;
        gemm_options.symmetric = true;
        gemm_options.alpha = static_cast<float>(alpha);
        gemm_options.beta = static_cast<float>(beta);
        gemm_options.guarded = options_.guarded;
        gemm(graph_, a, b, beta == 0.0 ? Tensor{} : c, d, gemm_options);
    }
    // D = A ((p + 1) I - M) / p
    void multiply_t(const Tensor& a, const Tensor& m, const Tensor& d, double p) {
        multiply(a, m, a, d, -1.0 / p, (p + 1.0) / p);
    }

    // T^p M: for p < 4 as p times (T .), else by powers of T.
    void newton() {
        multiply_t(now_.x, now_.m, next_.x, options_.p);
        if (!writes_t_) {
            Tensor from = now_.m;
            for (std::uint32_t i = 0; i < options_.p; ++i) {
                const Tensor to = i + 1 == options_.p ? next_.m : square();
                multiply_t(from, now_.m, to, options_.p);
                from = to;
            }
            return;
        }
        std::uint32_t bit = 1;
        while (options_.p / (2 * bit) != 0) bit *= 2;
        Tensor power = t_;
        while (bit > 1) {
            bit /= 2;
            Tensor to = square();
            multiply(power, power, {}, to);
            power = to;
            if ((options_.p & bit) != 0) {
                to = square();
                multiply(power, t_, {}, to);
                power = to;
            }
        }
        multiply(power, now_.m, {}, next_.m);
    }

    // M = X Y; Y <- Y (3 I - M) / 2, X <- (3 I - M) X / 2: in this order errors do not grow (N. Higham,
    // Functions of Matrices, 6.4), and with one half mirrored onto the other they do.
    void newton_schulz() {
        full_product(now_.y, now_.m, now_.y, next_.y, -0.5, 1.5);
        full_product(now_.m, now_.x, now_.x, next_.x, -0.5, 1.5);
        full_product(next_.x, next_.y, {}, next_.m);
    }

    // Returns the status of each matrix's Cholesky factor.
    Tensor denman_beavers(std::uint32_t iteration) {
        const Tensor factor = square(), triangle = square(), inverse = square(), f = square();
        const Tensor log_det = graph_.temporary(DType::f32, Shape{items_});
        const Tensor failures = graph_.temporary(DType::u32, Shape{items_});
        CholeskyOptions cholesky_options;
        cholesky_options.status = failures;
        cholesky_options.guarded = options_.guarded;
        cholesky(graph_, now_.m, factor, cholesky_options);
        log_determinant(graph_, factor, log_det, options_.guarded);
        TriangularInverseOptions inverse_options;
        inverse_options.guarded = options_.guarded;
        triangular_inverse(graph_, factor, triangle, inverse_options);
        GemmOptions product;
        product.transpose_a = Transpose::yes;
        product.guarded = options_.guarded;
        syrk(graph_, triangle, {}, inverse, product);
        gpu::RootDenmanJob job{};
        job.n = narrow(n_);
        job.iteration = iteration;
        job.slots = narrow(slots());
        job.groups = narrow(groups_);
        add_operation(make_operation(kDenman, job,
                                     {{offsetof(gpu::RootDenmanJob, m), now_.m, Access::read},
                                      {offsetof(gpu::RootDenmanJob, inverse), inverse, Access::read},
                                      {offsetof(gpu::RootDenmanJob, log_determinant), log_det, Access::read},
                                      {offsetof(gpu::RootDenmanJob, next), next_.m, Access::write},
                                      {offsetof(gpu::RootDenmanJob, f), f, Access::write},
                                      {offsetof(gpu::RootDenmanJob, states), states_, Access::read}},
                                     items_ * groups_),
                      4);
        multiply(now_.x, f, {}, next_.x);
        if (three_) multiply(now_.y, f, {}, next_.y);
        return failures;
    }

    // Newton-Schulz for the inverse, which does not ask iterates to commute: M = A X is made anew each time.
    void refine() {
        multiply(now_.x, now_.m, now_.x, next_.x, -1.0, 2.0);
        full_product(a_scaled_, next_.x, {}, next_.m);
    }
    void full_product(const Tensor& a, const Tensor& b, const Tensor& c, const Tensor& d, double alpha = 1.0,
                      double beta = 0.0) {
        GemmOptions gemm_options;
        gemm_options.alpha = static_cast<float>(alpha);
        gemm_options.beta = static_cast<float>(beta);
        gemm_options.guarded = options_.guarded;
        gemm(graph_, a, b, c, d, gemm_options);
    }

    void start() {
        const double p = options_.p;
        const bool newton = method_ == RootMethod::newton;
        // Newton-Schulz begins with Y = M, X = I, M = X Y; Denman-Beavers with X = I, Y = M.
        first_iterate(now_.m, now_.x, newton ? 0.5 * (p + 1.0) : 1.0);
        if (three_) convert(now_.m, now_.y);
    }

    void start_warm() {
        a_scaled_ = square();
        first_iterate(a_scaled_, now_.x, 1.0);
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
        convert(a_scaled_, now_.m);
        full_product(a_scaled_, next_.x, {}, next_.m);
        error(next_.m, gpu::ROOT_WARM);
        commit(0, {}, gpu::ROOT_WARM);
        std::swap(now_, next_);
    }

    void convert(const Tensor& from, const Tensor& to) {
        heron::convert(graph_, from, to, 1.0f, options_.guarded);
    }

    void first_iterate(const Tensor& m, const Tensor& x, double norm) {
        const Tensor w = square();
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
        add_operation(std::move(rows_operation), 4);

        gpu::RootStartJob job{};
        job.n = narrow(n_);
        job.p = options_.p;
        job.absolute = options_.damping.absolute;
        job.relative = options_.damping.relative;
        job.relative_to = static_cast<std::uint32_t>(options_.damping.scale);
        job.norm = static_cast<float>(norm);
        job.slots = narrow(slots());
        job.flags = writes_t_ ? gpu::ROOT_WRITES_T : 0;
        job.groups = narrow(groups_);
        std::vector<Operand> operands{{offsetof(gpu::RootStartJob, w), w, Access::read},
                                      {offsetof(gpu::RootStartJob, rows), rows, Access::read},
                                      {offsetof(gpu::RootStartJob, m), m, Access::write},
                                      {offsetof(gpu::RootStartJob, x), x, Access::write},
                                      {offsetof(gpu::RootStartJob, states), states_, Access::write}};
        if (writes_t_) operands.push_back({offsetof(gpu::RootStartJob, t), t_, Access::write});
        add_operation(make_operation(kStart, job, std::move(operands), items_ * groups_), 3);
    }

    void error(const Tensor& test, std::uint32_t flags) {
        gpu::RootErrorJob job{};
        job.n = narrow(n_);
        job.groups = narrow(groups_);
        job.flags = flags;
        add_operation(make_operation(kError, job,
                                     {{offsetof(gpu::RootErrorJob, test), test, Access::read},
                                      {offsetof(gpu::RootErrorJob, partials), partials_, Access::write}},
                                     items_ * groups_),
                      1);
    }

    void commit(std::uint32_t iteration, const Tensor& failures, std::uint32_t extra_flags) {
        gpu::RootCommitJob job{};
        job.n = narrow(n_);
        job.p = options_.p;
        job.matrices = three_ ? 3 : 2;
        job.partial_count = narrow(groups_);
        job.iteration = iteration;
        job.tolerance = options_.tolerance;
        job.slots = narrow(slots());
        const bool bounded = method_ != RootMethod::denman_beavers && !options_.guess;
        job.flags = extra_flags | (bounded ? gpu::ROOT_BOUNDED : 0) | (failures ? gpu::ROOT_FAILURES : 0) |
                    (writes_t_ ? gpu::ROOT_WRITES_T : 0);
        job.groups = narrow(groups_);
        std::vector<Operand> operands{{offsetof(gpu::RootCommitJob, old0), now_.x, Access::read},
                                      {offsetof(gpu::RootCommitJob, old1), now_.m, Access::read},
                                      {offsetof(gpu::RootCommitJob, new0), next_.x, Access::read_write},
                                      {offsetof(gpu::RootCommitJob, new1), next_.m, Access::read_write},
                                      {offsetof(gpu::RootCommitJob, partials), partials_, Access::read},
                                      {offsetof(gpu::RootCommitJob, states), states_, Access::read_write}};
        if (three_) {
            operands.push_back({offsetof(gpu::RootCommitJob, old2), now_.y, Access::read});
            operands.push_back({offsetof(gpu::RootCommitJob, new2), next_.y, Access::read_write});
        }
        if (writes_t_) operands.push_back({offsetof(gpu::RootCommitJob, t), t_, Access::write});
        if (failures) operands.push_back({offsetof(gpu::RootCommitJob, failures), failures, Access::read});
        add_operation(make_operation(kCommit, job, std::move(operands), items_ * groups_), writes_t_ ? 2 : 0);
    }

    void finish(const Tensor& x, const Tensor& result, int sign, bool reports) {
        gpu::RootFinishJob job{};
        job.n = narrow(n_);
        job.result_stride = narrow(result.stride());
        job.result_item = item_stride(result);
        job.numerator = sign;
        job.denominator = options_.p;
        job.tolerance = options_.tolerance;
        job.slots = narrow(slots());
        job.flags = reports ? flags_of(options_) : flags_of(options_) & gpu::ROOT_KEEP;
        job.groups = narrow(groups_);
        std::vector<Operand> operands{{offsetof(gpu::RootFinishJob, x), x, Access::read},
                                      {offsetof(gpu::RootFinishJob, result), result,
                                       options_.keep_on_failure ? Access::read_write : Access::write},
                                      {offsetof(gpu::RootFinishJob, states), states_, Access::read}};
        if (reports) add_report_operands<gpu::RootFinishJob>(operands, options_);
        add_operation(make_operation(kFinish, job, std::move(operands), items_ * groups_), 2);
    }

    // `passes`: matrices that are read or written.
    void add_operation(Operation operation, double passes) {
        operation.constants.push_back({gpu::SPEC_THREADS, threads()});
        operation.constants.push_back({gpu::SPEC_PER_THREAD, rows_per_group()});
        operation.reason = "a matrix too large for one workgroup";
        operation.bytes = 4.0 * passes * static_cast<double>(items_ * n_ * n_);
        operation.guarded = options_.guarded;
        graph_.add(std::move(operation));
    }

    Graph& graph_;
    const Tensor a_, x_;
    const InverseRootOptions& options_;
    const RootMethod method_;
    const std::uint32_t budget_;
    const std::uint64_t n_, items_;
    const bool cpu_;
    std::uint64_t groups_ = 0;
    bool three_ = false, writes_t_ = false;
    Iterate now_, next_;
    Tensor t_, a_scaled_, states_, partials_;
};

}  // namespace

const char* to_string(RootMethod method) {
    switch (method) {
        case RootMethod::automatic:
            return "automatic";
        case RootMethod::newton:
            return "newton";
        case RootMethod::newton_schulz:
            return "newton_schulz";
        case RootMethod::denman_beavers:
            return "denman_beavers";
    }
    return "unknown";
}

bool inverse_root_fits_one_workgroup(const Device& device, std::uint64_t n,
                                     const InverseRootOptions& options) {
    if (!options.one_workgroup || options.guess || method_of(options, true) != RootMethod::newton)
        return false;
    const Variant variant = choose_variant(device.capabilities());
    // lavapipe ends an invocation's loops after 65,535 iterations: high roots with large budgets have more.
    const std::uint64_t products = 2 + products_of_power(options.p);
    const std::uint64_t loops =
        budget_of(options, RootMethod::newton) * products * variant.tiles * (ceil_div(n, 4) + 4);
    return n <= variant.largest && loops <= 40000;
}

void inverse_root(Graph& graph, const Tensor& a, const Tensor& x, const InverseRootOptions& options) {
    check(graph, a, x, options);
    if (a.shape.count() == 0) return;
    if (inverse_root_fits_one_workgroup(graph.device(), a.rows(), options))
        add_small(graph, a, x, options);
    else
        BlockedRoot(graph, a, x, options).add();
}

}  // namespace heron
