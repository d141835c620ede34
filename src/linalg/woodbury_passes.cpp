// SPDX-License-Identifier: MIT
// Passes over the long rows of a window.
#include <algorithm>
#include <cstddef>
#include <utility>

#include "graph/element_bytes.hpp"
#include "heron/spirv/woodbury_combine.hpp"
#include "heron/spirv/woodbury_dots.hpp"
#include "heron/spirv/woodbury_exponents.hpp"
#include "heron/spirv/woodbury_gram.hpp"
#include "heron/spirv/woodbury_gram_sum.hpp"
#include "heron/spirv/woodbury_keep.hpp"
#include "heron/spirv/woodbury_max.hpp"
#include "heron/spirv/woodbury_row.hpp"
#include "heron/spirv/woodbury_solve.hpp"
#include "heron/spirv/woodbury_store.hpp"
#include "heron/spirv/woodbury_system.hpp"
#include "linalg/blocks.hpp"
#include "linalg/checks.hpp"
#include "linalg/tensors.hpp"
#include "linalg/woodbury.hpp"

namespace heron {

static_assert(sizeof(gpu::WoodburyMaxJob) == 56);
static_assert(sizeof(gpu::WoodburyExponentsJob) == 32);
static_assert(sizeof(gpu::WoodburyGramJob) == 64);
static_assert(sizeof(gpu::WoodburyGramSumJob) == 32);
static_assert(sizeof(gpu::WoodburyStoreJob) == 80);
static_assert(sizeof(gpu::WoodburyDotsJob) == 96);
static_assert(sizeof(gpu::WoodburyRowJob) == 48);
static_assert(sizeof(gpu::WoodburySystemJob) == 96);
static_assert(sizeof(gpu::WoodburyKeepJob) == 96);
static_assert(sizeof(gpu::WoodburySolveJob) == 112);
static_assert(sizeof(gpu::WoodburyCombineJob) == 96);

namespace {

constexpr KernelInfo kMax = make_kernel<gpu::WoodburyMaxJob>("woodbury_max", spirv::woodbury_max);
constexpr KernelInfo kExponents =
    make_kernel<gpu::WoodburyExponentsJob>("woodbury_exponents", spirv::woodbury_exponents);
constexpr KernelInfo kGram = make_kernel<gpu::WoodburyGramJob>("woodbury_gram", spirv::woodbury_gram);
constexpr KernelInfo kGramSum =
    make_kernel<gpu::WoodburyGramSumJob>("woodbury_gram_sum", spirv::woodbury_gram_sum);
constexpr KernelInfo kStore = make_kernel<gpu::WoodburyStoreJob>("woodbury_store", spirv::woodbury_store);
constexpr KernelInfo kDots = make_kernel<gpu::WoodburyDotsJob>("woodbury_dots", spirv::woodbury_dots);
constexpr KernelInfo kRow = make_kernel<gpu::WoodburyRowJob>("woodbury_row", spirv::woodbury_row);
constexpr KernelInfo kSystem = make_kernel<gpu::WoodburySystemJob>("woodbury_system", spirv::woodbury_system);
constexpr KernelInfo kKeep = make_kernel<gpu::WoodburyKeepJob>("woodbury_keep", spirv::woodbury_keep);
constexpr KernelInfo kSolve = make_kernel<gpu::WoodburySolveJob>("woodbury_solve", spirv::woodbury_solve);
constexpr KernelInfo kCombine =
    make_kernel<gpu::WoodburyCombineJob>("woodbury_combine", spirv::woodbury_combine);

}  // namespace

// At most 1024 chunks; lavapipe ends loops of 65,535 iterations.
std::uint32_t WoodburyPasses::per_thread() const {
    const std::uint64_t wanted = ceil_div(d_, std::uint64_t{threads()} * 1024);
    return narrow(std::clamp<std::uint64_t>(wanted, cpu_ ? 1024 : 128, 32768));
}

void WoodburyPasses::add(Operation operation, std::vector<SpecConstant> constants, const Cost& cost,
                         std::string reason) {
    add_operation(graph_, std::move(operation), std::move(constants), cost.flops, cost.bytes, guarded_,
                  std::move(reason));
}

WoodburyPasses::Cost WoodburyPasses::over_rows(double passes, double flops) const {
    return {passes * element_bytes(window_.rows), flops * static_cast<double>(window_.rows.shape.count())};
}

WoodburyPasses::Cost WoodburyPasses::over_words(std::uint64_t words, std::uint64_t flops) const {
    return {4.0 * static_cast<double>(items_ * words), static_cast<double>(items_ * flops)};
}

std::string WoodburyPasses::in_chunks(std::uint64_t length) const {
    return "the rows in chunks of " + std::to_string(length) +
           " elements: " + (cpu_ ? "8 invocations each, on a CPU driver" : "128 invocations each");
}

Tensor WoodburyPasses::maxima(const Tensor& x, std::uint64_t rows, std::uint64_t stride, std::uint64_t item,
                              const Tensor& slot) {
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
        over_rows(static_cast<double>(rows) / static_cast<double>(s_),
                  static_cast<double>(rows) / static_cast<double>(s_)),
        in_chunks(std::uint64_t{threads()} * per_thread()));
    return partials;
}

