// SPDX-License-Identifier: MIT
// Builds the graphs of the passes from those of the perceptron and kernels of the sample's own (shaders/).
#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>
#include <vector>

#include "heron/spirv/texture_encode.hpp"
#include "heron/spirv/texture_grid.hpp"
#include "heron/spirv/texture_loss.hpp"
#include "heron/spirv/texture_pixels.hpp"
#include "shaders/texture.h"
#include "support/kernel_operation.hpp"
#include "texture.hpp"

namespace samples {

namespace gpu = heron::gpu;
using heron::Access;
using heron::DType;
using heron::Graph;
using heron::Shape;
using heron::Tensor;

namespace {

constexpr auto kEncode =
    heron::make_kernel<gpu::TextureEncodeJob>("texture_encode", heron::spirv::texture_encode);
constexpr auto kGrid = heron::make_kernel<gpu::TextureGridJob>("texture_grid", heron::spirv::texture_grid);
constexpr auto kLoss = heron::make_kernel<gpu::TextureLossJob>("texture_loss", heron::spirv::texture_loss);
constexpr auto kPixels =
    heron::make_kernel<gpu::TexturePixelsJob>("texture_pixels", heron::spirv::texture_pixels);

// Samples that an invocation of texture_grid looks at: more cost coarse levels parallelism, fewer fine ones
// the sums of lanes that have little to add.
constexpr std::uint32_t kCandidates = 16;
// Pixels that are drawn at once: their activations take 20 MB in the default network.
constexpr std::uint32_t kChunk = 32768;

std::uint32_t narrow(std::uint64_t value) { return static_cast<std::uint32_t>(value); }

Tensor words(Graph& graph, const std::string& name, const heron::Buffer& buffer) {
    return graph.external(name, buffer.view(DType::u32, Shape{buffer.bytes() / 4}));
}

Tensor floats(Graph& graph, const std::string& name, const heron::Buffer& buffer, const Shape& shape) {
    return graph.external(name, buffer.view(DType::f32, shape));
}

std::vector<gpu::TextureLevel> gpu_levels(const Texture& texture, const gpu::TextureSampling& sampling) {
    const auto share = [](std::uint32_t cells, std::uint32_t pixels) {
        return static_cast<float>(cells) / static_cast<float>(pixels);
    };
    std::vector<gpu::TextureLevel> levels;
    for (const GridLevel& level : texture.levels)
        levels.push_back({.cells_a_col = share(level.cols, sampling.width),
                          .cells_a_row = share(level.rows, sampling.height),
                          .cols = level.cols,
                          .rows = level.rows,
                          .first = narrow(level.first),
                          .column = narrow(levels.size()) * gpu::FEATURES});
    return levels;
}

// The grid's features of every sample: X_0.
void add_encode(Graph& graph, const Texture& texture, const gpu::TextureSampling& sampling,
                const Tensor& cursor, const Tensor& inputs) {
    const std::vector<gpu::TextureLevel> levels = gpu_levels(texture, sampling);
    const std::uint64_t level_groups = divide_up(sampling.samples, kThreads);
    add_operation(
        graph, kEncode,
        gpu::TextureEncodeJob{
            .sampling = sampling, .stride = narrow(inputs.cols()), .level_groups = narrow(level_groups)},
        {{SAMPLES_FIELD(TextureEncodeJob, cursor), cursor, Access::read},
         {SAMPLES_FIELD(TextureEncodeJob, grid),
          floats(graph, "grid", texture.grid, Shape{texture.grid_count()}), Access::read},
         {SAMPLES_FIELD(TextureEncodeJob, levels), graph.table(std::as_bytes(std::span(levels))),
          Access::read},
         {SAMPLES_FIELD(TextureEncodeJob, inputs), inputs, Access::write}},
        level_groups * levels.size(), kThreads,
        5 * inputs.span_bytes());  // four corners are read for what is written
}

struct Lanes {
    std::uint32_t across = 1, down = 1;
};

// Neighbouring invocations that share a vertex, so that each looks at about kCandidates samples.
Lanes vertex_lanes(const gpu::TextureLevel& level, const gpu::TextureSampling& sampling) {
    // Two cells, and the strata that they begin and end in.
    const double cols = std::min(2.0 * sampling.strata_cols / level.cols + 1, double(sampling.strata_cols));
    const double rows = std::min(2.0 * sampling.strata_rows / level.rows + 1, double(sampling.strata_rows));
    Lanes lanes;
    while (lanes.across * lanes.down < gpu::GRID_THREADS &&
           lanes.across * lanes.down * kCandidates < cols * rows) {
        if (cols / lanes.across > rows / lanes.down)
            lanes.across *= 2;
        else
            lanes.down *= 2;
    }
    return lanes;
}

gpu::TextureSampling stratified(const Texture& texture, const TexturePasses& passes, std::uint32_t seed) {
    const auto step = [](std::uint32_t extent, std::uint32_t strata) {
        return narrow(divide_up(std::uint64_t{extent} << 16, strata));
    };
    const TextureShape& shape = texture.shape;
    return {.width = shape.width,
            .height = shape.height,
            .strata_cols = passes.strata_cols,
            .strata_rows = passes.strata_rows,
            .col_step = step(shape.width, passes.strata_cols),
            .row_step = step(shape.height, passes.strata_rows),
            .seed = seed,
            .in_order = 0,
            .samples = passes.batch};
}

gpu::TextureSampling in_order(std::uint32_t width, std::uint32_t height, std::uint32_t samples) {
    return {.width = width,
            .height = height,
            .strata_cols = width,
            .strata_rows = height,
            .col_step = 1u << 16,
            .row_step = 1u << 16,
            .seed = 0,
            .in_order = 1,
            .samples = samples};
}

// From the gradient of X_0 to the grid's.
void add_grid_gradient(Graph& graph, const Texture& texture, const gpu::TextureSampling& sampling,
                       const Tensor& cursor, const Tensor& input_gradient) {
    const std::vector<gpu::TextureLevel> levels = gpu_levels(texture, sampling);
    for (std::size_t l = 0; l < levels.size(); ++l) {
        const Tensor gradient = graph.external("grid." + std::to_string(l + 1) + ".gradient",
                                               texture.level_view(texture.grid_gradient, l));
        const Lanes lanes = vertex_lanes(levels[l], sampling);
        add_operation(graph, kGrid,
                      gpu::TextureGridJob{.sampling = sampling,
                                          .level = levels[l],
                                          .stride = narrow(input_gradient.cols()),
                                          .lanes_across = lanes.across,
                                          .lanes_down = lanes.down},
                      {{SAMPLES_FIELD(TextureGridJob, cursor), cursor, Access::read},
                       {SAMPLES_FIELD(TextureGridJob, input_gradient), input_gradient, Access::read},
                       {SAMPLES_FIELD(TextureGridJob, grid_gradient), gradient, Access::write}},
                      divide_up(texture.levels[l].vertices() * lanes.across * lanes.down, gpu::GRID_THREADS),
                      gpu::GRID_THREADS,
                      // Every sample has four vertices.
                      gradient.span_bytes() + 4 * std::uint64_t{sampling.samples} * 4 * gpu::FEATURES);
    }
}

void add_loss(Graph& graph, const gpu::TextureSampling& sampling, const Tensor& cursor, const Tensor& pixels,
              const Tensor& colours, const Tensor& gradient, const Tensor& row_result) {
    add_operation(graph, kLoss, gpu::TextureLossJob{.sampling = sampling},
                  {{SAMPLES_FIELD(TextureLossJob, cursor), cursor, Access::read},
                   {SAMPLES_FIELD(TextureLossJob, pixels), pixels, Access::read},
                   {SAMPLES_FIELD(TextureLossJob, colours), colours, Access::read},
                   {SAMPLES_FIELD(TextureLossJob, gradient), gradient, Access::write},
                   {SAMPLES_FIELD(TextureLossJob, row_result), row_result, Access::write}},
                  divide_up(sampling.samples, kThreads), kThreads,
                  std::uint64_t{sampling.samples} * 4 * (1 + 2 * gpu::COLOURS + 2));
}

}  // namespace

TexturePasses::TexturePasses(const heron::Device& device, const Texture& texture, std::uint32_t samples) {
    const TextureShape& shape = texture.shape;
    const double square =
        std::sqrt(double(shape.width) * shape.height / samples);  // pixels of a stratum's side
    const auto strata = [&](std::uint32_t extent) {
        return std::clamp(static_cast<std::uint32_t>(std::lround(extent / square)), 1u, extent);
    };
    strata_cols = strata(shape.width);
    strata_rows = strata(shape.height);
    create_layers(device, texture.network, strata_cols * strata_rows, true);
    const auto create = [&](std::uint64_t elements, const char* name,
                            heron::MemoryKind kind = heron::MemoryKind::device) {
        return device.create_buffer(4 * elements, kind, name);
    };
    input_gradient = create(std::uint64_t{batch} * texture.network.layers.front().inputs, "input gradient");
    cursor = create(1, "cursor");
    const std::uint32_t zero = 0;
    cursor.write(std::as_bytes(std::span(&zero, 1)));
    history = create(2 * kHistory, "history", heron::MemoryKind::readback);
    row_result = create(2 * std::uint64_t{batch}, "row_result");
}

heron::Plan texture_training_plan(const heron::Device& device, const Texture& texture,
                                  const TexturePasses& passes, const heron::Buffer& pixels,
                                  std::uint32_t seed, const heron::PlanOptions& options) {
    const gpu::TextureSampling sampling = stratified(texture, passes, seed);
    Graph graph(device);
    const Tensor cursor = words(graph, "cursor", passes.cursor);

    const NetworkTensors tensors(graph, texture.network, passes);
    graph.set_stage("encode");
    add_encode(graph, texture, sampling, cursor, tensors.activations.front());
    graph.set_stage("layers");
    add_forward(graph, texture.network, tensors);
    graph.set_stage("loss");
    const Tensor row_result = floats(graph, "row_result", passes.row_result, Shape{passes.batch, 2});
    add_loss(graph, sampling, cursor, words(graph, "image", pixels), tensors.activations.back(),
             tensors.gradients.back(), row_result);
    add_backward(graph, texture.network, tensors);
    graph.set_stage("grid");
    add_grid_gradient(graph, texture, sampling, cursor, tensors.input_gradient);
    // Last, because it moves the cursor on.
    finish_batch(graph, row_result, floats(graph, "history", passes.history, Shape{kHistory, 2}), cursor);
    return graph.compile(options);
}

TexturePicture::TexturePicture(const heron::Device& device, const Texture& texture, std::uint32_t width,
                               std::uint32_t height, Order order)
    : width_(width), height_(height) {
    const std::uint32_t count = width * height;
    const std::uint32_t chunk = std::min(count, kChunk);
    chunks_ = narrow(divide_up(count, chunk));
    passes_.create_layers(device, texture.network, chunk, false);
    cursor_ = device.create_buffer(4, heron::MemoryKind::upload, "picture.cursor");
    pixels_ = device.create_buffer(4 * std::uint64_t{count}, heron::MemoryKind::readback, "picture");
    const gpu::TextureSampling sampling = in_order(width, height, chunk);
    Graph graph(device);
    const Tensor cursor = words(graph, "cursor", cursor_);
    const NetworkTensors tensors(graph, texture.network, passes_);
    add_encode(graph, texture, sampling, cursor, tensors.activations.front());
    add_forward(graph, texture.network, tensors);
    add_operation(
        graph, kPixels,
        gpu::TexturePixelsJob{.samples = chunk, .count = count, .blue_first = order == Order::blue_first},
        {{SAMPLES_FIELD(TexturePixelsJob, cursor), cursor, Access::read},
         {SAMPLES_FIELD(TexturePixelsJob, colours), tensors.activations.back(), Access::read},
         {SAMPLES_FIELD(TexturePixelsJob, pixels), words(graph, "picture", pixels_), Access::write}},
        divide_up(chunk, kThreads), kThreads, 16 * std::uint64_t{chunk});
    plan_ = graph.compile({.name = "picture"});
    plan_.allocate();
}

void TexturePicture::draw() {
    for (std::uint32_t chunk = 0; chunk < chunks_; ++chunk) {
        cursor_.write(std::as_bytes(std::span(&chunk, 1)));
        plan_.run();
    }
}

}  // namespace samples
