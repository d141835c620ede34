// SPDX-License-Identifier: MIT
// Woodbury solves: passes over long rows by kernels of their own, the small system by cholesky() and its
// inverse.
#include "heron/linalg/woodbury.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "graph/graph.hpp"
#include "heron/linalg/cholesky.hpp"
#include "heron/linalg/ldlt.hpp"
#include "heron/linalg/product.hpp"
#include "heron/spirv/woodbury_combine.hpp"
#include "heron/spirv/woodbury_dots.hpp"
#include "heron/spirv/woodbury_exponents.hpp"
#include "heron/spirv/woodbury_gram.hpp"
#include "heron/spirv/woodbury_gram_sum.hpp"
#include "heron/spirv/woodbury_max.hpp"
#include "heron/spirv/woodbury_row.hpp"
#include "heron/spirv/woodbury_scale.hpp"
#include "heron/spirv/woodbury_solve.hpp"
#include "heron/spirv/woodbury_store.hpp"
#include "heron/spirv/woodbury_system.hpp"
#include "heron/spirv/woodbury_unscale.hpp"
#include "linalg/blocks.hpp"
#include "linalg/checks.hpp"
#include "linalg/integers.hpp"
#include "linalg/woodbury.h"

namespace heron {

static_assert(sizeof(gpu::WoodburyMaxJob) == 56);
static_assert(sizeof(gpu::WoodburyExponentsJob) == 32);
static_assert(sizeof(gpu::WoodburyGramJob) == 64);
static_assert(sizeof(gpu::WoodburyGramSumJob) == 32);
static_assert(sizeof(gpu::WoodburyStoreJob) == 80);
static_assert(sizeof(gpu::WoodburyDotsJob) == 96);
static_assert(sizeof(gpu::WoodburyRowJob) == 48);
static_assert(sizeof(gpu::WoodburySystemJob) == 72);
static_assert(sizeof(gpu::WoodburySolveJob) == 112);
static_assert(sizeof(gpu::WoodburyCombineJob) == 96);
static_assert(sizeof(gpu::WoodburyScaleJob) == 64);
static_assert(sizeof(gpu::WoodburyUnscaleJob) == 24);

namespace {

// The place alone: no bytes, hence no dependency.
Tensor address_of(Tensor x) {
    x.shape = Shape{0};
    x.row_stride = 0;
    return x;
}

template <class Job>
constexpr KernelInfo kernel(const char* name, std::span<const std::uint32_t> spirv) {
    return make_kernel<Job>(name, spirv);
}
constexpr KernelInfo kMax = kernel<gpu::WoodburyMaxJob>("woodbury_max", spirv::woodbury_max);
constexpr KernelInfo kExponents =
    kernel<gpu::WoodburyExponentsJob>("woodbury_exponents", spirv::woodbury_exponents);
constexpr KernelInfo kGram = kernel<gpu::WoodburyGramJob>("woodbury_gram", spirv::woodbury_gram);
constexpr KernelInfo kGramSum =
    kernel<gpu::WoodburyGramSumJob>("woodbury_gram_sum", spirv::woodbury_gram_sum);
constexpr KernelInfo kStore = kernel<gpu::WoodburyStoreJob>("woodbury_store", spirv::woodbury_store);
constexpr KernelInfo kDots = kernel<gpu::WoodburyDotsJob>("woodbury_dots", spirv::woodbury_dots);
constexpr KernelInfo kRow = kernel<gpu::WoodburyRowJob>("woodbury_row", spirv::woodbury_row);
constexpr KernelInfo kSystem = kernel<gpu::WoodburySystemJob>("woodbury_system", spirv::woodbury_system);
constexpr KernelInfo kSolve = kernel<gpu::WoodburySolveJob>("woodbury_solve", spirv::woodbury_solve);
constexpr KernelInfo kCombine = kernel<gpu::WoodburyCombineJob>("woodbury_combine", spirv::woodbury_combine);
constexpr KernelInfo kScale = kernel<gpu::WoodburyScaleJob>("woodbury_scale", spirv::woodbury_scale);
constexpr KernelInfo kUnscale = kernel<gpu::WoodburyUnscaleJob>("woodbury_unscale", spirv::woodbury_unscale);

// Addresses at the beginning of a kernel's job struct (linalg/woodbury.h).
std::uint32_t address_count(const KernelInfo& info) {
    const std::pair<const KernelInfo*, std::uint32_t> counts[] = {
        {&kMax, 3},  {&kExponents, 2}, {&kGram, 3},   {&kGramSum, 2}, {&kStore, 5},
        {&kDots, 7}, {&kRow, 4},       {&kSystem, 6}, {&kSolve, 11},  {&kCombine, 7}};
    for (const auto& [kernel, count] : counts)
        if (kernel == &info) return count;
    return 0;
}

constexpr std::uint64_t kMaxRows = 1024;
constexpr float kEps32 = 0x1p-23f;

std::uint32_t dtype_code(const Tensor& tensor) { return static_cast<std::uint32_t>(tensor.dtype); }

// --------------------------------------------------------------------------- checks

// `count` elements without gaps, f32, or u32, or any float.
enum class Kind { f32, u32, any_float };
void check_elements(std::string_view who, std::string_view name, const Graph& graph, const Tensor& tensor,
                    std::uint64_t count, Kind kind) {
    if (!tensor) refuse(who, std::string(name) + " is empty; give it a tensor of the graph");
    if (tensor.id >= graph.impl().objects.size())
        refuse(who, std::string(name) + " belongs to another graph");
    if (kind != Kind::u32) check_float_tensor(who, name, graph, tensor);
    const bool right_kind =
        kind == Kind::any_float || tensor.dtype == (kind == Kind::u32 ? DType::u32 : DType::f32);
    if (!right_kind || tensor.shape.count() != count ||
        (tensor.stride() != tensor.cols() && tensor.rows() > 1))
        refuse(who, std::string(name) + " is " + text(tensor) + "; it must be contiguous, with " +
                        std::to_string(count) +
                        (kind == Kind::u32   ? " u32"
                         : kind == Kind::f32 ? " f32"
                                             : " f32, f16 or bf16"));
}

void check_window(std::string_view who, const Graph& graph, const Window& window) {
    const Tensor& rows = window.rows;
    check_float_tensor(who, "the window", graph, rows);
    if (rows.rows() < 1 || rows.rows() > kMaxRows || rows.cols() < 1)
        refuse(who, "the window is " + text(rows) + "; it must have 1 to " + std::to_string(kMaxRows) +
                        " rows, of at least one element");
    const std::uint64_t count = rows.batch() * rows.rows();
    check_elements(who, "the Gram matrix", graph, window.gram, count * rows.rows(), Kind::f32);
    check_elements(who, "exponents", graph, window.exponents, count, Kind::u32);
    check_no_overlap(who, "the Gram matrix", window.gram, "the window", rows, graph);
    check_no_overlap(who, "exponents", window.exponents, "the window", rows, graph);
    check_no_overlap(who, "exponents", window.exponents, "the Gram matrix", window.gram, graph);
}

void check_apart(std::string_view who, const Graph& graph, std::string_view name, const Tensor& output,
                 const Window& window) {
    check_no_overlap(who, name, output, "the window", window.rows, graph);
    check_no_overlap(who, name, output, "the Gram matrix", window.gram, graph);
    check_no_overlap(who, name, output, "exponents", window.exponents, graph);
}

bool is_positive(float x) { return x > 0 && std::isfinite(x); }

void check_options(std::string_view who, const Graph& graph, const Window& window, const Tensor& x,
                   const WoodburyOptions& options) {
    check_enumerator(who, options.refinement, Refinement::always, "refinement is not one of Refinement");
    if (!is_positive(options.lambda) || !is_positive(options.weight) ||
        !is_positive(options.lambda / options.weight))
        refuse(who, "lambda is " + std::to_string(options.lambda) + ", the weight " +
                        std::to_string(options.weight) + "; both must be positive and finite");
    const std::uint64_t items = window.rows.batch();
    check_status_tensor(who, graph, options.status, items);
    if (options.damping) check_elements(who, "damping", graph, options.damping, items, Kind::f32);
    for (const Tensor* extra : {&options.status, &options.damping})
        if (*extra) {
            const char* name = extra == &options.status ? "status" : "damping";
            check_apart(who, graph, name, *extra, window);
            check_no_overlap(who, name, *extra, "x", x, graph);
        }
}

// --------------------------------------------------------------------------- passes over rows

// One window of a graph, and how its kernels are run.
class Passes {
public:
    Passes(Graph& graph, const Window& window, bool guarded)
        : graph_(graph),
          window_(window),
          guarded_(guarded),
          cpu_(graph.device().capabilities().cpu),
          items_(window.rows.batch()),
          s_(window.rows.rows()),
          d_(window.rows.cols()),
          tiles_(ceil_div(s_, gpu::WOODBURY_TILE)) {}