void WoodburyPasses::gram() {
    const Tensor& rows = window_.rows;
    const Tensor largest = maxima(rows, s_, rows.stride(), item_stride(rows));
    gpu::WoodburyExponentsJob exponents_job{};
    exponents_job.count = narrow(items_ * s_);
    exponents_job.chunks = narrow(chunks());
    add(make_operation(kExponents, exponents_job,
                       {{offsetof(gpu::WoodburyExponentsJob, partials), largest, Access::read},
                        {offsetof(gpu::WoodburyExponentsJob, exponents), window_.exponents, Access::write}},
                       ceil_div(items_ * s_, 64)),
        {{gpu::SPEC_THREADS, 64}}, over_words(s_ * (chunks() + 1), s_ * chunks()), "the only one");

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
        over_rows(static_cast<double>(tiles_ + 1), static_cast<double>(8 * tiles_ + 8)), in_chunks(length));
    gpu::WoodburyGramSumJob sum_job{};
    sum_job.rows = narrow(s_);
    sum_job.tiles = narrow(tiles);
    sum_job.chunks = narrow(parts);
    add(make_operation(kGramSum, sum_job,
                       {{offsetof(gpu::WoodburyGramSumJob, partials), partials, Access::read},
                        {offsetof(gpu::WoodburyGramSumJob, gram), window_.gram, Access::write}},
                       items_ * tiles),
        {{gpu::SPEC_THREADS, cpu_ ? 8u : 64u}}, over_words(tiles * parts * 64 + s_ * s_, tiles * parts * 64),
        "sums the chunks in a fixed order");
}

Tensor WoodburyPasses::dots(const Tensor& v, const Tensor& factors, const Tensor& info, const Tensor& slot,
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
        over_rows(1, 2), in_chunks(std::uint64_t{threads()} * per_thread()));
    return partials;
}

