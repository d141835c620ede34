// SPDX-License-Identifier: MIT
// First weights for Scion: the oracle of normal numbers.
#include <utility>

#include "heron/linalg/norms.hpp"
#include "heron/linalg/polar.hpp"
#include "heron/linalg/random.hpp"
#include "heron/linalg/reduce.hpp"
#include "optim/checks.hpp"
#include "optim/scion_oracle.hpp"

namespace heron {

void draw_scion_weight(Graph& graph, const Tensor& weight, const Parameter& parameter,
                       const ScionOptions& options, std::uint64_t seed, std::uint32_t tensor) {
    if (!(weight.shape == parameter.weight.shape))
        refuse("draw_scion_weight: the tensor has shape " + weight.shape.text() + ", parameter " +
               in_quotes(parameter.name) + " " + parameter.weight.shape.text());
    const ScionNorm norm = scion_norm(parameter, options);
    const std::vector<MatrixBlock> blocks = scion_blocks(parameter, options);
    if (blocks.empty()) return;
    const std::uint64_t cols = blocks.front().cols;
    const Tensor rows = weight.reshape(Shape{weight.shape.count() / cols, cols});
    const Tensor normal = graph.temporary(DType::f32, rows.shape);
    RandomOptions random{.seed = seed, .tensor = tensor, .control = false, .guarded = false};
    if (norm == ScionNorm::frobenius) {
        random.scale = 0.0f;
        return fill_random(graph, weight, random);
    }
    if (norm != ScionNorm::sign) fill_random(graph, normal, random);
    for (const MatrixBlock& block : blocks) {
        const Tensor to = rows.row_range(block.first / cols, block.rows);
        const Tensor from = normal.row_range(block.first / cols, block.rows);
        if (norm == ScionNorm::spectral) {
            PolarOptions accurate;
            accurate.coefficients = newton_schulz_coefficients("pe-basic", 12);
            accurate.norm_factor = 1.01;
            accurate.guarded = false;
            polar(graph, from, from, accurate);
            convert(graph, from, to, static_cast<float>(block.shape_factor), false);
        } else if (norm == ScionNorm::sign) {
            random.distribution = Distribution::signs;
            random.scale = static_cast<float>(block.shape_factor);
            random.stream = static_cast<std::uint32_t>(&block - blocks.data());
            fill_random(graph, to, random);
        } else {
            const ScionLines lines = scion_lines(block, norm, options);
            const NormalizeOptions normalize{
                .rule = NormRule::added,
                .eps = options.eps,
                .scale = static_cast<float>(block.shape_factor / lines.norm_factor),
                .guarded = false};
            (lines.columns ? normalize_columns : normalize_rows)(graph, from, to, normalize);
        }
    }
}

}  // namespace heron