    std::uint64_t items() const { return items_; }
    std::uint64_t s() const { return s_; }
    std::uint64_t d() const { return d_; }
    Graph& graph() const { return graph_; }
    const Window& window() const { return window_; }
    std::uint64_t chunks() const { return ceil_div(d_, threads() * per_thread()); }
    std::uint32_t threads() const { return cpu_ ? 8 : 128; }
    std::uint32_t flags() const { return window_.normalized ? gpu::WOODBURY_NORMALIZED : 0; }

    void add(Operation operation, std::vector<SpecConstant> constants, double passes, double flops) {
        operation.constants = std::move(constants);
        operation.reason = cpu_ ? "one subgroup a workgroup, on a CPU" : "128 invocations";
        operation.bytes = passes * static_cast<double>(window_.rows.span_bytes());
        operation.flops = flops * static_cast<double>(window_.rows.shape.count());
        operation.guarded = guarded_;
        // No null address, even where nothing is to be read: lavapipe 26.1 loads on both sides of a branch.
        for (std::uint32_t field = 0; field < 8 * address_count(*operation.kernel); field += 8)
            if (std::none_of(operation.operands.begin(), operation.operands.end(),
                             [field](const Operand& operand) { return operand.field == field; }))
                operation.operands.push_back({field, address_of(window_.rows), Access::read});
        graph_.add(std::move(operation));
    }

