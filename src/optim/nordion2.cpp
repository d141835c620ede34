// SPDX-License-Identifier: MIT
// NorDion2's recipe: Dion2's on rows, and between polar factor and update the second moment of the rows
// (shaders/optim/nordion2_variance.comp), two levels.
#include "heron/optim/nordion2.hpp"

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

#include "heron/linalg/norms.hpp"
#include "heron/spirv/nordion2_variance.hpp"
#include "linalg/integers.hpp"
#include "optim/checks.hpp"
#include "optim/dion2.h"
#include "optim/line_recipe.hpp"
#include "optim/momentum_polar.hpp"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::NorDion2VarianceJob) == 56);
constexpr KernelInfo kVariance =
    make_kernel<gpu::NorDion2VarianceJob>("nordion2_variance", spirv::nordion2_variance);

// What the rows of O are multiplied by. `variance`: v of the block's rows.
Tensor add_variance(StepBuilder& step, const SelectedLines& lines, const Tensor& variance, double beta2,
                    double eps) {
    using Job = gpu::NorDion2VarianceJob;
    Graph& graph = step.graph();
    const Tensor squares = graph.temporary(DType::f32, Shape{lines.count});
    row_norms(graph, lines.factor, squares, NormKind::squared);
    const Tensor factors = graph.temporary(DType::f32, Shape{lines.count});
    Job job{};
    job.count = narrow(lines.count);
    job.mean = static_cast<float>(1.0 / static_cast<double>(lines.factor.cols()));
    job.rate = static_cast<float>(1.0 - beta2);
    job.eps = static_cast<float>(eps);
    Operation operation = make_operation(kVariance, job,
                                         {{offsetof(Job, squares), squares, Access::read},
                                          {offsetof(Job, indices), lines.indices, Access::read},
                                          {offsetof(Job, variance), variance, Access::read_write},
                                          {offsetof(Job, factors), factors, Access::write}},
                                         1);
    const Capabilities& capabilities = step.device().capabilities();
    operation.constants = {{gpu::SPEC_THREADS, threads_of(capabilities, capabilities.cpu ? 8 : 256)}};
    operation.reason = "one workgroup a matrix";
    operation.flops = 10.0 * static_cast<double>(lines.count);
    operation.bytes = 28.0 * static_cast<double>(lines.count);
    graph.add(std::move(operation));
    return factors;
}

}  // namespace

NorDion2::NorDion2(const Device& device, const NorDion2Options& options)
    : Optimizer(device, "nordion2"), options_(options) {
    const NorDion2Options& o = options;
    check_option("NorDion2", "lr", o.lr, o.lr >= 0, "finite and not below 0");
    check_option("NorDion2", "fraction", o.fraction, o.fraction > 0 && o.fraction <= 1, "in (0, 1]");
    check_option("NorDion2", "momentum", o.momentum, o.momentum >= 0 && o.momentum <= 1, "in [0, 1]");
    check_option("NorDion2", "beta2", o.beta2, o.beta2 >= 0 && o.beta2 < 1, "in [0, 1)");
    const float eps = static_cast<float>(o.eps);
    check_option("NorDion2", "eps", eps, eps > 0, "positive and finite in f32");
    check_option("NorDion2", "weight_decay", o.weight_decay, o.weight_decay >= 0, "finite and not below 0");
    check_enum("NorDion2", "shape_factor", o.shape_factor, ShapeFactor::spectral);
    check_enum("NorDion2", "conv_factor", o.conv_factor, ConvFactor::kernel);
    check_orthogonalizer("NorDion2", o.polar);
}

void NorDion2::check(const Parameter& parameter) const {
    matrix_blocks("NorDion2", parameter, options_.shape_factor, options_.conv_factor);
}

std::string NorDion2::options_text() const {
    return "nordion2 fraction=" + number_text(options_.fraction) +
           " momentum=" + number_text(options_.momentum) + " beta2=" + number_text(options_.beta2) +
           " eps=" + number_text(options_.eps) + " weight_decay=" + number_text(options_.weight_decay) +
           " shape_factor=" + std::to_string(static_cast<int>(options_.shape_factor)) +
           " conv_factor=" + std::to_string(static_cast<int>(options_.conv_factor)) +
           orthogonalizer_text(options_.polar);
}

// gpu::Dion2Hyper
std::vector<HyperValue> NorDion2::hyper() const {
    return {HyperValue::lr(options_.lr, options_.schedule), HyperValue::constant(options_.weight_decay),
            HyperValue::constant(options_.momentum)};
}

void NorDion2::build(StepBuilder& step) const {
    for (const StepBuilder::Item& item : step.items()) {
        const std::vector<MatrixBlock> blocks =
            matrix_blocks("NorDion2", *item.parameter, options_.shape_factor, options_.conv_factor);
        const Tensor momentum = step.state(item, "momentum", DType::f32, item.weight.shape);
        std::uint64_t rows = 0;
        for (const MatrixBlock& block : blocks) rows += block.rows;
        const Tensor variance = step.state(item, "v", DType::f32, Shape{rows});
        std::uint64_t first = 0;
        for (const MatrixBlock& block : blocks) {
            const SelectedLines lines =
                add_selected_lines(step, item, momentum, block, false,
                                   selected_count(options_.fraction, block.rows), options_.polar, "nordion2");
            step.graph().set_stage("nordion2 variance");
            Tensor part = variance;
            part.byte_offset += first * sizeof(float);
            part.shape = Shape{block.rows};
            first += block.rows;
            const Tensor factors = add_variance(step, lines, part, options_.beta2, options_.eps);
            step.graph().set_stage("nordion2 update");
            add_line_update(step, item, block, lines, factors);
        }
    }
}

}  // namespace heron
