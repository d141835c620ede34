// SPDX-License-Identifier: MIT
// fill_random() and advance_counter(): checks and jobs of the random number kernel.
#include "heron/linalg/random.hpp"

#include <cmath>
#include <cstddef>
#include <string>

#include "core/number_text.hpp"
#include "graph/element_bytes.hpp"
#include "graph/graph.hpp"
#include "heron/spirv/random.hpp"
#include "linalg/checks.hpp"
#include "linalg/integers.hpp"
#include "linalg/random.h"

namespace heron {

static_assert(sizeof(gpu::RandomJob) == 72 && offsetof(gpu::RandomJob, first_group) == 68);
static_assert(static_cast<std::uint32_t>(Distribution::bits) == gpu::RANDOM_BITS &&
              static_cast<std::uint32_t>(Distribution::uniform) == gpu::RANDOM_UNIFORM &&
              static_cast<std::uint32_t>(Distribution::normal) == gpu::RANDOM_NORMAL &&
              static_cast<std::uint32_t>(Distribution::signs) == gpu::RANDOM_SIGNS &&
              static_cast<std::uint32_t>(Distribution::exponential) == gpu::RANDOM_EXPONENTIAL);

namespace {

constexpr KernelInfo kRandom = make_kernel<gpu::RandomJob>("random", spirv::random);

void check_counter(std::string_view who, const Graph& graph, const Tensor& counter) {
    check_tensor(who, "counter", graph, counter);
    if (counter.dtype != DType::u32 || counter.shape.count() != 1)
        refuse(who, "counter is " + text(counter) + "; it must be one u32");
}

}  // namespace

void fill_random(Graph& graph, const Tensor& to, const RandomOptions& options) {
    constexpr std::string_view who = "fill_random";
    const bool bits = options.distribution == Distribution::bits;
    if (static_cast<std::uint32_t>(options.distribution) > gpu::RANDOM_EXPONENTIAL)
        refuse(who, "distribution " + std::to_string(static_cast<std::uint32_t>(options.distribution)) +
                        " is not one of Distribution");
    if (bits) {
        if (to && to.dtype != DType::u32)
            refuse(who, "`to` is " + text(to) + "; Distribution::bits fills u32 tensors");
        Tensor as_float = to;  // the other rules are those of 32-bit floats
        as_float.dtype = DType::f32;
        check_float_tensor(who, "`to`", graph, as_float);
    } else {
        check_float_tensor(who, "`to`", graph, to);
    }
    if (!std::isfinite(options.scale))
        refuse(who, "scale is " + number_text(options.scale) + "; it must be finite");
    if (options.counter) {
        check_counter(who, graph, options.counter);
        check_no_overlap(who, "`to`", to, "counter", options.counter, graph);
    }
    const std::uint64_t count = to.shape.count();
    if (count == 0) return;

    const bool contiguous = to.stride() == to.cols();
    gpu::RandomJob job{};
    job.seed = narrow(options.seed);
    job.seed_high = narrow(options.seed >> 32);
    job.tensor = options.tensor;
    job.stream = options.stream;
    job.step = options.step;
    job.first_block = options.first_block;
    job.blocks = narrow((count + 3) / 4);
    job.count = narrow(count);
    job.cols = narrow(to.cols());
    job.stride = narrow(to.stride());
    job.scale = options.scale;
    job.flags = (options.control ? gpu::RANDOM_CONTROL : 0) | (options.counter ? gpu::RANDOM_COUNTER : 0) |
                (contiguous ? gpu::RANDOM_PAIRS : 0);

    const bool cpu = graph.device().capabilities().cpu;
    const std::uint32_t threads = cpu ? 8 : 128;
    const std::uint32_t per_thread = cpu ? 64 : 4;  // few workgroups where one costs a microsecond
    const std::uint64_t per_group = std::uint64_t{threads} * per_thread;
    std::vector<Operand> operands{{offsetof(gpu::RandomJob, to), to, Access::write}};
    if (options.counter)
        operands.push_back({offsetof(gpu::RandomJob, counter), options.counter, Access::read});
    if (options.control) operands.push_back({Operand::kNoField, graph.control(), Access::read});
    Operation operation =
        make_operation(kRandom, job, std::move(operands), (job.blocks + per_group - 1) / per_group);
    operation.constants = {{gpu::SPEC_THREADS, threads},
                           {gpu::SPEC_DISTRIBUTION, static_cast<std::uint32_t>(options.distribution)},
                           {gpu::SPEC_DTYPE_D, bits ? gpu::DTYPE_F32 : static_cast<std::uint32_t>(to.dtype)},
                           {gpu::SPEC_PER_THREAD, per_thread}};
    operation.reason = "the only one";
    operation.flops = 40.0 * static_cast<double>(count);
    operation.bytes = element_bytes(to);
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

void advance_counter(Graph& graph, const Tensor& counter, bool guarded) {
    check_counter("advance_counter", graph, counter);
    const gpu::RandomJob job{};
    Operation operation =
        make_operation(kRandom, job, {{offsetof(gpu::RandomJob, to), counter, Access::read_write}}, 1);
    operation.constants = {{gpu::SPEC_THREADS, 1}, {gpu::SPEC_DISTRIBUTION, gpu::RANDOM_ADVANCE}};
    operation.reason = "the only one";
    operation.bytes = 8;
    operation.guarded = guarded;
    graph.add(std::move(operation));
}

}  // namespace heron