    // Largest elements of `rows` rows for each item of x, for each chunk.
    Tensor maxima(const Tensor& x, std::uint64_t rows, std::uint64_t stride, std::uint64_t item,
                  const Tensor& slot = {}) {
        const Tensor partials = graph_.temporary(DType::u32, Shape{items_, rows, chunks()});
        gpu::WoodburyMaxJob job{};
        job.d = narrow(d_);
        job.stride = narrow(stride);
        job.item = narrow(item);
        job.rows = narrow(rows);
        job.chunks = narrow(chunks());
        job.slots = narrow(s_);
        job.flags = slot ? gpu::WOODBURY_OWN_ROW : 0;
        std::vector<Operand> operands{{offsetof(gpu::WoodburyMaxJob, u), x, Access::read},
                                      {offsetof(gpu::WoodburyMaxJob, partials), partials, Access::write}};
        if (slot) operands.push_back({offsetof(gpu::WoodburyMaxJob, slot), slot, Access::read_write});
        add(make_operation(kMax, job, std::move(operands), items_ * rows * chunks()),
            {{gpu::SPEC_THREADS, threads()},
             {gpu::SPEC_DTYPE_A, dtype_code(x)},
             {gpu::SPEC_PER_THREAD, per_thread()}},
            static_cast<double>(rows) / static_cast<double>(s_), 0);
        return partials;
    }

    void gram() {
        const Tensor& rows = window_.rows;
        const Tensor largest = maxima(rows, s_, rows.stride(), item_stride(rows));
        gpu::WoodburyExponentsJob exponents_job{};
        exponents_job.count = narrow(items_ * s_);
        exponents_job.chunks = narrow(chunks());
        add(make_operation(
                kExponents, exponents_job,
                {{offsetof(gpu::WoodburyExponentsJob, partials), largest, Access::read},
                 {offsetof(gpu::WoodburyExponentsJob, exponents), window_.exponents, Access::write}},
                ceil_div(items_ * s_, 64)),
            {{gpu::SPEC_THREADS, 64}}, 0, 0);

        const std::uint64_t tiles = tiles_ * (tiles_ + 1) / 2;
        // At most 64 MiB of partial sums.
        std::uint64_t length = std::uint64_t{threads()} * per_thread();
        while (length < std::min(d_, std::uint64_t{16384} * threads()) &&
               items_ * tiles * ceil_div(d_, length) * 256 > (std::uint64_t{64} << 20))
            length *= 2;
        const std::uint64_t parts = ceil_div(d_, length);
        const Tensor partials = graph_.temporary(DType::f32, Shape{items_ * tiles, parts, 64});
        gpu::WoodburyGramJob job{};
        job.d = narrow(d_);
        job.stride = narrow(rows.stride());
        job.item = item_stride(rows);
        job.rows = narrow(s_);
        job.tiles = narrow(tiles);
        job.chunks = narrow(parts);
        job.chunk_length = narrow(length);
        job.flags = flags();
        add(make_operation(kGram, job,
                           {{offsetof(gpu::WoodburyGramJob, u), rows, Access::read},
                            {offsetof(gpu::WoodburyGramJob, exponents), window_.exponents, Access::read},
                            {offsetof(gpu::WoodburyGramJob, partials), partials, Access::write}},
                           items_ * tiles * parts),
            {{gpu::SPEC_THREADS, threads()}, {gpu::SPEC_DTYPE_A, dtype_code(rows)}},
            static_cast<double>(tiles_ + 1), static_cast<double>(8 * tiles_ + 8));
        gpu::WoodburyGramSumJob sum_job{};
        sum_job.rows = narrow(s_);
        sum_job.tiles = narrow(tiles);
        sum_job.chunks = narrow(parts);
        add(make_operation(kGramSum, sum_job,
                           {{offsetof(gpu::WoodburyGramSumJob, partials), partials, Access::read},
                            {offsetof(gpu::WoodburyGramSumJob, gram), window_.gram, Access::write}},
                           items_ * tiles),
            {{gpu::SPEC_THREADS, cpu_ ? 8u : 64u}}, 0, 0);
    }

    // Partial sums of U' v for each chunk; with `slot`, of the window's own newest row.
    Tensor dots(const Tensor& v, const Tensor& factors, const Tensor& info, const Tensor& slot,
                std::uint32_t extra_flags) {
        const Tensor partials = graph_.temporary(DType::f32, Shape{items_, chunks(), s_});
        gpu::WoodburyDotsJob job{};
        job.d = narrow(d_);
        job.stride = narrow(window_.rows.stride());
        job.item = item_stride(window_.rows);
        job.v_item = narrow(d_);
        job.rows = narrow(s_);
        job.chunks = narrow(chunks());
        job.tiles = narrow(tiles_);
        job.flags = flags() | extra_flags | (slot ? gpu::WOODBURY_OWN_ROW : 0);
        std::vector<Operand> operands{{offsetof(gpu::WoodburyDotsJob, u), window_.rows, Access::read},
                                      {offsetof(gpu::WoodburyDotsJob, partials), partials, Access::write}};
        if (slot) {
            operands.push_back({offsetof(gpu::WoodburyDotsJob, v), window_.rows, Access::read});
            operands.push_back({offsetof(gpu::WoodburyDotsJob, exponents), window_.exponents, Access::read});
            operands.push_back({offsetof(gpu::WoodburyDotsJob, slot), slot, Access::read});
        } else {
            operands.push_back({offsetof(gpu::WoodburyDotsJob, v), v, Access::read});
            operands.push_back({offsetof(gpu::WoodburyDotsJob, factors), factors, Access::read});
        }
        if (info) operands.push_back({offsetof(gpu::WoodburyDotsJob, info), info, Access::read});
        add(make_operation(kDots, job, std::move(operands), items_ * tiles_ * chunks()),
            {{gpu::SPEC_THREADS, threads()},
             {gpu::SPEC_DTYPE_A, dtype_code(window_.rows)},
             {gpu::SPEC_DTYPE_B, dtype_code(slot ? window_.rows : v)},
             {gpu::SPEC_PER_THREAD, per_thread()}},
            1, 2);
        return partials;
    }

