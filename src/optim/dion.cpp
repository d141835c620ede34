// SPDX-License-Identifier: MIT
// Dion's recipe, per block (matrix) of each parameter, of seven levels and those of the QR method:
//
//   M += G, with partial norms  |  Y = B Q  |  P = orth(Y)  |  R = B^T P  |  M -= (1 - mu) P R^T, and Q
//   |  U = P Q^T  |  W -= lr wd W + lr f U
//
// Momentum and weight update are Muon's kernels, Q is shaders/optim/dion_basis.comp.
#include "heron/optim/dion.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "heron/linalg.hpp"
#include "heron/spirv/dion_basis.hpp"
#include "optim/checks.hpp"
#include "optim/dion.h"
#include "optim/dion_orthonormalize.hpp"
#include "optim/draw_key.hpp"
#include "optim/matrix_update.hpp"
#include "optim/momentum_polar.hpp"
#include "optim/step_builder.hpp"

namespace heron {

namespace {

static_assert(sizeof(gpu::DionBasisJob) == 56);
constexpr KernelInfo kBasis = make_kernel<gpu::DionBasisJob>("dion_basis", spirv::dion_basis);

// A block and its factors: B = P R^T and more.
struct DionBlock {
    MatrixBlock block;
    bool transposed;  // B = M^T
    std::uint64_t p, q, r;
    std::uint64_t first;   // of its elements in the state Q
    std::uint32_t tensor;  // of its random numbers
};

std::uint64_t rank_of(const DionOptions& options, std::uint64_t shorter) {
    std::uint64_t rank = options.rank;
    if (rank == 0) {
        const double multiple = options.rank_multiple;
        const double wanted = options.rank_fraction * static_cast<double>(shorter);
        rank = static_cast<std::uint64_t>(multiple * std::ceil(wanted / multiple));
    }
    return std::min(rank, shorter);
}

std::vector<DionBlock> dion_blocks(const Parameter& parameter, const DionOptions& options) {
    std::vector<DionBlock> blocks;
    std::uint64_t first = 0;
    for (const MatrixBlock& block :
         matrix_blocks("Dion", parameter, options.shape_factor, options.conv_factor)) {
        const bool transposed = options.transpose && block.rows < block.cols;
        const std::uint64_t p = transposed ? block.cols : block.rows;
        const std::uint64_t q = transposed ? block.rows : block.cols;
        const std::uint64_t r = rank_of(options, std::min(p, q));
        blocks.push_back({block, transposed, p, q, r, first, draw_key(parameter.name, blocks.size())});
        first += q * r;
    }
    return blocks;
}

// rows x cols elements of a contiguous f32 tensor.
Tensor matrix_at(const Tensor& whole, std::uint64_t first, std::uint64_t rows, std::uint64_t cols) {
    Tensor part = whole;
    part.byte_offset += first * sizeof(float);
    part.shape = Shape{rows, cols};
    part.row_stride = 0;
    return part;
}

// The state <parameter>.q: a matrix for one block, a batch for equal ones, else one after the other.
Tensor basis_state(StepBuilder& step, const StepBuilder::Item& item, const std::vector<DionBlock>& blocks) {
    const DionBlock& front = blocks.front();
    const bool equal = std::all_of(blocks.begin(), blocks.end(), [&](const DionBlock& other) {
        return other.q == front.q && other.r == front.r;
    });
    Shape shape{blocks.back().first + blocks.back().q * blocks.back().r};
    if (blocks.size() == 1)
        shape = Shape{front.q, front.r};
    else if (equal)
        shape = Shape{blocks.size(), front.q, front.r};
    return step.state(item, "q", DType::f32, shape);
}

GemmOptions transposed_a(bool transposed) {
    return {.transpose_a = transposed ? Transpose::yes : Transpose::no};
}

void add_basis(StepBuilder& step, const DionBlock& block, const Tensor& product, const Tensor& basis,
               const Tensor& factor, const Tensor& partials, double eps) {
    const Capabilities& capabilities = step.device().capabilities();
    const std::uint32_t threads = threads_of(capabilities, capabilities.cpu ? 8 : 256);
    // Sixteen columns side by side are a cache line. On CPU drivers one invocation a column, as long as the
    // rounds of lavapipe's loops allow it.
    const std::uint32_t lanes = capabilities.cpu ? (block.q > 32768 ? threads : 1) : threads / 16;
    gpu::DionBasisJob job{};
    job.partial_count = static_cast<std::uint32_t>(partials.shape[0]);
    job.rows = static_cast<std::uint32_t>(block.q);
    job.cols = static_cast<std::uint32_t>(block.r);
    job.eps = static_cast<float>(eps);
    job.tensor = block.tensor;
    const std::uint64_t columns = threads / lanes;
    Operation operation = make_operation(kBasis, job,
                                         {{offsetof(gpu::DionBasisJob, product), product, Access::read},
                                          {offsetof(gpu::DionBasisJob, basis), basis, Access::read_write},
                                          {offsetof(gpu::DionBasisJob, factor), factor, Access::write},
                                          {offsetof(gpu::DionBasisJob, partials), partials, Access::read}},
                                         (block.r + columns - 1) / columns);
    operation.constants = {{gpu::SPEC_THREADS, threads}, {gpu::SPEC_LANES, lanes}};
    operation.reason = capabilities.cpu ? "CPU driver: a column an invocation" : "16 columns a workgroup";
    const double elements = static_cast<double>(block.q * block.r);
    operation.flops = 3.0 * elements;
    operation.bytes = 16.0 * elements;
    step.graph().add(std::move(operation));
}

void add_block(StepBuilder& step, const StepBuilder::Item& item, const Tensor& momentum, const Tensor& basis,
               const DionBlock& block, const DionOptions& options) {
    Graph& graph = step.graph();
    graph.set_stage("dion momentum");
    const Tensor partials = momentum_norm(step, item, momentum, block.block);
    const Tensor m = matrix_at(momentum, block.block.first, block.block.rows, block.block.cols);
    const Tensor q = matrix_at(basis, block.first, block.q, block.r);

    graph.set_stage("dion power iteration");
    Tensor right = q, left;
    for (std::uint32_t i = 0; i < options.power_iterations; ++i) {
        // Columns of any length give the same P; these are in range.
        if (i > 0) normalize_columns(graph, right, right, {.eps = 0.0f});
        const Tensor y = graph.temporary(DType::f32, Shape{block.p, block.r});
        gemm(graph, m, right, {}, y, transposed_a(block.transposed));
        left = dion_orthonormalize(graph, y, options, block.tensor);
        right = graph.temporary(DType::f32, Shape{block.q, block.r});
        gemm(graph, m, left, {}, right, transposed_a(!block.transposed));
    }

    graph.set_stage("dion error feedback");
    GemmOptions feedback{
        .transpose_b = Transpose::yes, .alpha = static_cast<float>(options.momentum - 1.0), .beta = 1.0f};
    gemm(graph, block.transposed ? right : left, block.transposed ? left : right, m, m, feedback);
    const Tensor factor = graph.temporary(DType::f32, Shape{block.q, block.r});
    add_basis(step, block, right, q, factor, partials, options.eps);

    graph.set_stage("dion update");
    const Tensor update = graph.temporary(DType::f32, Shape{block.block.rows, block.block.cols});
    gemm(graph, block.transposed ? factor : left, block.transposed ? left : factor, {}, update,
         {.transpose_b = Transpose::yes});
    add_matrix_update(step, item, block.block, update, DecayForm::decoupled);
}

}  // namespace

DionOptions DionOptions::simple(std::uint32_t rank) {
    DionOptions options;
    options.rank = rank;
    options.transpose = false;
    return options;
}

Dion::Dion(const Device& device, const DionOptions& options) : Optimizer(device, "dion"), options_(options) {
    const DionOptions& o = options;
    check_rate_and_decay("Dion", o.lr, o.weight_decay);
    check_option("Dion", "momentum", o.momentum, o.momentum >= 0 && o.momentum <= 1, "in [0, 1]");
    check_option("Dion", "rank_fraction", o.rank_fraction, o.rank_fraction > 0 && o.rank_fraction <= 1,
                 "in (0, 1]");
    check_option("Dion", "rank_multiple", o.rank_multiple, o.rank_multiple >= 1, "at least 1");
    check_option("Dion", "power_iterations", o.power_iterations,
                 o.power_iterations >= 1 && o.power_iterations <= 64, "in [1, 64]");
    check_enum("Dion", "qr", o.qr, DionQr::rcqr);
    check_option("Dion", "oversample", o.oversample, o.oversample >= 1 && o.oversample <= 16, "in [1, 16]");
    check_option("Dion", "eps", static_cast<float>(o.eps), o.eps >= 0, "finite and not below 0");
    check_enum("Dion", "shape_factor", o.shape_factor, ShapeFactor::spectral);
    check_enum("Dion", "conv_factor", o.conv_factor, ConvFactor::kernel);
}

void Dion::check(const Parameter& parameter) const {
    for (const DionBlock& block : dion_blocks(parameter, options_))
        if (options_.qr == DionQr::householder && block.p > kMostRowsOfDionHouseholder)
            refuse("Dion: parameter " + in_quotes(parameter.name) + " has a matrix of " +
                   std::to_string(block.block.rows) + " x " + std::to_string(block.block.cols) +
                   "; Householder's method takes at most " + std::to_string(kMostRowsOfDionHouseholder) +
                   " rows, use DionQr::automatic");
}

std::string Dion::options_text() const {
    return "dion momentum=" + number_text(options_.momentum) +
           " weight_decay=" + number_text(options_.weight_decay) + " rank=" + number_text(options_.rank) +
           " rank_fraction=" + number_text(options_.rank_fraction) +
           " rank_multiple=" + number_text(options_.rank_multiple) +
           " power_iterations=" + number_text(options_.power_iterations) +
           " qr=" + std::to_string(static_cast<int>(options_.qr)) +
           " oversample=" + number_text(options_.oversample) + " eps=" + number_text(options_.eps) +
           " transpose=" + std::to_string(options_.transpose) +
           " shape_factor=" + std::to_string(static_cast<int>(options_.shape_factor)) +
           " conv_factor=" + std::to_string(static_cast<int>(options_.conv_factor));
}

// gpu::MuonHyper: M <- 1 M + 1 G; the decay of the momentum is the error feedback's.
std::vector<HyperValue> Dion::hyper() const {
    return {HyperValue::lr(options_.lr, options_.schedule), HyperValue::constant(1.0),
            HyperValue::constant(1.0), HyperValue::constant(options_.weight_decay)};
}

void Dion::build(StepBuilder& step) const {
    for (const StepBuilder::Item& item : step.items()) {
        const Tensor momentum = step.state(item, "momentum", DType::f32, item.weight.shape);
        const std::vector<DionBlock> blocks = dion_blocks(*item.parameter, options_);
        if (blocks.empty()) continue;
        const Tensor basis = basis_state(step, item, blocks);

        step.graph().set_phase(Phase::initialize);
        step.graph().set_stage("initialize");
        for (const DionBlock& block : blocks)
            fill_random(step.graph(), matrix_at(basis, block.first, block.q, block.r),
                        {.tensor = block.tensor, .stream = gpu::DION_STREAM_START, .guarded = false});
        step.graph().set_phase(Phase::step);
        for (const DionBlock& block : blocks) add_block(step, item, momentum, basis, block, options_);
    }
}

}  // namespace heron
