// SPDX-License-Identifier: MIT
// bloop(): sums over all parts, the ratios, averages and directions.
#include "aggregate/bloop.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "core/number_text.hpp"
#include "graph/element_bytes.hpp"
#include "heron/aggregate.hpp"
#include "heron/spirv/bloop_ratio.hpp"
#include "heron/spirv/bloop_sums.hpp"
#include "heron/spirv/bloop_update.hpp"
#include "linalg/checks.hpp"
#include "linalg/tensors.hpp"

namespace heron {

static_assert(sizeof(gpu::BloopSumsJob) == 72);
static_assert(sizeof(gpu::BloopRatioJob) == 64);
static_assert(sizeof(gpu::BloopUpdateJob) == 80);

namespace {

constexpr const char* kWho = "bloop";
constexpr KernelInfo kSums = make_kernel<gpu::BloopSumsJob>("bloop_sums", spirv::bloop_sums);
constexpr KernelInfo kRatio = make_kernel<gpu::BloopRatioJob>("bloop_ratio", spirv::bloop_ratio);
constexpr KernelInfo kUpdate = make_kernel<gpu::BloopUpdateJob>("bloop_update", spirv::bloop_update);

void check_options(const BloopOptions& options) {
    check_enumerator(kWho, options.method, BloopMethod::mixed, "method is not one of BloopMethod");
    check_enumerator(kWho, options.start, BloopStart::state, "start is not one of BloopStart");
    if (!(options.ema > 0 && options.ema <= 1))
        refuse(kWho, "ema is " + number_text(options.ema) + "; it must be in (0, 1]");
    const auto check = [](const char* name, float value) {
        if (!(value >= 0) || !std::isfinite(value))
            refuse(kWho,
                   std::string(name) + " is " + number_text(value) + "; it must be finite and not below 0");
    };
    check("lambda", options.lambda);
    check("eps", options.eps);
    if (options.use_ratio_only && options.method != BloopMethod::bloop &&
        options.method != BloopMethod::dynamic_barrier)
        refuse(kWho, "use_ratio_only is for the methods bloop and dynamic_barrier");
}

// The number of elements of all parts.
std::uint64_t check_tensors(const Graph& graph, std::span<const BloopPart> parts,
                            const BloopOptions& options) {
    if (parts.empty() || parts.size() > kMaxParts)
        refuse(kWho, "there are " + std::to_string(parts.size()) + " parts; give it 1 to " +
                         std::to_string(kMaxParts));
    const bool plain = options.method == BloopMethod::mixed;
    const std::uint64_t ratios = options.method == BloopMethod::pcgrad ? 2 : 1;
    if (plain && (options.ratio || options.status))
        refuse(kWho, "the method mixed has neither a ratio nor a status");
    if (options.ratio) check_vector(kWho, "`ratio`", graph, options.ratio, ratios, DType::f32);
    check_status_tensor(kWho, graph, options.status, 1);
    std::uint64_t elements = 0;
    Extents extents(graph);
    std::set<std::string> names;
    for (const BloopPart& part : parts) {
        if (part.name.empty() || !names.insert(part.name).second)
            refuse(kWho, "a part is called \"" + part.name + "\"; parts have names, each another one");
        const auto name = [&](const char* which) { return part.name + ": the " + which; };
        check_float_tensor(kWho, name("main gradient"), graph, part.main);
        const std::uint64_t count = part.main.shape.count();
        check_float_vector(kWho, name("main gradient"), graph, part.main, count);
        check_float_vector(kWho, name("auxiliary gradient"), graph, part.auxiliary, count);
        check_float_vector(kWho, name("direction"), graph, part.direction, count);
        elements += count;
        if (count == 0) continue;
        const auto in_place = [&](const Tensor& gradient) {
            return overlap(graph, part.direction, gradient) && part.direction.dtype == gradient.dtype &&
                   same_place(graph, part.direction.reshape({count}), gradient.reshape({count}));
        };
        if (!in_place(part.main)) extents.read(name("main gradient"), part.main);
        if (!in_place(part.auxiliary)) extents.read(name("auxiliary gradient"), part.auxiliary);
        extents.written(name("direction"), part.direction);
    }
    extents.written("`ratio`", options.ratio);
    extents.written("`status`", options.status);
    extents.check(kWho);
    if (elements == 0) refuse(kWho, "the gradients have no elements");
    return elements;
}

// What the passes of one call share.
struct Pass {
    Graph& graph;
    std::span<const BloopPart> parts;
    const BloopOptions& options;
    std::uint32_t flags = 0;
    float keep = 0, take = 0;  // of the averages, and of the new gradient
    std::vector<Tensor> main,
        other;       // averages of each part; `other`, of the auxiliary gradient: only PCGrad's
    Tensor started;  // empty but where averages start from the first gradient
    Tensor found;    // what bloop_ratio leaves for bloop_update