    void push(const Tensor& g, const Tensor& slot, const Tensor& newest) {
        const Tensor largest = maxima(g, 1, 0, d_, slot);
        const std::uint32_t store_threads = 64, store_per_thread = cpu_ ? 64 : 8;
        gpu::WoodburyStoreJob store{};
        store.d = narrow(d_);
        store.stride = narrow(window_.rows.stride());
        store.item = item_stride(window_.rows);
        store.g_item = narrow(d_);
        store.rows = narrow(s_);
        store.chunks = narrow(chunks());
        store.groups = narrow(ceil_div(ceil_div(d_, 2), store_threads * store_per_thread));
        store.flags = flags();
        add(make_operation(
                kStore, store,
                {{offsetof(gpu::WoodburyStoreJob, g), g, Access::read},
                 {offsetof(gpu::WoodburyStoreJob, partials), largest, Access::read},
                 {offsetof(gpu::WoodburyStoreJob, u), window_.rows, Access::read_write},
                 {offsetof(gpu::WoodburyStoreJob, exponents), window_.exponents, Access::read_write},
                 {offsetof(gpu::WoodburyStoreJob, slot), slot, Access::read}},
                items_ * store.groups),
            {{gpu::SPEC_THREADS, store_threads},
             {gpu::SPEC_DTYPE_A, dtype_code(g)},
             {gpu::SPEC_DTYPE_D, dtype_code(window_.rows)},
             {gpu::SPEC_PER_THREAD, store_per_thread}},
            2.0 / static_cast<double>(s_), 0);
        const Tensor partials = dots({}, {}, {}, slot, 0);
        gpu::WoodburyRowJob row{};
        row.rows = narrow(s_);
        row.chunks = narrow(chunks());
        row.flags = newest ? gpu::WOODBURY_HAS_NEWEST : 0;
        std::vector<Operand> operands{{offsetof(gpu::WoodburyRowJob, partials), partials, Access::read},
                                      {offsetof(gpu::WoodburyRowJob, gram), window_.gram, Access::read_write},
                                      {offsetof(gpu::WoodburyRowJob, slot), slot, Access::read}};
        if (newest) operands.push_back({offsetof(gpu::WoodburyRowJob, newest), newest, Access::write});
        add(make_operation(kRow, row, std::move(operands), items_), {{gpu::SPEC_THREADS, 128}}, 0, 0);
    }

    // b = U' U'^T + lambda' I, or U U^T + C.
    void system(float lambda, const Tensor& c, const Tensor& b, const Tensor& factors, const Tensor& info) {
        const std::uint32_t rows_per_group = 16;
        using Job = gpu::WoodburySystemJob;
        Job job{};
        job.rows = narrow(s_);
        job.groups = narrow(ceil_div(s_, rows_per_group));
        job.lambda = lambda;
        job.flags = flags() | (c ? gpu::WOODBURY_HAS_C : 0);
        std::vector<Operand> operands{{offsetof(Job, gram), window_.gram, Access::read},
                                      {offsetof(Job, exponents), window_.exponents, Access::read},
                                      {offsetof(Job, b), b, Access::write},
                                      {offsetof(Job, factors), factors, Access::write},
                                      {offsetof(Job, info), info, Access::write}};
        if (c) operands.push_back({offsetof(Job, c), c, Access::read});
        add(make_operation(kSystem, job, std::move(operands), items_ * job.groups),
            {{gpu::SPEC_THREADS, threads()}, {gpu::SPEC_PER_THREAD, rows_per_group}}, 0, 0);
    }

    struct Combine {
        Tensor q, factors, info, b, r, x;
    };
    void combine(const Combine& tensors, std::uint32_t mode, std::uint32_t extra_flags, float weight) {
        const std::uint32_t combine_threads = cpu_ ? 64 : 128;
        gpu::WoodburyCombineJob job{};
        job.d = narrow(d_);
        job.stride = narrow(window_.rows.stride());
        job.item = item_stride(window_.rows);
        job.b_item = narrow(d_);
        job.rows = narrow(s_);
        job.groups = narrow(ceil_div(d_, 2 * combine_threads));
        job.mode = mode;
        job.flags = extra_flags;
        job.weight = weight;
        using Job = gpu::WoodburyCombineJob;
        const bool first = mode == gpu::WOODBURY_SUBTRACT ||
                           (mode == gpu::WOODBURY_RANGE && (extra_flags & gpu::WOODBURY_IF_REFINED) == 0);
        std::vector<Operand> operands{{offsetof(Job, u), window_.rows, Access::read},
                                      {offsetof(Job, factors), tensors.factors, Access::read},
                                      {offsetof(Job, q), tensors.q, Access::read},
                                      {offsetof(Job, info), tensors.info, Access::read},
                                      {offsetof(Job, x), tensors.x,
                                       mode == gpu::WOODBURY_RESIDUAL ? Access::read
                                       : first                        ? Access::write
                                                                      : Access::read_write}};
        if (mode == gpu::WOODBURY_SUBTRACT || mode == gpu::WOODBURY_RESIDUAL)
            operands.push_back({offsetof(Job, b), tensors.b, Access::read});
        if (mode == gpu::WOODBURY_RESIDUAL) operands.push_back({offsetof(Job, r), tensors.r, Access::write});
        if (mode == gpu::WOODBURY_CORRECT) operands.push_back({offsetof(Job, r), tensors.r, Access::read});
        add(make_operation(kCombine, job, std::move(operands), items_ * job.groups),
            {{gpu::SPEC_THREADS, combine_threads},
             {gpu::SPEC_DTYPE_A, dtype_code(window_.rows)},
             {gpu::SPEC_DTYPE_B, tensors.b ? dtype_code(tensors.b) : gpu::DTYPE_F32}},
            1, 2);
    }

private:
    // At most 1024 chunks; lavapipe ends loops of 65,535 iterations.
    std::uint32_t per_thread() const {
        const std::uint64_t wanted = ceil_div(d_, std::uint64_t{threads()} * 1024);
        return narrow(std::clamp<std::uint64_t>(wanted, cpu_ ? 1024 : 128, 32768));
    }

