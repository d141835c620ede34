// SPDX-License-Identifier: MIT
// A small decoder-only transformer over characters, whose passes are Heron plans.
//
//   x = E[character] + P[position]
//   per block:  q, k, v = norm(x) W_qkv^T;   d = width / heads
//               x += merge(softmax(mask(q k^T / sqrt(d))) v) W_o^T
//               x += relu(norm(x) W_in^T)^2 W_out^T
//   logits = norm(x) W_head^T;   loss = mean cross entropy of the next character, in nats
//
// The norms are RMS norms with gains; there are no biases. Matrices are outputs x inputs, row-major, f32.
// Rows of activations are sequences x context.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/layers.hpp"

namespace samples {

struct TransformerShape {
    std::uint32_t vocabulary = 0;
    std::uint32_t context = 0;  // characters
    std::uint32_t width = 0;    // a multiple of heads
    std::uint32_t heads = 0;
    std::uint32_t blocks = 0;
};

struct TextPasses;

struct Transformer {
    TransformerShape shape;
    // Everything in one buffer each, at the same offsets.
    heron::Buffer weights;
    heron::Buffer gradients;

    Transformer(const heron::Device& device, const TransformerShape& shape);
    // Matrices uniform with variance 1 / inputs, those that add to the residual stream 1 / (2 blocks inputs);
    // embeddings with variance 0.1; gains 1.
    void initialize(std::uint32_t seed);
    // In the order of the buffers: "embed.weight", "position.weight", per block
    // "blocks.0.{norm1.gain,qkv.weight,out.weight,norm2.gain,up.weight,down.weight}", "norm.gain",
    // "head.weight". W_qkv is three matrices for matrix optimizers.
    std::vector<heron::Parameter> parameters() const;
    // The matrices but the embeddings' with what passes that keep captures leave behind.
    std::vector<heron::Layer> captured_layers(const TextPasses& passes) const;
    std::uint64_t parameter_count() const;
};

// Characters as indices into the vocabulary, one a word, in device memory.
struct DeviceText {
    std::uint32_t length = 0;
    heron::Buffer characters;

    DeviceText(const heron::Device& device, std::span<const std::uint8_t> indices, const char* name);
};

// What the passes over a text leave for the host, and the cursor that the GPU advances by one batch a pass.
struct TextPasses {
    std::uint32_t sequences = 0;
    std::uint32_t rows = 0;    // sequences x context
    heron::Buffer cursor;      // [0]: batches taken
    heron::Buffer history;     // mapped; per batch, modulo kHistory: sum of losses, right predictions
    heron::Buffer one_hot;     // rows x vocabulary: the batch's characters
    heron::Buffer targets;     // rows
    heron::Buffer row_result;  // rows x 2: loss, and 1 where the prediction is right
    // For optimizers of layers: x and the gradient of y, rows x width each, of every y = x W^T, in the order
    // of the parameters. Empty where nothing is kept.
    struct Capture {
        heron::Buffer inputs, output_gradients;
    };
    std::vector<Capture> captures;

    TextPasses(const heron::Device& device, const TransformerShape& shape, std::uint32_t sequences,
               bool keep_captures = false);
    struct Result {
        float loss_sum;
        float right;
    };
    Result result(std::uint64_t batch_number) const {
        return static_cast<const Result*>(history.mapped())[batch_number % kHistory];
    }
};

// One batch of windows at random: losses, and the gradients of all parameters. The text must be longer than
// the context.
heron::Plan transformer_training_plan(const heron::Device& device, const Transformer& network,
                                      const DeviceText& text, const TextPasses& passes, std::uint32_t seed,
                                      const heron::PlanOptions& options);
// The next windows of the text in order: losses. Rows behind the text's end count nothing.
heron::Plan transformer_evaluation_plan(const heron::Device& device, const Transformer& network,
                                        const DeviceText& text, const TextPasses& passes,
                                        const heron::PlanOptions& options);

}  // namespace samples