    bool plain() const { return options.method == BloopMethod::mixed; }
    bool two() const { return options.method == BloopMethod::pcgrad; }
    bool from_gradient() const { return !plain() && options.start == BloopStart::gradient; }
};

Pass make_pass(Graph& graph, std::span<const BloopPart> parts, const BloopOptions& options) {
    Pass pass{.graph = graph, .parts = parts, .options = options};
    pass.flags =
        (pass.two() ? gpu::BLOOP_TWO_AVERAGES : 0) | (pass.from_gradient() ? gpu::BLOOP_FROM_GRADIENT : 0) |
        (options.use_ratio_only ? gpu::BLOOP_RATIO_ONLY : 0) | (pass.plain() ? gpu::BLOOP_PLAIN : 0) |
        (options.ratio ? gpu::BLOOP_HAS_RATIO : 0) | (options.status ? gpu::BLOOP_HAS_STATUS : 0);
    pass.keep = static_cast<float>(1 - options.ema);
    pass.take = static_cast<float>(options.ema);
    pass.main.resize(parts.size());
    pass.other.resize(parts.size());
    if (pass.plain()) return pass;
    if (pass.from_gradient()) pass.started = graph.state(options.name + ".started", DType::u32, Shape{1});
    for (std::size_t i = 0; i < parts.size(); ++i) {
        const Shape shape{parts[i].main.shape.count()};
        pass.main[i] = graph.state(parts[i].name + ".main_average", DType::f32, shape);
        if (pass.two()) pass.other[i] = graph.state(parts[i].name + ".auxiliary_average", DType::f32, shape);
    }
    pass.found = graph.temporary(DType::u32, Shape{gpu::BLOOP_FOUND_WORDS});
    return pass;
}

// The products of gradients and averages, one row of partial sums a chunk.
Tensor add_sums(const Pass& pass, const Chunks& plan) {
    Graph& graph = pass.graph;
    std::uint64_t all_chunks = 0;
    for (const BloopPart& part : pass.parts) all_chunks += plan.of(part.main.shape.count());
    const Tensor partials = graph.temporary(DType::f32, Shape{all_chunks, gpu::BLOOP_SUMS});
    std::uint64_t first_chunk = 0;
    for (std::size_t i = 0; i < pass.parts.size(); ++i) {
        const BloopPart& part = pass.parts[i];
        const std::uint64_t count = part.main.shape.count();
        if (count == 0) continue;
        using Job = gpu::BloopSumsJob;
        Job job{};
        job.count = narrow(count);
        job.flags = pass.flags;
        job.keep = pass.keep;
        job.take = pass.take;
        const std::uint64_t chunks = plan.of(count);
        std::vector<Operand> operands{
            {offsetof(Job, main), part.main, Access::read},
            {offsetof(Job, auxiliary), part.auxiliary, Access::read},
            {offsetof(Job, average), pass.main[i], Access::read},
            {offsetof(Job, partials), partials.row_range(first_chunk, chunks), Access::write}};
        first_chunk += chunks;
        if (pass.two()) operands.push_back({offsetof(Job, auxiliary_average), pass.other[i], Access::read});
        if (pass.started) operands.push_back({offsetof(Job, started), pass.started, Access::read});
        add_operation(
            graph, make_operation(kSums, job, std::move(operands), chunks),
            {{gpu::SPEC_THREADS, plan.threads},
             {gpu::SPEC_DTYPE_A, dtype_code(part.main)},
             {gpu::SPEC_DTYPE_B, dtype_code(part.auxiliary)},
             {gpu::SPEC_PER_THREAD, plan.per_thread}},
            (pass.two() ? 14.0 : 7.0) * static_cast<double>(count),
            element_bytes(part.main, part.auxiliary) + (pass.two() ? 8.0 : 4.0) * static_cast<double>(count),
            pass.options.guarded, plan.text());
    }
    return partials;
}

void add_ratio(const Pass& pass, const Tensor& partials, const Chunks& plan) {
    const BloopOptions& options = pass.options;
    using Job = gpu::BloopRatioJob;
    Job job{};
    job.chunks = narrow(partials.rows());
    job.flags = pass.flags;
    job.eps = options.eps;
    job.largest = std::numeric_limits<float>::max();
    if (pass.two()) job.largest = 0;
    if (options.method == BloopMethod::dynamic_barrier)
        job.largest = std::min(1.0f / options.lambda, job.largest);  // lambda may be 0
    std::vector<Operand> operands{{offsetof(Job, partials), partials, Access::read},
                                  {offsetof(Job, found), pass.found, Access::write}};
    if (pass.started) operands.push_back({offsetof(Job, started), pass.started, Access::read_write});
    if (options.ratio) operands.push_back({offsetof(Job, ratio), options.ratio, Access::write});
    if (options.status) operands.push_back({offsetof(Job, status), options.status, Access::write});
    add_operation(pass.graph, make_operation(kRatio, job, std::move(operands), 1),
                  {{gpu::SPEC_THREADS, plan.threads}}, 20.0 * static_cast<double>(partials.shape.count()),
                  element_bytes(partials), options.guarded);
}

void add_update(const Pass& pass) {
    const BloopOptions& options = pass.options;
    const PassGrid grid(pass.graph.device(), 2);
    const double flops = pass.two() ? 18 : pass.plain() ? 3 : 9;
    const std::uint64_t average_bytes = pass.two() ? 16 : pass.plain() ? 0 : 8;
    for (std::size_t i = 0; i < pass.parts.size(); ++i) {
        const BloopPart& part = pass.parts[i];
        const std::uint64_t count = part.main.shape.count();
        if (count == 0) continue;
        using Job = gpu::BloopUpdateJob;
        Job job{};
        job.count = narrow(count);
        job.flags = pass.flags;
        job.keep = pass.keep;
        job.take = pass.take;
        job.lambda = options.lambda;
        job.scale =
            options.rescale ? static_cast<float>(1 / (1 + static_cast<double>(options.lambda))) : 1.0f;
        std::vector<Operand> operands{{offsetof(Job, main), part.main, Access::read},
                                      {offsetof(Job, auxiliary), part.auxiliary, Access::read},
                                      {offsetof(Job, direction), part.direction, Access::write}};
        if (pass.found) operands.push_back({offsetof(Job, found), pass.found, Access::read});
        if (pass.main[i]) operands.push_back({offsetof(Job, average), pass.main[i], Access::read_write});
        if (pass.other[i])
            operands.push_back({offsetof(Job, auxiliary_average), pass.other[i], Access::read_write});
        add_operation(pass.graph, make_operation(kUpdate, job, std::move(operands), grid.groups(count)),
                      {{gpu::SPEC_THREADS, grid.threads},
                       {gpu::SPEC_PER_THREAD, grid.per_thread},
                       {gpu::SPEC_DTYPE_A, dtype_code(part.main)},
                       {gpu::SPEC_DTYPE_B, dtype_code(part.auxiliary)},
                       {gpu::SPEC_DTYPE_D, dtype_code(part.direction)}},
                      flops * static_cast<double>(count),
                      element_bytes(part.main, part.auxiliary, part.direction) +
                          static_cast<double>(average_bytes * count),
                      options.guarded);
    }
}

}  // namespace

void bloop(Graph& graph, std::span<const BloopPart> parts, const BloopOptions& options) {
    check_options(options);
    const std::uint64_t elements = check_tensors(graph, parts, options);
    const Pass pass = make_pass(graph, parts, options);
    if (!pass.plain()) {
        const Chunks plan(graph.device(), elements);
        add_ratio(pass, add_sums(pass, plan), plan);
    }
    add_update(pass);
}

}  // namespace heron