    Graph& graph_;
    const Window& window_;
    const bool guarded_, cpu_;
    const std::uint64_t items_, s_, d_, tiles_;
};

// --------------------------------------------------------------------------- the small system

class SmallSystem {
public:
    // `earlier`: optional statuses of what the window was made with; where they are not ok, neither is the
    // system.
    SmallSystem(Passes& passes, const WoodburyOptions& options, const Tensor& earlier = {})
        : passes_(passes), options_(options), earlier_(earlier) {
        Graph& graph = passes.graph();
        const std::uint64_t items = passes.items(), s = passes.s();
        const Shape square{items, s, s};
        b_ = graph.temporary(DType::f32, square);
        factors = graph.temporary(DType::f32, Shape{items, s});
        info = graph.temporary(DType::u32, Shape{items, gpu::WOODBURY_INFO_WORDS});
        q = graph.temporary(DType::f32, Shape{items, s});
        passes.system(options.lambda / options.weight, {}, b_, factors, info);

        const Tensor factor = graph.temporary(DType::f32, square);
        inverse_ = graph.temporary(DType::f32, square);
        status_ = graph.temporary(DType::u32, Shape{items});
        jitter_ = graph.temporary(DType::f32, Shape{items});
        CholeskyOptions cholesky_options;
        // With the damping that is there, 10, 100 and 1000 times 4 eps tr B.
        cholesky_options.jitter = {.retries = 3, .relative = 40 * kEps32 * static_cast<float>(s)};
        cholesky_options.status = status_;
        cholesky_options.jitter_used = jitter_;
        cholesky_options.guarded = options.guarded;
        cholesky(graph, b_, factor, cholesky_options);
        TriangularInverseOptions inverse_options;
        inverse_options.guarded = options.guarded;
        triangular_inverse(graph, factor, inverse_, inverse_options);
    }

    // `partials`: of dots(); y where the right-hand side is given.
    void solve(std::uint32_t mode, const Tensor& y, const Tensor& partials, std::uint32_t extra_flags) {
        const bool first = mode == gpu::WOODBURY_SOLVE_FIRST;
        gpu::WoodburySolveJob job{};
        job.rows = narrow(passes_.s());
        job.chunks = narrow(passes_.chunks());
        job.mode = mode;
        job.flags = extra_flags | (y ? gpu::WOODBURY_HAS_Y : 0);
        job.weight = options_.weight;
        using Job = gpu::WoodburySolveJob;
        std::vector<Operand> operands{
            {offsetof(Job, inverse), inverse_, Access::read},
            {offsetof(Job, q), q, mode == gpu::WOODBURY_SOLVE_REFINE ? Access::read_write : Access::write},
            {offsetof(Job, info), info, first ? Access::read_write : Access::read}};
        if (y) operands.push_back({offsetof(Job, y), y, Access::read});
        if (partials) operands.push_back({offsetof(Job, partials), partials, Access::read});
        if (first) {
            operands.push_back({offsetof(Job, b), b_, Access::read});
            operands.push_back({offsetof(Job, cholesky_status), status_, Access::read});
            operands.push_back({offsetof(Job, jitter), jitter_, Access::read});
            if (earlier_) {
                job.flags |= gpu::WOODBURY_HAS_EARLIER;
                operands.push_back({offsetof(Job, earlier), earlier_, Access::read});
            }
            if (options_.refinement == Refinement::automatic) job.flags |= gpu::WOODBURY_REFINES;
            if (options_.refinement == Refinement::always) job.flags |= gpu::WOODBURY_ALWAYS;
            if (options_.status) {
                job.flags |= gpu::WOODBURY_HAS_STATUS;
                operands.push_back({offsetof(Job, status), options_.status, Access::write});
            }
            if (options_.damping) {
                job.flags |= gpu::WOODBURY_HAS_DAMPING;
                operands.push_back({offsetof(Job, damping), options_.damping, Access::write});
            }
        } else if (mode != gpu::WOODBURY_SOLVE_REFINE) {
            operands[1].access = Access::read_write;  // left alone where there is no refinement
        }
        passes_.add(make_operation(kSolve, job, std::move(operands), passes_.items()),
                    {{gpu::SPEC_THREADS, passes_.s() > 64 ? 128 : passes_.threads()}}, 0, 0);
    }

