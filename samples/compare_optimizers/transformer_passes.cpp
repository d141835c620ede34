// SPDX-License-Identifier: MIT
// Builds the graphs of the passes from heron::gemm, the samples' layers and kernels of its own (shaders/).
#include <algorithm>
#include <cmath>
#include <cstddef>

#include "heron/spirv/transformer_causal_softmax.hpp"
#include "heron/spirv/transformer_causal_softmax_backward.hpp"
#include "heron/spirv/transformer_merge_heads.hpp"
#include "heron/spirv/transformer_rms_norm.hpp"
#include "heron/spirv/transformer_rms_norm_backward.hpp"
#include "heron/spirv/transformer_squared_relu.hpp"
#include "heron/spirv/transformer_squared_relu_backward.hpp"
#include "heron/spirv/transformer_windows.hpp"
#include "shaders/transformer.h"
#include "support/kernel_operation.hpp"
#include "support/shaders/jobs.h"
#include "transformer.hpp"
#include "transformer_layout.hpp"

namespace samples {

namespace gpu = heron::gpu;
using heron::Access;
using heron::DType;
using heron::Graph;
using heron::Shape;
using heron::Tensor;
using heron::Transpose;

namespace {

constexpr auto kWindows = heron::make_kernel<gpu::WindowsJob>("windows", heron::spirv::transformer_windows);
constexpr auto kRmsNorm = heron::make_kernel<gpu::RmsNormJob>("rms_norm", heron::spirv::transformer_rms_norm);
constexpr auto kRmsNormBackward = heron::make_kernel<gpu::RmsNormBackwardJob>(
    "rms_norm_backward", heron::spirv::transformer_rms_norm_backward);
constexpr auto kSquaredRelu =
    heron::make_kernel<gpu::SquaredReluJob>("squared_relu", heron::spirv::transformer_squared_relu);
constexpr auto kSquaredReluBackward = heron::make_kernel<gpu::SquaredReluJob>(
    "squared_relu_backward", heron::spirv::transformer_squared_relu_backward);
constexpr auto kCausalSoftmax =
    heron::make_kernel<gpu::CausalSoftmaxJob>("causal_softmax", heron::spirv::transformer_causal_softmax);
constexpr auto kCausalSoftmaxBackward = heron::make_kernel<gpu::CausalSoftmaxBackwardJob>(
    "causal_softmax_backward", heron::spirv::transformer_causal_softmax_backward);
constexpr auto kMergeHeads =
    heron::make_kernel<gpu::MergeHeadsJob>("merge_heads", heron::spirv::transformer_merge_heads);

std::uint32_t narrow(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

// One pass under construction. What the backward pass needs of the forward pass are temporaries of the same
// plan, which share memory where they can.
class Builder {
public:
    Builder(const heron::Device& device, const Transformer& network, const DeviceText& text,
            const TextPasses& passes)
        : graph_(device), shape_(network.shape), passes_(passes), text_(text) {
        for (const heron::Parameter& parameter : network.parameters()) {
            weights_.push_back(graph_.external(parameter.name, parameter.weight));
            gradient_views_.push_back({parameter.name + ".gradient", parameter.gradient});
        }
        one_hot_ = external("one_hot", passes.one_hot, DType::f32, Shape{passes.rows, shape_.vocabulary});
        targets_ = external("targets", passes.targets, DType::u32, Shape{passes.rows});
        cursor_ = external("cursor", passes.cursor, DType::u32, Shape{1});
    }

    heron::Plan training(std::uint32_t seed, const heron::PlanOptions& options) {
        for (auto& [name, view] : gradient_views_) gradients_.push_back(graph_.external(name, view));
        windows(seed, false);
        forward();
        logits_gradient_ = activation(shape_.vocabulary);
        loss();
        backward();
        return graph_.compile(options);
    }

    heron::Plan evaluation(const heron::PlanOptions& options) {
        windows(0, true);
        forward();
        logits_gradient_ = activation(shape_.vocabulary);  // not used by anything
        loss();
        return graph_.compile(options);
    }

private:
    // What one block keeps for its backward pass.
    struct Block {
        Tensor x1, normed1, scale1, qkv, probabilities, merged;
        Tensor x2, normed2, scale2, z, h;
    };
    // Positions of a block's parameters behind its first one.
    enum Part : std::size_t { norm1, qkv_weight, out_weight, norm2, up_weight, down_weight, part_count };

    static constexpr std::size_t kEmbed = 0, kPosition = 1, kBlocks = 2;
    std::size_t index(std::uint32_t block, Part part) const { return kBlocks + part_count * block + part; }
    std::size_t last_norm() const { return kBlocks + part_count * shape_.blocks; }
    std::size_t head() const { return last_norm() + 1; }

    std::uint64_t head_width() const { return shape_.width / shape_.heads; }
    std::uint64_t head_batch() const { return std::uint64_t{shape_.heads} * passes_.sequences; }

    Tensor external(const std::string& name, const heron::Buffer& buffer, DType dtype, const Shape& shape) {
        return graph_.external(name, buffer.view(dtype, shape));
    }
    Tensor activation(std::uint64_t cols) { return graph_.temporary(DType::f32, Shape{passes_.rows, cols}); }

    // D = op(A) op(B) + C
    void product(const Tensor& a, const Tensor& b, const Tensor& d, Transpose transpose_a,
                 Transpose transpose_b, const Tensor& c = {}, float alpha = 1) {
        heron::gemm(graph_, a, b, c, d,
                    {.transpose_a = transpose_a,
                     .transpose_b = transpose_b,
                     .alpha = alpha,
                     .beta = c ? 1.0f : 0.0f,
                     .guarded = false});
    }
    // y = x W^T (+ residual)
    Tensor linear(const Tensor& x, const Tensor& weight, const Tensor& residual = {}) {
        const Tensor y = activation(weight.rows());
        product(x, weight, y, Transpose::no, Transpose::yes, residual);
        return y;
    }
    // From dy: dW = dy^T x, and dx = dy W.
    Tensor linear_backward(const Tensor& dy, const Tensor& x, std::size_t parameter) {
        capture(dy, x, parameter);
        product(dy, x, gradients_[parameter], Transpose::yes, Transpose::no);
        const Tensor dx = activation(x.cols());
        product(dy, weights_[parameter], dx, Transpose::no, Transpose::no);
        return dx;
    }

    // Copies: temporaries share memory with what comes later, and dy may be added to.
    void capture(const Tensor& dy, const Tensor& x, std::size_t parameter) {
        if (passes_.captures.empty()) return;
        const std::vector<TransformerEntry> entries = transformer_layout(shape_);
        const auto layer =
            std::count_if(entries.begin(), entries.begin() + std::ptrdiff_t(parameter), is_linear);
        const TextPasses::Capture& kept = passes_.captures[static_cast<std::size_t>(layer)];
        const std::string name = entries[parameter].name;
        heron::convert(graph_, x, external(name + ".inputs", kept.inputs, DType::f32, x.shape), 1, false);
        heron::convert(graph_, dy,
                       external(name + ".output_gradients", kept.output_gradients, DType::f32, dy.shape), 1,
                       false);
    }

    void windows(std::uint32_t seed, bool in_order) {
        graph_.set_stage("batch");
        const std::uint64_t rows = passes_.rows;
        add_operation(graph_, kWindows,
                      gpu::WindowsJob{.rows = passes_.rows,
                                      .context = shape_.context,
                                      .characters = text_.length,
                                      .vocabulary = shape_.vocabulary,
                                      .seed = seed,
                                      .in_order = in_order,
                                      .no_label = gpu::NO_LABEL},
                      {{SAMPLES_FIELD(WindowsJob, cursor), cursor_, Access::read},
                       {SAMPLES_FIELD(WindowsJob, text),
                        external("text", text_.characters, DType::u32, Shape{text_.length}), Access::read},
                       {SAMPLES_FIELD(WindowsJob, one_hot), one_hot_, Access::write},
                       {SAMPLES_FIELD(WindowsJob, targets), targets_, Access::write}},
                      divide_up(rows, kThreads), kThreads,
                      rows * (12 + 4 * std::uint64_t{shape_.vocabulary}));
    }

    void rms_norm(const Tensor& x, std::size_t gain, Tensor& y, Tensor& scale) {
        y = activation(x.cols());
        scale = graph_.temporary(DType::f32, Shape{passes_.rows});
        add_operation(graph_, kRmsNorm, gpu::RmsNormJob{.rows = passes_.rows, .cols = narrow(x.cols())},
                      {{SAMPLES_FIELD(RmsNormJob, x), x, Access::read},
                       {SAMPLES_FIELD(RmsNormJob, gain), weights_[gain], Access::read},
                       {SAMPLES_FIELD(RmsNormJob, y), y, Access::write},
                       {SAMPLES_FIELD(RmsNormJob, scale), scale, Access::write}},
                      divide_up(passes_.rows, kThreads));
    }

    // Adds to x_gradient (with `first`: writes it); `gradient`, of the norm's result, is used up.
    void rms_norm_backward(const Tensor& x, const Tensor& scale, std::size_t gain, const Tensor& gradient,
                           const Tensor& x_gradient, bool first) {
        add_operation(graph_, kRmsNormBackward,
                      gpu::RmsNormBackwardJob{.rows = passes_.rows, .cols = narrow(x.cols()), .first = first},
                      {{SAMPLES_FIELD(RmsNormBackwardJob, x), x, Access::read},
                       {SAMPLES_FIELD(RmsNormBackwardJob, gain), weights_[gain], Access::read},
                       {SAMPLES_FIELD(RmsNormBackwardJob, scale), scale, Access::read},
                       {SAMPLES_FIELD(RmsNormBackwardJob, gradient), gradient, Access::read_write},
                       {SAMPLES_FIELD(RmsNormBackwardJob, x_gradient), x_gradient,
                        first ? Access::write : Access::read_write}},
                      divide_up(passes_.rows, kThreads));
        column_sums(graph_, gradient, gradients_[gain]);
    }

    void squared_relu(const heron::KernelInfo& kernel, const Tensor& z, const Tensor& h, Access access) {
        const std::uint64_t count = z.shape.count();
        add_operation(graph_, kernel, gpu::SquaredReluJob{.count = narrow(count)},
                      {{SAMPLES_FIELD(SquaredReluJob, z), z, Access::read},
                       {SAMPLES_FIELD(SquaredReluJob, h), h, access}},
                      divide_up(count, kThreads));
    }

    // Head `head` of q, k or v (part 0, 1, 2): sequences x context x head_width, a part of every row.
    Tensor head_of(const Tensor& rows, std::uint64_t part, std::uint64_t head) const {
        Tensor view = rows;
        view.byte_offset += sizeof(float) * (part * shape_.width + head * head_width());
        view.row_stride = rows.cols();
        view.shape = Shape{passes_.sequences, shape_.context, head_width()};
        return view;
    }
    // Items [head * sequences, ...) of a tensor heads x sequences x rows x cols.
    Tensor items_of(const Tensor& all, std::uint64_t head, std::uint64_t rows, std::uint64_t cols) const {
        Tensor items = all;
        items.byte_offset += sizeof(float) * head * passes_.sequences * rows * cols;
        items.shape = Shape{passes_.sequences, rows, cols};
        return items;
    }
    Tensor square_of(const Tensor& all, std::uint64_t head) const {
        return items_of(all, head, shape_.context, shape_.context);
    }
    Tensor squares() {
        return graph_.temporary(DType::f32, Shape{head_batch(), shape_.context, shape_.context});
    }
    // `parts` x rows x head_width: heads do not lie side by side while they are written, because writes to
    // the same rows would have to follow each other.
    Tensor apart(std::uint64_t parts) {
        return graph_.temporary(DType::f32, Shape{parts, passes_.rows, head_width()});
    }
    Tensor merge(const Tensor& parts) {
        const std::uint64_t count = parts.shape.count();
        const Tensor merged = activation(parts.batch() * head_width());
        add_operation(graph_, kMergeHeads,
                      gpu::MergeHeadsJob{.count = narrow(count),
                                         .rows = passes_.rows,
                                         .part_count = narrow(parts.batch()),
                                         .width = narrow(head_width())},
                      {{SAMPLES_FIELD(MergeHeadsJob, parts), parts, Access::read},
                       {SAMPLES_FIELD(MergeHeadsJob, merged), merged, Access::write}},
                      divide_up(count, kThreads));
        return merged;
    }

    float attention_scale() const { return 1.0f / std::sqrt(static_cast<float>(head_width())); }

    void attention(Block& block) {
        block.probabilities = squares();
        for (std::uint64_t head = 0; head < shape_.heads; ++head)
            product(head_of(block.qkv, 0, head), head_of(block.qkv, 1, head),
                    square_of(block.probabilities, head), Transpose::no, Transpose::yes, {},
                    attention_scale());
        const std::uint64_t rows = head_batch() * shape_.context;
        add_operation(graph_, kCausalSoftmax,
                      gpu::CausalSoftmaxJob{.rows = narrow(rows), .context = shape_.context},
                      {{SAMPLES_FIELD(CausalSoftmaxJob, scores), block.probabilities, Access::read_write}},
                      divide_up(rows, kThreads));
        const Tensor results = apart(shape_.heads);
        for (std::uint64_t head = 0; head < shape_.heads; ++head)
            product(square_of(block.probabilities, head), head_of(block.qkv, 2, head),
                    items_of(results, head, shape_.context, head_width()), Transpose::no, Transpose::no);
        block.merged = merge(results);
    }

    // From the gradient of the merged heads to that of q, k and v side by side.
    Tensor attention_backward(const Block& block, const Tensor& merged_gradient) {
        const Tensor scores = squares();  // gradient of the probabilities, then of the scores
        const Tensor parts = apart(3 * std::uint64_t{shape_.heads});
        const auto part = [&](std::uint64_t which, std::uint64_t head) {
            return items_of(parts, which * shape_.heads + head, shape_.context, head_width());
        };
        for (std::uint64_t head = 0; head < shape_.heads; ++head) {
            const Tensor gradient = head_of(merged_gradient, 0, head);
            product(gradient, head_of(block.qkv, 2, head), square_of(scores, head), Transpose::no,
                    Transpose::yes);
            product(square_of(block.probabilities, head), gradient, part(2, head), Transpose::yes,
                    Transpose::no);
        }
        const std::uint64_t rows = head_batch() * shape_.context;
        add_operation(
            graph_, kCausalSoftmaxBackward,
            gpu::CausalSoftmaxBackwardJob{.rows = narrow(rows), .context = shape_.context},
            {{SAMPLES_FIELD(CausalSoftmaxBackwardJob, probabilities), block.probabilities, Access::read},
             {SAMPLES_FIELD(CausalSoftmaxBackwardJob, gradient), scores, Access::read_write}},
            divide_up(rows, kThreads));
        for (std::uint64_t head = 0; head < shape_.heads; ++head) {
            const Tensor square = square_of(scores, head);
            product(square, head_of(block.qkv, 1, head), part(0, head), Transpose::no, Transpose::no, {},
                    attention_scale());
            product(square, head_of(block.qkv, 0, head), part(1, head), Transpose::yes, Transpose::no, {},
                    attention_scale());
        }
        return merge(parts);
    }

    void forward() {
        graph_.set_stage("embedding");
        // The positions are one matrix that is added to every sequence.
        Tensor x = activation(shape_.width);
        const auto by_sequence = [&](const Tensor& rows) {
            return rows.reshape(Shape{passes_.sequences, shape_.context, rows.cols()});
        };
        product(by_sequence(one_hot_), weights_[kEmbed], by_sequence(x), Transpose::no, Transpose::no,
                weights_[kPosition]);
        for (std::uint32_t b = 0; b < shape_.blocks; ++b) {
            graph_.set_stage("block " + std::to_string(b));
            Block& block = blocks_.emplace_back();
            block.x1 = x;
            rms_norm(block.x1, index(b, norm1), block.normed1, block.scale1);
            block.qkv = linear(block.normed1, weights_[index(b, qkv_weight)]);
            attention(block);
            block.x2 = linear(block.merged, weights_[index(b, out_weight)], block.x1);
            rms_norm(block.x2, index(b, norm2), block.normed2, block.scale2);
            block.z = linear(block.normed2, weights_[index(b, up_weight)]);
            block.h = activation(block.z.cols());
            squared_relu(kSquaredRelu, block.z, block.h, Access::write);
            x = linear(block.h, weights_[index(b, down_weight)], block.x2);
        }
        graph_.set_stage("head");
        last_x_ = x;
        rms_norm(last_x_, last_norm(), last_normed_, last_scale_);
        logits_ = linear(last_normed_, weights_[head()]);
    }

    void loss() {
        const Tensor row_result =
            external("row_result", passes_.row_result, DType::f32, Shape{passes_.rows, 2});
        softmax_loss(
            graph_,
            {.logits = logits_, .labels = targets_, .row_result = row_result, .gradient = logits_gradient_});
        finish_batch(graph_, row_result, external("history", passes_.history, DType::f32, Shape{kHistory, 2}),
                     cursor_);
    }

    void backward() {
        graph_.set_stage("head backward");
        const Tensor normed_gradient = linear_backward(logits_gradient_, last_normed_, head());
        const Tensor x_gradient = activation(shape_.width);  // of the residual stream, all the way down
        rms_norm_backward(last_x_, last_scale_, last_norm(), normed_gradient, x_gradient, true);
        for (std::uint32_t b = shape_.blocks; b-- > 0;) {
            graph_.set_stage("block " + std::to_string(b) + " backward");
            const Block& block = blocks_[b];
            const Tensor h_gradient = linear_backward(x_gradient, block.h, index(b, down_weight));
            squared_relu(kSquaredReluBackward, block.z, h_gradient, Access::read_write);
            const Tensor normed2 = linear_backward(h_gradient, block.normed2, index(b, up_weight));
            rms_norm_backward(block.x2, block.scale2, index(b, norm2), normed2, x_gradient, false);
            const Tensor merged = linear_backward(x_gradient, block.merged, index(b, out_weight));
            const Tensor qkv = attention_backward(block, merged);
            const Tensor normed1 = linear_backward(qkv, block.normed1, index(b, qkv_weight));
            rms_norm_backward(block.x1, block.scale1, index(b, norm1), normed1, x_gradient, false);
        }
        graph_.set_stage("embedding backward");
        product(one_hot_, x_gradient, gradients_[kEmbed], Transpose::yes, Transpose::no);
        const Shape flat{passes_.sequences, std::uint64_t{shape_.context} * shape_.width};
        column_sums(graph_, x_gradient.reshape(flat), gradients_[kPosition]);
    }

    Graph graph_;
    const TransformerShape& shape_;
    const TextPasses& passes_;
    const DeviceText& text_;
    std::vector<Tensor> weights_;
    std::vector<Tensor> gradients_;  // only when training
    std::vector<std::pair<std::string, heron::TensorView>> gradient_views_;
    Tensor one_hot_, targets_, cursor_;
    std::vector<Block> blocks_;
    Tensor last_x_, last_normed_, last_scale_, logits_, logits_gradient_;
};

}  // namespace

heron::Plan transformer_training_plan(const heron::Device& device, const Transformer& network,
                                      const DeviceText& text, const TextPasses& passes, std::uint32_t seed,
                                      const heron::PlanOptions& options) {
    return Builder(device, network, text, passes).training(seed, options);
}

heron::Plan transformer_evaluation_plan(const heron::Device& device, const Transformer& network,
                                        const DeviceText& text, const TextPasses& passes,
                                        const heron::PlanOptions& options) {
    return Builder(device, network, text, passes).evaluation(options);
}

}  // namespace samples
