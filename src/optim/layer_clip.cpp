// SPDX-License-Identifier: MIT
// The kernels are shaders/optim/layer_dot.comp and layer_clip.comp.
#include "optim/layer_clip.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "heron/spirv/layer_clip.hpp"
#include "heron/spirv/layer_dot.hpp"
#include "linalg/integers.hpp"
#include "optim/layer.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::LayerDotJob) == 48);
static_assert(sizeof(gpu::LayerClipJob) == 48);

constexpr KernelInfo kDot = make_kernel<gpu::LayerDotJob>("layer_dot", spirv::layer_dot);
constexpr KernelInfo kClip = make_kernel<gpu::LayerClipJob>("layer_clip", spirv::layer_clip);

// Of a layer: one workgroup adds those of all layers up.
constexpr std::uint64_t kMaxPartials = 256;

}  // namespace

Tensor layer_clip(StepBuilder& step, const std::vector<LayerDirection>& layers, float limit,
                  const Tensor& clip_lr, const Tensor& kept) {
    Graph& graph = step.graph();
    std::uint64_t count = 0;
    for (const LayerDirection& layer : layers)
        count += step.elements(layer.direction.shape.count(), kMaxPartials).groups;
    const Tensor partials = graph.temporary(DType::f32, Shape{std::max<std::uint64_t>(count, 1), 1});
    std::uint64_t first = 0;
    for (const LayerDirection& layer : layers) {
        using Job = gpu::LayerDotJob;
        const std::uint64_t elements = layer.direction.shape.count();
        const ElementGrid grid = step.elements(elements, kMaxPartials);
        Job job{};
        job.range = StepBuilder::range(0, elements, grid);
        Operation operation =
            make_operation(kDot, job,
                           {{offsetof(Job, direction), layer.direction, Access::read},
                            {offsetof(Job, gradient), layer.gradient, Access::read},
                            {offsetof(Job, partials), partials.row_range(first, grid.groups), Access::write}},
                           grid.groups);
        first += grid.groups;
        operation.constants = {{gpu::SPEC_THREADS, grid.threads}, step.variant()};
        operation.reason = step.variant_reason();
        operation.flops = 2.0 * static_cast<double>(elements);
        operation.bytes = 8.0 * static_cast<double>(elements);
        graph.add(std::move(operation));
    }
    using Job = gpu::LayerClipJob;
    Job job{};
    job.count = narrow(count);
    job.root_limit = std::sqrt(limit);
    Operation operation = make_operation(kClip, job,
                                         {{offsetof(Job, partials), partials, Access::read},
                                          {offsetof(Job, hyper), step.hyper(), Access::read},
                                          {offsetof(Job, clip_lr), clip_lr, Access::read},
                                          {offsetof(Job, kept), kept, Access::write}},
                                         1);
    const Capabilities& capabilities = step.device().capabilities();
    operation.constants = {{gpu::SPEC_THREADS, threads_of(capabilities, capabilities.cpu ? 16 : 256)}};
    operation.reason = "one workgroup, so that one factor holds for all layers";
    operation.bytes = 4.0 * static_cast<double>(count);
    graph.add(std::move(operation));
    Tensor factor = kept;
    factor.shape = Shape{1};
    return factor;
}

}  // namespace heron