void WoodburyPasses::push(const Tensor& g, const Tensor& slot, const Tensor& newest) {
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
    add(make_operation(kStore, store,
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
        over_rows(2.0 / static_cast<double>(s_), 1.0 / static_cast<double>(s_)), "the only one");
    const Tensor partials = dots({}, {}, {}, slot, 0);
    gpu::WoodburyRowJob row{};
    row.rows = narrow(s_);
    row.chunks = narrow(chunks());
    row.flags = newest ? gpu::WOODBURY_HAS_NEWEST : 0;
    std::vector<Operand> operands{{offsetof(gpu::WoodburyRowJob, partials), partials, Access::read},
                                  {offsetof(gpu::WoodburyRowJob, gram), window_.gram, Access::read_write},
                                  {offsetof(gpu::WoodburyRowJob, slot), slot, Access::read}};
    if (newest) operands.push_back({offsetof(gpu::WoodburyRowJob, newest), newest, Access::write});
    add(make_operation(kRow, row, std::move(operands), items_), {{gpu::SPEC_THREADS, 128}},
        over_words(s_ * (chunks() + 2), s_ * chunks()), "one workgroup for each window; the only one");
}

void WoodburyPasses::system(const Lambda& lambda, const System& tensors) {
    using Job = gpu::WoodburySystemJob;
    const bool has_c = static_cast<bool>(tensors.c), keeps = static_cast<bool>(tensors.kept);
    Job job{};
    job.rows = narrow(s_);
    job.groups = narrow(ceil_div(s_, gpu::WOODBURY_SYSTEM_ROWS));
    job.lambda = lambda.factor;
    job.lambda_item = lambda.device && lambda.device.shape.count() > 1 ? 1 : 0;
    job.flags = flags() | (has_c ? gpu::WOODBURY_HAS_C : 0) |
                (tensors.average_rows ? gpu::WOODBURY_AVERAGE : 0) |
                (lambda.device ? gpu::WOODBURY_DEVICE_LAMBDA : 0) | (keeps ? gpu::WOODBURY_KEPT : 0);
    std::vector<Operand> operands{{offsetof(Job, gram), window_.gram, Access::read},
                                  {offsetof(Job, exponents), window_.exponents, Access::read},
                                  {offsetof(Job, b), tensors.b, keeps ? Access::read_write : Access::write},
                                  {offsetof(Job, factors), tensors.factors, Access::write},
                                  {offsetof(Job, info), tensors.info, Access::write}};
    if (has_c) operands.push_back({offsetof(Job, c), tensors.c, Access::read});
    if (lambda.device) operands.push_back({offsetof(Job, device_lambda), lambda.device, Access::read});
    if (keeps) {
        operands.push_back({offsetof(Job, kept), tensors.kept, Access::read});
        operands.push_back({offsetof(Job, changes), tensors.changes, Access::write});
    }
    add(make_operation(kSystem, job, std::move(operands), items_ * job.groups),
        {{gpu::SPEC_THREADS, threads()}},
        over_words(s_ * (s_ * (has_c || keeps ? 3 : 2) + 2), s_ * s_ * (has_c ? 2 : 1)),
        "16 rows of the small system a workgroup");
}

void WoodburyPasses::keep_step(std::uint32_t mode, std::vector<Operand> operands) {
    gpu::WoodburyKeepJob job{};
    job.rows = narrow(s_);
    job.mode = mode;
    const bool looks = mode == gpu::WOODBURY_KEEP_CHOOSE;
    add(make_operation(kKeep, job, std::move(operands), items_),
        {{gpu::SPEC_THREADS, looks && s_ > 64 ? 128 : threads()}},
        over_words(gpu::WOODBURY_KEPT_WORDS + (looks ? 4 * s_ : 0), looks ? 3 * s_ : 1),
        looks ? "what of the small system has changed" : "whether its factor is made anew");
}

void WoodburyPasses::small_step(const gpu::WoodburySolveJob& job, std::vector<Operand> operands) {
    const bool judges = job.mode == gpu::WOODBURY_SOLVE_FIRST || job.mode == gpu::WOODBURY_SOLVE_GIVEN;
    const bool sums = !judges || (job.flags & gpu::WOODBURY_HAS_Y) == 0;
    const bool solves = job.mode != gpu::WOODBURY_SOLVE_SUM && job.mode != gpu::WOODBURY_SOLVE_GIVEN;
    const std::uint64_t partials = sums ? s_ * job.chunks : 0;
    add(make_operation(kSolve, job, std::move(operands), items_),
        {{gpu::SPEC_THREADS, s_ > 64 ? 128 : threads()}},
        over_words(partials + (solves ? s_ * s_ : 0) + 2 * s_, partials + (solves ? 2 * s_ * s_ : 0)),
        "one workgroup for each small system; the only one");
}

void WoodburyPasses::combine(const Combine& tensors, std::uint32_t mode, std::uint32_t extra_flags,
                             float weight) {
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
        over_rows(1, 2), "two elements of the result an invocation; the only one");
}

}  // namespace heron
