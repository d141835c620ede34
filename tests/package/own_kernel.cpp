// SPDX-License-Identifier: MIT
// A grouped kernel of the application's own, in a graph: the example of shaders/README.md, outside of Heron.
#include <cstdio>
#include <heron/graph.hpp>
#include <heron/plan.hpp>
#include <string>
#include <vector>

#include "decay.h"
#include "every_device.hpp"
#include "heron/spirv/decay.hpp"

namespace {

namespace gpu = heron::gpu;

static_assert(sizeof(gpu::DecayJob) == 24);
constexpr heron::KernelInfo kDecay = heron::make_kernel<gpu::DecayJob>("decay", heron::spirv::decay);

void add_decay(heron::Graph& graph, const heron::Tensor& x, std::uint32_t count, float factor) {
    constexpr std::uint32_t threads = 64;
    gpu::DecayJob job{.count = count, .factor = factor};
    heron::Operation operation =
        heron::make_operation(kDecay, job, {{offsetof(gpu::DecayJob, x), x, heron::Access::read_write}},
                              (count + threads - 1) / threads);
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    operation.flops = 1.0 * count;
    operation.bytes = 2.0 * sizeof(float) * count;  // each element is read and written
    graph.add(std::move(operation));
}

bool works(const heron::Device& device) {
    heron::Graph graph(device);
    // Powers of two, so that every product is exact.
    const std::vector<std::uint32_t> counts{1, 63, 64, 1000};
    const std::vector<float> factors{0.5f, -2.0f, 0.25f, 4.0f};
    std::vector<heron::Buffer> buffers;
    for (std::size_t t = 0; t < counts.size(); ++t) {
        std::vector<float> values(counts[t]);
        for (std::uint32_t i = 0; i < counts[t]; ++i) values[i] = static_cast<float>(i + 1);
        buffers.push_back(device.create_buffer(counts[t] * sizeof(float)));
        buffers.back().write(std::as_bytes(std::span(values)));
        const heron::TensorView view = buffers.back().view(heron::DType::f32, {counts[t]});
        add_decay(graph, graph.external("x" + std::to_string(t), view), counts[t], factors[t]);
    }
    heron::Plan plan = graph.compile({});
    std::puts(plan.describe().c_str());
    plan.allocate();
    plan.run();
    plan.run();
    int wrong = plan.dispatch_count() != 1;  // one for all tensors
    for (std::size_t t = 0; t < counts.size(); ++t) {
        std::vector<float> values(counts[t]);
        buffers[t].read(std::as_writable_bytes(std::span(values)));
        for (std::uint32_t i = 0; i < counts[t]; ++i)
            if (values[i] != factors[t] * factors[t] * static_cast<float>(i + 1)) ++wrong;
    }
    std::printf("%d wrong\n", wrong);
    return wrong == 0;
}

}  // namespace

int main() { return on_every_device(works); }
