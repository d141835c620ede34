// SPDX-License-Identifier: MIT
// The kernels of layers.hpp and their jobs.
#include "layers.hpp"

#include <utility>
#include <vector>

#include "heron/spirv/samples_bias.hpp"
#include "heron/spirv/samples_channel_bias.hpp"
#include "heron/spirv/samples_column_sum.hpp"
#include "heron/spirv/samples_conv_images.hpp"
#include "heron/spirv/samples_conv_patches.hpp"
#include "heron/spirv/samples_finish_batch.hpp"
#include "heron/spirv/samples_relu_backward.hpp"
#include "heron/spirv/samples_softmax_loss.hpp"
#include "kernel_operation.hpp"
#include "shaders/jobs.h"

namespace samples {

namespace gpu = heron::gpu;
using heron::Access;
using heron::Graph;
using heron::Tensor;

namespace {

constexpr auto kBias = heron::make_kernel<gpu::BiasJob>("bias", heron::spirv::samples_bias);
constexpr auto kChannelBias =
    heron::make_kernel<gpu::ChannelBiasJob>("channel_bias", heron::spirv::samples_channel_bias);
constexpr auto kConvPatches =
    heron::make_kernel<gpu::ConvJob>("conv_patches", heron::spirv::samples_conv_patches);
constexpr auto kConvImages =
    heron::make_kernel<gpu::ConvJob>("conv_images", heron::spirv::samples_conv_images);
constexpr auto kSoftmaxLoss =
    heron::make_kernel<gpu::SoftmaxLossJob>("softmax_loss", heron::spirv::samples_softmax_loss);
constexpr auto kFinishBatch =
    heron::make_kernel<gpu::FinishBatchJob>("finish_batch", heron::spirv::samples_finish_batch);
constexpr auto kReluBackward =
    heron::make_kernel<gpu::ReluBackwardJob>("relu_backward", heron::spirv::samples_relu_backward);
constexpr auto kColumnSum =
    heron::make_kernel<gpu::ColumnSumJob>("column_sum", heron::spirv::samples_column_sum);

constexpr std::uint32_t kBiasRows = 16;       // per invocation; as ROWS in bias.comp
constexpr std::uint32_t kReluElements = 16;   // per invocation; as ELEMENTS in relu_backward.comp
constexpr std::uint32_t kFinishThreads = 64;  // as THREADS in finish_batch.comp
constexpr std::uint32_t kSumColumns = 16;     // as COLUMNS in column_sum.comp
constexpr std::uint32_t kSumThreads = 128;    // COLUMNS * SLICES there

std::uint32_t narrow(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

gpu::ConvJob conv_job(const Convolution& c, std::uint64_t count) {
    return {.count = narrow(count),
            .channels = c.channels,
            .height = c.height,
            .width = c.width,
            .out_height = c.out_height(),
            .out_width = c.out_width(),
            .kernel = c.kernel,
            .stride = c.stride,
            .padding = c.padding};
}

}  // namespace

void add_bias(Graph& graph, const Tensor& bias, const Tensor& values, bool relu) {
    const std::uint64_t column_groups = divide_up(values.cols(), kThreads);
    add_operation(graph, kBias,
                  gpu::BiasJob{.rows = narrow(values.rows()),
                               .cols = narrow(values.cols()),
                               .column_groups = narrow(column_groups),
                               .relu = relu},
                  {{SAMPLES_FIELD(BiasJob, bias), bias, Access::read},
                   {SAMPLES_FIELD(BiasJob, values), values, Access::read_write}},
                  column_groups * divide_up(values.rows(), kBiasRows));
}

void conv_patches(Graph& graph, const Convolution& convolution, const Tensor& images, const Tensor& patches) {
    const std::uint64_t count = patches.shape.count();
    add_operation(graph, kConvPatches, conv_job(convolution, count),
                  {{SAMPLES_FIELD(ConvJob, images), images, Access::read},
                   {SAMPLES_FIELD(ConvJob, patches), patches, Access::write}},
                  divide_up(count, kThreads));
}

void conv_patches_backward(Graph& graph, const Convolution& convolution, const Tensor& patches,
                           const Tensor& images) {
    const std::uint64_t count = images.shape.count();
    add_operation(graph, kConvImages, conv_job(convolution, count),
                  {{SAMPLES_FIELD(ConvJob, images), images, Access::write},
                   {SAMPLES_FIELD(ConvJob, patches), patches, Access::read}},
                  divide_up(count, kThreads));
}

void add_channel_bias(Graph& graph, const Convolution& convolution, const Tensor& bias, const Tensor& values,
                      bool relu) {
    const std::uint64_t count = values.shape.count();
    add_operation(graph, kChannelBias,
                  gpu::ChannelBiasJob{.count = narrow(count),
                                      .channels = convolution.filters,
                                      .positions = convolution.positions(),
                                      .relu = relu},
                  {{SAMPLES_FIELD(ChannelBiasJob, bias), bias, Access::read},
                   {SAMPLES_FIELD(ChannelBiasJob, values), values, Access::read_write}},
                  divide_up(count, kThreads));
}

void relu_backward(Graph& graph, const Tensor& activation, const Tensor& gradient) {
    const std::uint64_t count = gradient.shape.count();
    add_operation(graph, kReluBackward, gpu::ReluBackwardJob{.count = narrow(count)},
                  {{SAMPLES_FIELD(ReluBackwardJob, activation), activation, Access::read},
                   {SAMPLES_FIELD(ReluBackwardJob, gradient), gradient, Access::read_write}},
                  divide_up(count, kThreads * kReluElements));
}

void column_sums(Graph& graph, const Tensor& values, const Tensor& sums) {
    add_operation(graph, kColumnSum,
                  gpu::ColumnSumJob{.rows = narrow(values.rows()), .cols = narrow(values.cols())},
                  {{SAMPLES_FIELD(ColumnSumJob, values), values, Access::read},
                   {SAMPLES_FIELD(ColumnSumJob, sums), sums, Access::write}},
                  divide_up(values.cols(), kSumColumns), kSumThreads);
}

void softmax_loss(Graph& graph, const LossTensors& tensors) {
    const bool evaluate = !tensors.gradient;
    const std::uint64_t rows = tensors.logits.rows();
    const std::uint64_t classes = tensors.logits.cols();
    std::vector<heron::Operand> operands = {
        {SAMPLES_FIELD(SoftmaxLossJob, logits), tensors.logits, Access::read},
        {SAMPLES_FIELD(SoftmaxLossJob, row_label), tensors.labels, Access::read},
        // Some drivers load from both sides of a branch: the address must be one in any case.
        {SAMPLES_FIELD(SoftmaxLossJob, row_index), tensors.row_index ? tensors.row_index : tensors.labels,
         Access::read},
        {SAMPLES_FIELD(SoftmaxLossJob, row_result), tensors.row_result, Access::write}};
    if (evaluate)
        operands.push_back({SAMPLES_FIELD(SoftmaxLossJob, predictions), tensors.predictions, Access::write});
    else
        operands.push_back({SAMPLES_FIELD(SoftmaxLossJob, gradient), tensors.gradient, Access::write});
    add_operation(graph, kSoftmaxLoss,
                  gpu::SoftmaxLossJob{.rows = narrow(rows), .classes = narrow(classes), .evaluate = evaluate},
                  std::move(operands), divide_up(rows, kThreads), kThreads,
                  rows * (4 * classes + 12 + (evaluate ? 8 : 4 * classes)));
}

void finish_batch(Graph& graph, const Tensor& row_result, const Tensor& history, const Tensor& cursor) {
    const std::uint64_t rows = row_result.rows();
    add_operation(graph, kFinishBatch, gpu::FinishBatchJob{.rows = narrow(rows), .capacity = kHistory},
                  {{SAMPLES_FIELD(FinishBatchJob, row_result), row_result, Access::read},
                   {SAMPLES_FIELD(FinishBatchJob, history), history, Access::read_write},
                   {SAMPLES_FIELD(FinishBatchJob, cursor), cursor, Access::read_write}},
                  1, kFinishThreads, 8 * rows + 12);
}

}  // namespace samples
