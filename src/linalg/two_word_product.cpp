// SPDX-License-Identifier: MIT
// The kernel is shaders/linalg/two_word_product.comp.
#include "linalg/two_word_product.hpp"

#include <cstddef>
#include <tuple>
#include <utility>
#include <vector>

#include "graph/element_bytes.hpp"
#include "heron/spirv/two_word_product.hpp"
#include "linalg/cpu_subgroup.hpp"
#include "linalg/integers.hpp"
#include "linalg/two_word_product.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::TwoWordProductJob) == 104);
constexpr KernelInfo kProduct =
    make_kernel<gpu::TwoWordProductJob>("two_word_product", spirv::two_word_product);

std::pair<float, float> words_of(double x) {
    const auto high = static_cast<float>(x);
    return {high, static_cast<float>(x - static_cast<double>(high))};
}

// Terms of one dispatch's sums: the loops of an invocation of a CPU driver run six times for each, at most
// (pieces.hpp).
constexpr std::uint64_t kMaxTerms = 8192;

// Those of k in [first, first + count).
void add_piece(Graph& graph, const Tensor& a, const Tensor& b, const Tensor& d, const TwoWordProduct& options,
               std::uint64_t k, std::uint64_t first, std::uint64_t count) {
    using Job = gpu::TwoWordProductJob;
    const Device& device = graph.device();
    const bool adds = options.beta != 0.0;
    // CPU drivers: one subgroup, which waits for no other at its barriers.
    const std::uint32_t threads = device.capabilities().cpu ? gpu::TWO_WORD_ACROSS : gpu::TWO_WORD_THREADS;
    const std::uint32_t tile_rows = threads / gpu::TWO_WORD_ACROSS * gpu::TWO_WORD_BLOCK,
                        tile_cols = gpu::TWO_WORD_ACROSS * gpu::TWO_WORD_BLOCK;
    Job job{};
    job.m = narrow(options.rounded ? d.rows() : d.rows() / 2);
    job.n = narrow(d.cols());
    job.k = narrow(count);
    job.k_first = narrow(first);
    job.k_all = narrow(k);
    job.flags = (options.active ? gpu::TWO_WORD_ACTIVE : 0) |
                (options.symmetric ? gpu::TWO_WORD_SYMMETRIC : 0) |
                (options.transpose_a ? gpu::TWO_WORD_TRANSPOSE_A : 0) |
                (options.transpose_b ? gpu::TWO_WORD_TRANSPOSE_B : 0) | (adds ? gpu::TWO_WORD_ADDS : 0) |
                (options.rounded ? gpu::TWO_WORD_ROUNDED : 0);
    job.groups = narrow(ceil_div(job.m, tile_rows) * ceil_div(job.n, tile_cols));
    job.d_stride = narrow(d.stride());
    job.d_item = narrow(d.rows() * d.stride());
    std::tie(job.alpha, job.alpha_low) = words_of(options.alpha);
    std::tie(job.beta, job.beta_low) = words_of(options.beta);
    std::tie(job.diagonal, job.diagonal_low) = words_of(options.diagonal);
    std::vector<Operand> operands{{offsetof(Job, d), d, options.active ? Access::read_write : Access::write}};
    if (a) operands.push_back({offsetof(Job, a), a, Access::read});
    if (b) operands.push_back({offsetof(Job, b), b, Access::read});
    if (adds) operands.push_back({offsetof(Job, c), options.c, Access::read});
    if (options.active) operands.push_back({offsetof(Job, active_items), options.active, Access::read});
    Operation operation = make_operation(kProduct, job, std::move(operands), d.batch() * job.groups);
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    if (load_lanes(device) == gpu::TWO_WORD_ACROSS)
        operation.constants.push_back({gpu::SPEC_SUBGROUP, gpu::TWO_WORD_ACROSS});
    operation.reason = "the only one for two words an element";
    operation.flops = kTwoWordFlops * (options.symmetric ? 0.5 : 1.0) * job.k * job.m * job.n *
                      static_cast<double>(d.batch());
    const double part = k == 0 ? 0.0 : static_cast<double>(count) / static_cast<double>(k);
    operation.bytes = part * element_bytes(a, b) + element_bytes(d, adds ? options.c : Tensor{});
    operation.guarded = options.guarded;
    graph.add(std::move(operation));
}

}  // namespace

void add_two_word_product(Graph& graph, const Tensor& a, const Tensor& b, const Tensor& d,
                          const TwoWordProduct& options) {
    const std::uint64_t k = !a ? 0 : options.transpose_a ? a.rows() / 2 : a.cols();
    Tensor sum = d;  // in two words, of the pieces so far
    if (options.rounded && k > kMaxTerms)
        sum = graph.temporary(DType::f32, Shape{d.batch(), 2 * d.rows(), d.cols()});
    TwoWordProduct piece = options;
    piece.rounded = options.rounded && k <= kMaxTerms;
    for (std::uint64_t first = 0; first + kMaxTerms < k; first += kMaxTerms) {
        add_piece(graph, a, b, sum, piece, k, first, kMaxTerms);
        piece.beta = 1.0;
        piece.diagonal = 0.0;
        piece.c = sum;
    }
    piece.rounded = options.rounded;
    const std::uint64_t rest = k == 0 ? 0 : (k - 1) % kMaxTerms + 1;
    add_piece(graph, a, b, d, piece, k, k - rest, rest);
}

}  // namespace heron
