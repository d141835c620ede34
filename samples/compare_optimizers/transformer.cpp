// SPDX-License-Identifier: MIT
#include "transformer.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "support/kernel_operation.hpp"
#include "support/random.hpp"
#include "transformer_layout.hpp"

namespace samples {

using heron::DType;
using heron::Shape;

namespace {

constexpr std::uint32_t kExpansion = 4;  // hidden width of the second half of a block, in widths
constexpr std::uint64_t kAlignment = 256;

std::uint32_t narrow(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

std::uint64_t layout_bytes(const std::vector<TransformerEntry>& entries) {
    const TransformerEntry& last = entries.back();
    return last.byte_offset + last.shape.count() * sizeof(float);
}

}  // namespace

std::vector<TransformerEntry> transformer_layout(const TransformerShape& s) {
    const std::uint64_t width = s.width;
    const double residual = 1.0 / (2.0 * s.blocks);
    std::vector<TransformerEntry> entries;
    std::uint64_t offset = 0;
    const auto add = [&](std::string name, const Shape& shape, double variance, heron::Role role) {
        entries.push_back({std::move(name), shape, variance, role, offset});
        offset += divide_up(shape.count() * sizeof(float), kAlignment) * kAlignment;
    };
    const auto matrix = [&](std::string name, std::uint64_t outputs, std::uint64_t inputs, double gain,
                            heron::Role role = heron::Role::hidden_matrix) {
        add(std::move(name), Shape{outputs, inputs}, gain / static_cast<double>(inputs), role);
    };
    const auto norm = [&](std::string name) { add(std::move(name), Shape{width}, 0, heron::Role::vector); };
    // As tables, so that a row belongs to a character or a position.
    add("embed.weight", Shape{s.vocabulary, width}, 0.1, heron::Role::embedding);
    add("position.weight", Shape{s.context, width}, 0.1, heron::Role::embedding);
    for (std::uint32_t block = 0; block < s.blocks; ++block) {
        const std::string prefix = "blocks." + std::to_string(block) + ".";
        norm(prefix + "norm1.gain");
        matrix(prefix + "qkv.weight", 3 * width, width, 1);
        matrix(prefix + "out.weight", width, width, residual);
        norm(prefix + "norm2.gain");
        matrix(prefix + "up.weight", kExpansion * width, width, 1);
        matrix(prefix + "down.weight", width, kExpansion * width, residual);
    }
    norm("norm.gain");
    matrix("head.weight", s.vocabulary, width, 1, heron::Role::head);
    return entries;
}

Transformer::Transformer(const heron::Device& device, const TransformerShape& dimensions)
    : shape(dimensions) {
    const std::uint64_t bytes = layout_bytes(transformer_layout(shape));
    weights = device.create_buffer(bytes, heron::MemoryKind::device, "transformer");
    gradients = device.create_buffer(bytes, heron::MemoryKind::device, "transformer.gradient");
}

void Transformer::initialize(std::uint32_t seed) {
    UniformNumbers random(seed);
    const std::vector<TransformerEntry> entries = transformer_layout(shape);
    std::vector<float> values(layout_bytes(entries) / sizeof(float), 0.0f);
    for (const TransformerEntry& entry : entries) {
        const double bound = std::sqrt(3.0 * entry.variance);  // a uniform variable's variance is bound^2 / 3
        for (float& value : std::span(values).subspan(entry.byte_offset / sizeof(float), entry.shape.count()))
            value = entry.variance == 0 ? 1.0f : static_cast<float>(random.within(bound));
    }
    weights.write(std::as_bytes(std::span(values)));
}

std::vector<heron::Parameter> Transformer::parameters() const {
    std::vector<heron::Parameter> result;
    for (const TransformerEntry& entry : transformer_layout(shape)) {
        heron::Parameter parameter{.name = entry.name,
                                   .weight = weights.view(DType::f32, entry.shape, entry.byte_offset),
                                   .gradient = gradients.view(DType::f32, entry.shape, entry.byte_offset),
                                   .role = entry.role};
        if (entry.name.ends_with("qkv.weight"))
            parameter.view.row_splits = {shape.width, shape.width, shape.width};
        result.push_back(std::move(parameter));
    }
    return result;
}

std::vector<heron::Layer> Transformer::captured_layers(const TextPasses& passes) const {
    std::vector<heron::Layer> result;
    const std::vector<heron::Parameter> all = parameters();
    const std::vector<TransformerEntry> entries = transformer_layout(shape);
    for (std::size_t i = 0; i < entries.size() && result.size() < passes.captures.size(); ++i) {
        if (!is_linear(entries[i])) continue;
        const TextPasses::Capture& kept = passes.captures[result.size()];
        const auto rows_of = [&](const heron::Buffer& buffer, std::uint64_t width) {
            return buffer.view(DType::f32, Shape{passes.sequences, shape.context, width});
        };
        heron::Layer layer;
        layer.weight = all[i];
        layer.weight.view = {};  // q, k and v are one layer
        layer.inputs = rows_of(kept.inputs, entries[i].shape[1]);
        layer.output_gradients = rows_of(kept.output_gradients, entries[i].shape[0]);
        layer.loss = heron::LossReduction::mean_over_positions;
        result.push_back(std::move(layer));
    }
    return result;
}

std::uint64_t Transformer::parameter_count() const {
    std::uint64_t count = 0;
    for (const TransformerEntry& entry : transformer_layout(shape)) count += entry.shape.count();
    return count;
}

DeviceText::DeviceText(const heron::Device& device, std::span<const std::uint8_t> indices, const char* name)
    : length(narrow(indices.size())),
      characters(device.create_buffer(4 * indices.size(), heron::MemoryKind::device, name)) {
    const std::vector<std::uint32_t> words(indices.begin(), indices.end());
    characters.write(std::as_bytes(std::span(words)));
}

TextPasses::TextPasses(const heron::Device& device, const TransformerShape& shape,
                       std::uint32_t sequence_count, bool keep_captures)
    : sequences(sequence_count), rows(sequence_count * shape.context) {
    const auto create = [&](std::uint64_t elements, const char* name,
                            heron::MemoryKind kind = heron::MemoryKind::device) {
        return device.create_buffer(4 * elements, kind, name);
    };
    cursor = create(1, "cursor");
    const std::uint32_t zero = 0;
    cursor.write(std::as_bytes(std::span(&zero, 1)));
    history = create(2 * kHistory, "history", heron::MemoryKind::readback);
    one_hot = create(std::uint64_t{rows} * shape.vocabulary, "one_hot");
    targets = create(rows, "targets");
    row_result = create(2 * std::uint64_t{rows}, "row_result");
    if (!keep_captures) return;
    for (const TransformerEntry& entry : transformer_layout(shape))
        if (is_linear(entry))
            captures.push_back(
                {create(rows * entry.shape[1], "inputs"), create(rows * entry.shape[0], "output gradients")});
}

}  // namespace samples