    Tensor factors, info, q;

private:
    Passes& passes_;
    const WoodburyOptions& options_;
    const Tensor earlier_;
    Tensor b_, inverse_, status_, jitter_;
};

void add_range(Graph& graph, const Window& window, const Tensor& y, const Tensor& x,
               const WoodburyOptions& options) {
    Passes passes(graph, window, options.guarded);
    SmallSystem system(passes, options);
    const float weight = 1.0f / options.weight;
    system.solve(gpu::WOODBURY_SOLVE_FIRST, y, {}, 0);
    const Passes::Combine tensors{system.q, system.factors, system.info, {}, {}, x};
    passes.combine(tensors, gpu::WOODBURY_RANGE, 0, weight);
    if (options.refinement == Refinement::never) return;
    const std::uint32_t flag = gpu::WOODBURY_IF_REFINED;
    const Tensor ux = passes.dots(x, system.factors, system.info, {}, flag);
    system.solve(gpu::WOODBURY_SOLVE_REFINE, y, ux, flag);
    passes.combine(tensors, gpu::WOODBURY_RANGE, flag | gpu::WOODBURY_FINAL, weight);
}

void add_solve(Graph& graph, const Window& window, const Tensor& b, const Tensor& x,
               const WoodburyOptions& options, const Tensor& earlier = {}) {
    Passes passes(graph, window, options.guarded);
    SmallSystem system(passes, options, earlier);
    const float weight = 1.0f / options.weight;
    const Tensor ub = passes.dots(b, system.factors, {}, {}, 0);
    system.solve(gpu::WOODBURY_SOLVE_FIRST, {}, ub, 0);
    Passes::Combine tensors{system.q, system.factors, system.info, b, {}, x};
    passes.combine(tensors, gpu::WOODBURY_SUBTRACT, 0, weight);
    if (options.refinement == Refinement::never) return;
    tensors.r = graph.temporary(DType::f32, Shape{passes.items(), passes.d()});
    const std::uint32_t flag = gpu::WOODBURY_IF_REFINED;
    const Tensor ux = passes.dots(x, system.factors, system.info, {}, flag);
    system.solve(gpu::WOODBURY_SOLVE_SUM, {}, ux, flag);
    passes.combine(tensors, gpu::WOODBURY_RESIDUAL, flag, weight);
    const Tensor ur = passes.dots(tensors.r, system.factors, system.info, {}, flag);
    system.solve(gpu::WOODBURY_SOLVE_AGAIN, {}, ur, flag);
    passes.combine(tensors, gpu::WOODBURY_CORRECT, flag | gpu::WOODBURY_FINAL, weight);
}

// x = (I + W^T C W)^-1 t, W the rows of the window: x = t - W^T z, (C^-1 + W W^T) z = W t.
void add_indefinite(Graph& graph, Window& window, const Tensor& c, const Tensor& t, const Tensor& x,
                    const WoodburyDiagonalOptions& options) {
    Passes passes(graph, window, options.guarded);
    const std::uint64_t items = passes.items(), s = passes.s();
    const Shape square = c.shape;
    const auto f32 = [&](const Shape& shape) { return graph.temporary(DType::f32, shape); };
    const auto factor = [&] {
        return LdltFactor{f32(square), f32(Shape{items, s, 2}), graph.temporary(DType::u32, Shape{items, s})};
    };
    const Tensor status_c = graph.temporary(DType::u32, Shape{items});
    const Tensor status_b = graph.temporary(DType::u32, Shape{items});
    std::vector<float> ones(items * s * s, 0.0f);
    for (std::uint64_t item = 0; item < items; ++item)
        for (std::uint64_t i = 0; i < s; ++i) ones[(item * s + i) * s + i] = 1.0f;
    Tensor identity = graph.table(std::as_bytes(std::span(ones)));
    identity.dtype = DType::f32;
    identity.shape = square;

    const LdltFactor factor_c = factor(), factor_b = factor();
    const Tensor inverse = f32(square), b = f32(square), factors = f32(Shape{items, s});
    const Tensor info = graph.temporary(DType::u32, Shape{items, gpu::WOODBURY_INFO_WORDS});
    ldlt(graph, c, factor_c, {.status = status_c, .guarded = options.guarded});
    ldlt_solve(graph, factor_c, identity, inverse, {.guarded = options.guarded});
    passes.gram();
    passes.system(1.0f, inverse, b, factors, info);
    ldlt(graph, b, factor_b, {.status = status_b, .guarded = options.guarded});
    const Tensor wt = passes.dots(t, factors, {}, {}, 0);
    const Tensor right = f32(Shape{items, s, 1}), z = f32(Shape{items, s, 1}), q = f32(Shape{items, s});
    const std::uint32_t threads = s > 64 ? 128 : passes.threads();
    using Job = gpu::WoodburySolveJob;
    Job sum{};
    sum.rows = narrow(s);
    sum.chunks = narrow(passes.chunks());
    sum.mode = gpu::WOODBURY_SOLVE_SUM;
    passes.add(make_operation(kSolve, sum,
                              {{offsetof(Job, partials), wt, Access::read},
                               {offsetof(Job, info), info, Access::read},
                               {offsetof(Job, q), right, Access::write}},
                              items),
               {{gpu::SPEC_THREADS, threads}}, 0, 0);
    ldlt_solve(graph, factor_b, right, z, {.guarded = options.guarded});
    Job given{};
    given.rows = narrow(s);
    given.mode = gpu::WOODBURY_SOLVE_GIVEN;
    given.flags =
        gpu::WOODBURY_HAS_Y | gpu::WOODBURY_HAS_EARLIER | (options.status ? gpu::WOODBURY_HAS_STATUS : 0);
    std::vector<Operand> operands{{offsetof(Job, y), z, Access::read},
                                  {offsetof(Job, cholesky_status), status_b, Access::read},
                                  {offsetof(Job, earlier), status_c, Access::read},
                                  {offsetof(Job, q), q, Access::write},
                                  {offsetof(Job, info), info, Access::read_write}};
    if (options.status) operands.push_back({offsetof(Job, status), options.status, Access::write});
    passes.add(make_operation(kSolve, given, std::move(operands), items), {{gpu::SPEC_THREADS, threads}}, 0,
               0);
    passes.combine({q, factors, info, t, {}, x}, gpu::WOODBURY_SUBTRACT, 0, 1.0f);
}

}  // namespace

void window_gram(Graph& graph, const Window& window, bool guarded) {
    const char* who = "window_gram";
    check_window(who, graph, window);
    if (window.normalized)
        refuse(who, "the window is normalised; its exponents cannot be found from its rows");
    if (window.rows.batch() == 0) return;
    Passes(graph, window, guarded).gram();
}

void window_push(Graph& graph, const Window& window, const Tensor& gradient, const Tensor& slot,
                 const WindowPushOptions& options) {
    const char* who = "window_push";
    check_window(who, graph, window);
    const std::uint64_t items = window.rows.batch();
    check_elements(who, "the gradient", graph, gradient, items * window.rows.cols(), Kind::any_float);
    check_elements(who, "the slot", graph, slot, 1, Kind::u32);
    check_no_overlap(who, "the window", window.rows, "the gradient", gradient, graph);
    check_apart(who, graph, "the slot", slot, window);
    if (options.newest) {
        check_elements(who, "newest", graph, options.newest, items * window.rows.rows(), Kind::f32);
        check_apart(who, graph, "newest", options.newest, window);
        check_no_overlap(who, "newest", options.newest, "the slot", slot, graph);
    }
    if (items == 0) return;
    Passes(graph, window, options.guarded).push(gradient, slot, options.newest);
}

void woodbury_range(Graph& graph, const Window& window, const Tensor& y, const Tensor& x,
                    const WoodburyOptions& options) {
    const char* who = "woodbury_range";
    check_window(who, graph, window);
    const std::uint64_t items = window.rows.batch();
    check_elements(who, "y", graph, y, items * window.rows.rows(), Kind::f32);
    check_elements(who, "x", graph, x, items * window.rows.cols(), Kind::f32);
    check_apart(who, graph, "x", x, window);
    check_no_overlap(who, "x", x, "y", y, graph);
    check_options(who, graph, window, x, options);
    if (items > 0) add_range(graph, window, y, x, options);
}

void woodbury_solve(Graph& graph, const Window& window, const Tensor& b, const Tensor& x,
                    const WoodburyOptions& options) {
    const char* who = "woodbury_solve";
    check_window(who, graph, window);
    const std::uint64_t items = window.rows.batch();
    check_elements(who, "b", graph, b, items * window.rows.cols(), Kind::any_float);
    check_elements(who, "x", graph, x, items * window.rows.cols(), Kind::f32);
    check_apart(who, graph, "x", x, window);
    check_no_overlap(who, "x", x, "b", b, graph);
    check_options(who, graph, window, x, options);
    if (items > 0) add_solve(graph, window, b, x, options);
}

void woodbury_diagonal(Graph& graph, const Tensor& diagonal, const Tensor& u, const Tensor& c,
                       const Tensor& b, const Tensor& x, const WoodburyDiagonalOptions& options) {
    const char* who = "woodbury_diagonal";
    check_float_tensor(who, "U", graph, u);
    const std::uint64_t items = u.batch(), d = u.rows(), s = u.cols();
    if (s < 1 || s > kMaxRows || d < 1)
        refuse(who, "U is " + text(u) + "; it must have 1 to " + std::to_string(kMaxRows) +
                        " columns, of at least one element");
    check_elements(who, "the diagonal", graph, diagonal, items * d, Kind::f32);
    check_elements(who, "b", graph, b, items * d, Kind::any_float);
    check_elements(who, "x", graph, x, items * d, Kind::f32);
    if (c) {
        check_float_tensor(who, "C", graph, c);
        if (c.dtype != DType::f32 || c.rows() != s || c.cols() != s || c.batch() != items)
            refuse(who, "C is " + text(c) + ", U is " + text(u) + "; it must be f32, " + std::to_string(s) +
                            "x" + std::to_string(s) + " for each item");
        check_no_overlap(who, "x", x, "C", c, graph);
    }
    check_no_overlap(who, "x", x, "the diagonal", diagonal, graph);
    check_no_overlap(who, "x", x, "U", u, graph);
    check_no_overlap(who, "x", x, "b", b, graph);
    check_status_tensor(who, graph, options.status, items);
    if (options.status) check_no_overlap(who, "status", options.status, "x", x, graph);
    if (items == 0) return;

    const std::uint32_t scale_threads = 64;
    Window window;
    window.rows = graph.temporary(DType::f32, Shape{items, s, d});
    window.gram = graph.temporary(DType::f32, Shape{items, s, s});
    window.exponents = graph.temporary(DType::u32, Shape{items, s});
    const Tensor t = graph.temporary(DType::f32, Shape{items, d});
    gpu::WoodburyScaleJob scale{};
    scale.d = narrow(d);
    scale.s = narrow(s);
    scale.u_stride = narrow(u.stride());
    scale.u_item = item_stride(u);
    scale.groups = narrow(ceil_div(d, scale_threads));
    Operation scaling = make_operation(kScale, scale,
                                       {{offsetof(gpu::WoodburyScaleJob, diagonal), diagonal, Access::read},
                                        {offsetof(gpu::WoodburyScaleJob, u), u, Access::read},
                                        {offsetof(gpu::WoodburyScaleJob, b), b, Access::read},
                                        {offsetof(gpu::WoodburyScaleJob, w), window.rows, Access::write},
                                        {offsetof(gpu::WoodburyScaleJob, t), t, Access::write}},
                                       items * scale.groups);
    scaling.constants = {{gpu::SPEC_THREADS, scale_threads},
                         {gpu::SPEC_DTYPE_A, dtype_code(u)},
                         {gpu::SPEC_DTYPE_B, dtype_code(b)}};
    scaling.reason = "the only one";
    scaling.bytes = static_cast<double>(u.span_bytes() + window.rows.span_bytes());
    scaling.guarded = options.guarded;
    graph.add(std::move(scaling));

    if (c && !options.positive_definite) {
        add_indefinite(graph, window, c, t, x, options);
    } else {
        Tensor earlier;
        if (c) {  // V^T = R^T W, R the Cholesky factor of C
            const Tensor factor = graph.temporary(DType::f32, c.shape);
            const Tensor rotated = graph.temporary(DType::f32, Shape{items, s, d});
            CholeskyOptions cholesky_options;
            earlier = graph.temporary(DType::u32, Shape{items});
            cholesky_options.status = earlier;
            cholesky_options.guarded = options.guarded;
            cholesky(graph, c, factor, cholesky_options);
            GemmOptions product;
            product.transpose_a = Transpose::yes;
            product.guarded = options.guarded;
            gemm(graph, factor, window.rows, {}, rotated, product);
            window.rows = rotated;
        }
        Passes(graph, window, options.guarded).gram();
        WoodburyOptions solve;
        solve.lambda = 1.0f;
        solve.status = options.status;
        solve.guarded = options.guarded;
        add_solve(graph, window, t, x, solve, earlier);
    }

    gpu::WoodburyUnscaleJob unscale{};
    unscale.count = narrow(items * d);
    Operation unscaling =
        make_operation(kUnscale, unscale,
                       {{offsetof(gpu::WoodburyUnscaleJob, diagonal), diagonal, Access::read},
                        {offsetof(gpu::WoodburyUnscaleJob, x), x, Access::read_write}},
                       ceil_div(items * d, scale_threads));
    unscaling.constants = {{gpu::SPEC_THREADS, scale_threads}};
    unscaling.reason = "the only one";
    unscaling.bytes = 12.0 * static_cast<double>(items * d);
    unscaling.guarded = options.guarded;
    graph.add(std::move(unscaling));
}

void update_inverse(Graph& graph, const Tensor& p, const Tensor& u, const UpdateInverseOptions& options) {
    const char* who = "update_inverse";
    check_float_tensor(who, "P", graph, p);
    check_float_tensor(who, "U", graph, u);
    const std::uint64_t items = p.batch(), n = p.rows(), k = u.cols();
    if (p.dtype != DType::f32 || p.cols() != n)
        refuse(who, "P is " + text(p) + "; it must be square and f32");
    if (u.dtype != DType::f32 || u.rows() != n || u.batch() != items)
        refuse(who, "U is " + text(u) + ", P is " + text(p) + "; it must be f32 with " + std::to_string(n) +
                        " rows for each item");
    check_no_overlap(who, "P", p, "U", u, graph);
    if (!is_positive(options.gamma) || !is_positive(options.beta) ||
        !is_positive(options.gamma / options.beta))
        refuse(who, "gamma is " + std::to_string(options.gamma) + ", beta " + std::to_string(options.beta) +
                        "; both must be positive and finite");
    check_status_tensor(who, graph, options.status, items);
    if (options.status) check_no_overlap(who, "status", options.status, "P", p, graph);
    if (p.shape.count() == 0 || k == 0) return;

    std::vector<float> identity(k * k, 0.0f);
    for (std::uint64_t i = 0; i < k; ++i) identity[i * (k + 1)] = options.gamma / options.beta;
    Tensor ratio = graph.table(std::as_bytes(std::span(identity)));
    ratio.dtype = DType::f32;
    ratio.shape = Shape{k, k};
    const Tensor pu = graph.temporary(DType::f32, Shape{items, n, k});
    const Tensor w = graph.temporary(DType::f32, Shape{items, n, k});
    const Tensor small = graph.temporary(DType::f32, Shape{items, k, k});
    const Tensor factor = graph.temporary(DType::f32, Shape{items, k, k});
    GemmOptions product;
    product.guarded = options.guarded;
    gemm(graph, p, u, {}, pu, product);
    product.transpose_a = Transpose::yes;
    product.beta = 1.0f;
    product.symmetric = true;
    gemm(graph, u, pu, ratio, small, product);
    CholeskyOptions cholesky_options;
    cholesky_options.status = options.status;
    cholesky_options.guarded = options.guarded;
    cholesky(graph, small, factor, cholesky_options);
    TriangularOptions solve;
    solve.side = Side::right;
    solve.transpose = Transpose::yes;
    solve.guarded = options.guarded;
    triangular_solve(graph, factor, pu, w, solve);
    GemmOptions update;
    update.alpha = -1.0f / options.gamma;
    update.beta = 1.0f / options.gamma;
    update.guarded = options.guarded;
    syrk(graph, w, p, p, update);
}

}  // namespace heron
