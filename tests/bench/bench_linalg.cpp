// SPDX-License-Identifier: MIT
// How fast are the primitives of heron/linalg.hpp, and how far are they from a CPU's best library?
//
// One line of JSON a case: primitive, rows, cols, batch, the FLOPs that its textbook algorithm needs
// (LAPACK's counts; none for what only moves memory), and the bytes that ours moves. The peer of
// factorisations and products is OpenBLAS (its LAPACK; matrices of a batch one after the other, the copy of
// the input that it overwrites included), a yardstick for CPU drivers only; the peer of the others is a copy
// of as many bytes on the same device.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include "bench.hpp"
#include "blas.hpp"
#include "copy.hpp"
#include "heron/heron.hpp"
#include "linalg_peers.hpp"
#include "support/reference.hpp"

namespace {

using namespace heron;
using namespace heron::bench;

struct Size {
    std::uint64_t batch, rows, cols;
};

enum class Input { random, spd, lower };

// What a primitive is given: its input, and a maker of results.
struct Request {
    Graph& graph;
    Tensor in;
    Size size;
    mutable int made = 0;  // tensors, for their names

    Tensor state(DType dtype, const Shape& shape) const {
        return graph.state("made " + std::to_string(made++), dtype, shape);
    }
    Tensor make(std::uint64_t rows, std::uint64_t cols, DType dtype = DType::f32) const {
        return state(dtype, {size.batch, rows, cols});
    }
    Tensor list(std::uint64_t count, DType dtype = DType::f32) const {
        return state(dtype, {size.batch, count});
    }
    // Before the step: for what is done in place, and for further inputs.
    Tensor copy() const {
        const Tensor result = make(size.rows, size.cols);
        graph.set_phase(Phase::initialize);
        convert(graph, in, result);
        graph.set_phase(Phase::step);
        return result;
    }
    Tensor random(std::uint64_t rows, std::uint64_t cols, Distribution how = Distribution::normal) const {
        return filled(rows == 1 ? list(cols) : make(rows, cols), how);
    }
    Tensor filled(const Tensor& result, Distribution how = Distribution::normal) const {
        graph.set_phase(Phase::initialize);
        fill_random(graph, result, {.distribution = how, .control = false, .scale = 0.01f});
        graph.set_phase(Phase::step);
        return result;
    }
    // For what takes one matrix: the rows of all.
    std::uint64_t all_rows() const { return size.batch * size.rows; }
    Tensor one_matrix() const { return filled(state(DType::f32, {all_rows(), size.cols})); }
    Tensor vector(std::uint64_t count) const { return filled(state(DType::f32, {count})); }

    LdltFactor ldlt_factor() const {
        return {.l = make(size.rows, size.cols),
                .d = make(size.rows, 2),
                .permutation = list(size.rows, DType::u32)};
    }
    // 4 bits an element.
    QuantizedMatrix quantized() const {
        const QuantizeOptions how{};
        const std::uint64_t words = quantized_words(size.cols, how.bits),
                            blocks = (size.cols + how.block - 1) / how.block;
        return {.codes = state(DType::u32, {all_rows(), words}),
                .absmax = state(DType::f32, {all_rows(), blocks})};
    }
    // Of as many gradients as there are rows; known before the step.
    FisherInverse fisher() const {
        const FisherInverse result = new_fisher();
        const Tensor gradients = one_matrix();
        graph.set_phase(Phase::initialize);
        fisher_inverse(graph, gradients, result);
        graph.set_phase(Phase::step);
        return result;
    }
    FisherInverse new_fisher() const {
        return {.rows = state(DType::f32, {all_rows(), size.cols}),
                .gradients = static_cast<std::uint32_t>(all_rows())};
    }
    // Nearly all weights: words of random bits.
    Tensor kept() const { return filled(state(DType::u32, {size.cols}), Distribution::bits); }

    // Rows of a window of gradients that is in use.
    Window window() const {
        const Window result{
            .rows = in, .gram = make(size.rows, size.rows), .exponents = list(size.rows, DType::u32)};
        graph.set_phase(Phase::initialize);
        window_gram(graph, result);
        graph.set_phase(Phase::step);
        return result;
    }
    // What a step of M-FAC does with its window: a new row, and the solve for it. Without refinement, whose
    // passes over the rows would count where they have nothing to do. (So do the bytes of a factorization
    // where its factor is kept.) The damping is of the size of a row's square: it sets the scale of the small
    // system and is never raised, so that a step changes one row of it.
    void window_step(DType dtype, bool keeps) const {
        Window window{.rows = make(size.rows, size.cols, dtype),
                      .gram = make(size.rows, size.rows),
                      .exponents = list(size.rows, DType::u32)};
        graph.set_phase(Phase::initialize);
        convert(graph, in, window.rows);
        window_gram(graph, window);
        graph.set_phase(Phase::step);
        const Tensor gradient = list(size.cols), newest = list(size.rows),
                     counter = graph.state("counter", DType::u32, {1});
        fill_random(graph, gradient, {.control = false, .counter = counter, .scale = 0.01f});
        advance_counter(graph, counter);
        window_push(graph, window, gradient, graph.state("slot", DType::u32, {1}), {.newest = newest});
        WoodburyOptions options{.lambda = 0.1f * static_cast<float>(size.cols),
                                .refinement = Refinement::never};
        if (keeps)
            options.kept = {.factor = make(size.rows, size.rows),
                            .system = make(size.rows, size.rows),
                            .counts = list(WindowFactor::kCounts, DType::u32)};
        woodbury_range(graph, window, newest, list(size.cols), options);
    }
};

// A peer works on a copy of one matrix (linalg_peers.hpp).
struct Peer {
    const char* name;    // null: a copy on the device
    const char* symbol;  // what must be there
    void (*run)(float* a, int rows, int cols);
};

struct Primitive {
    const char* name;
    Input input;
    std::vector<Size> sizes;
    double (*flops)(double rows, double cols);  // of one matrix
    void (*add)(const Request& request);
    Peer peer;
};

constexpr Peer kCopy{nullptr, nullptr, nullptr};

double no_flops(double, double) { return 0; }

const std::vector<Size> kSquares{{32, 64, 64}, {8, 128, 128}, {1, 256, 256}, {1, 1024, 1024}};
const std::vector<Size> kSmallSquares{{32, 64, 64}, {8, 128, 128}, {1, 256, 256}};
const std::vector<Size> kTall{{8, 256, 64}, {1, 1024, 256}};
const std::vector<Size> kLong{{1, 2048, 2048}};
const std::vector<Size> kWindow{{1, 32, 131072}};  // gradients, elements; so the next two
// Most of the work is passes over the rows; of the next two it is the small system.
const std::vector<Size> kLongWindow{{1, 256, 131072}, {1, 256, 8192}, {1, 1024, 8192}};
const std::vector<Size> kFisher{{1, 64, 131072}};
const std::vector<Size> kPolar{{32, 64, 64}, {1, 256, 1024}, {1, 512, 512}};

double window_step_flops(double s, double d) { return 4 * s * d + 2 * s * s * s / 3; }
double kept_window_step_flops(double s, double d) { return 4 * s * d + 14 * s * s; }
double newton_schulz_flops(double m, double n) { return 5 * (4 * m * m * n + 2 * m * m * m); }

const std::vector<Primitive>& primitives() {
    static const std::vector<Primitive> list{
        {"polar",
         Input::random,
         kPolar,
         newton_schulz_flops,
         [](const Request& r) { polar(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS sgemm", "cblas_sgemm", newton_schulz}},
        {"polar_f16",
         Input::random,
         kPolar,
         newton_schulz_flops,
         [](const Request& r) {
             polar(r.graph, r.in, r.make(r.size.rows, r.size.cols), {.precision = DType::f16});
         },
         {"OpenBLAS sgemm", "cblas_sgemm", newton_schulz}},
        {"polar_f16_two_words",
         Input::random,
         kPolar,
         newton_schulz_flops,
         [](const Request& r) {
             polar(r.graph, r.in, r.make(r.size.rows, r.size.cols), {.precision = DType::f16, .words = 2});
         },
         {"OpenBLAS sgemm", "cblas_sgemm", newton_schulz}},
        {"polar_two_words",
         Input::random,
         kPolar,
         newton_schulz_flops,
         [](const Request& r) { polar(r.graph, r.in, r.make(r.size.rows, r.size.cols), {.words = 2}); },
         {"OpenBLAS sgemm", "cblas_sgemm", newton_schulz}},
        {"polar_iterate",
         Input::random,
         kPolar,
         newton_schulz_flops,
         [](const Request& r) { polar_iterate(r.graph, r.random(r.size.rows, r.size.cols), {}); },
         {"OpenBLAS sgemm", "cblas_sgemm", newton_schulz}},
        {"cholesky",
         Input::spd,
         kSquares,
         [](double n, double) { return n * n * n / 3; },
         [](const Request& r) { cholesky(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS spotrf", "spotrf_", spotrf}},
        {"log_determinant", Input::lower, kSquares, no_flops,
         [](const Request& r) { log_determinant(r.graph, r.in, r.list(1)); }, kCopy},
        {"spd_inverse",
         Input::spd,
         kSquares,
         [](double n, double) { return n * n * n; },
         [](const Request& r) { spd_inverse(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS spotrf, spotri", "spotri_", spd_inverse_of_blas}},
        {"spd_solve",
         Input::spd,
         kSmallSquares,
         [](double n, double) { return n * n * n / 3 + 2 * n * n * n; },
         [](const Request& r) {
             spd_solve(r.graph, r.in, r.random(r.size.rows, r.size.cols), r.make(r.size.rows, r.size.cols));
         },
         {"OpenBLAS spotrf, spotrs", "spotrs_", spotrs}},
        {"cholesky_solve",
         Input::lower,
         kSmallSquares,
         [](double n, double) { return 2 * n * n * n; },
         [](const Request& r) {
             cholesky_solve(r.graph, r.in, r.random(r.size.rows, r.size.cols),
                            r.make(r.size.rows, r.size.cols));
         },
         {"OpenBLAS spotrs", "spotrs_", spotrs_of_factor}},
        {"triangular_solve",
         Input::lower,
         kSquares,
         [](double n, double) { return n * n * n; },
         [](const Request& r) {
             triangular_solve(r.graph, r.in, r.make(r.size.rows, r.size.cols),
                              r.make(r.size.rows, r.size.cols));
         },
         {"OpenBLAS strsm", "cblas_strsm", strsm}},
        {"triangular_inverse",
         Input::lower,
         kSquares,
         [](double n, double) { return n * n * n / 3; },
         [](const Request& r) { triangular_inverse(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS strtri", "strtri_", strtri}},
        {"triangular_product",
         Input::lower,
         kSquares,
         [](double n, double) { return n * n * n; },
         [](const Request& r) {
             triangular_product(r.graph, r.in, r.random(r.size.rows, r.size.cols),
                                r.make(r.size.rows, r.size.cols));
         },
         {"OpenBLAS strmm", "cblas_strmm", strmm}},
        {"two_sided_product",
         Input::spd,
         kSquares,
         [](double n, double) { return 4 * n * n * n; },
         [](const Request& r) {
             two_sided_product(r.graph, r.in, r.random(r.size.rows, r.size.cols), r.in, {},
                               r.make(r.size.rows, r.size.cols));
         },
         {"OpenBLAS sgemm", "cblas_sgemm", two_products}},
        {"ldlt",
         Input::spd,
         {{32, 64, 64}, {8, 128, 128}, {1, 256, 256}, {1, 2048, 2048}},
         [](double n, double) { return n * n * n / 3; },
         [](const Request& r) { ldlt(r.graph, r.in, r.ldlt_factor()); },
         {"OpenBLAS ssytrf", "ssytrf_", ssytrf}},
        {"ldlt_solve",
         Input::spd,
         kSmallSquares,
         [](double n, double) { return 2 * n * n * n; },
         [](const Request& r) {
             const LdltFactor factor = r.ldlt_factor();
             r.graph.set_phase(Phase::initialize);
             ldlt(r.graph, r.in, factor);
             r.graph.set_phase(Phase::step);
             ldlt_solve(r.graph, factor, r.random(r.size.rows, r.size.cols),
                        r.make(r.size.rows, r.size.cols));
         },
         {"OpenBLAS ssytrs", "ssytrs_", ssytrs_of_factor}},
        {"qr",
         Input::random,
         kTall,
         [](double m, double n) { return 4 * m * n * n - 4 * n * n * n / 3; },
         [](const Request& r) {
             qr(r.graph, r.in, r.make(r.size.rows, r.size.cols), r.make(r.size.cols, r.size.cols));
         },
         {"OpenBLAS sgeqrf, sorgqr", "sorgqr_", sgeqrf}},
        {"eigh",
         Input::spd,
         kSquares,
         [](double n, double) { return 9 * n * n * n; },
         [](const Request& r) { eigh(r.graph, r.in, r.list(r.size.rows), r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS ssyevd", "ssyevd_", ssyevd}},
        {"svd",
         Input::random,
         {{8, 64, 64}, {1, 256, 128}, {1, 1024, 1024}},
         [](double m, double n) { return 14 * m * n * n + 8 * n * n * n; },
         [](const Request& r) {
             const std::uint64_t k = std::min(r.size.rows, r.size.cols);
             svd(r.graph, r.in, r.make(r.size.rows, k), r.list(k), r.make(r.size.cols, k));
         },
         {"OpenBLAS sgesdd", "sgesdd_", sgesdd}},
        {"truncated_svd",
         Input::random,
         {{1, 512, 512}, {1, 2048, 256}},
         [](double m, double n) { return 12 * m * n * std::ceil(n / 16); },
         [](const Request& r) {
             const std::uint64_t rank = (r.size.cols + 15) / 16;
             truncated_svd(r.graph, r.in, r.make(r.size.rows, rank), r.list(rank), r.make(r.size.cols, rank),
                           {.basis = r.random(r.size.rows, rank)});
         },
         {"OpenBLAS sgesdd", "sgesdd_", sgesdd}},
        {"polar_by_svd",
         Input::random,
         {{8, 64, 64}, {1, 256, 128}},
         [](double m, double n) { return 16 * m * n * n + 8 * n * n * n; },
         [](const Request& r) { polar_by_svd(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS sgesdd, sgemm", "sgesdd_", polar_by_sgesdd}},
        {"power_iteration",
         Input::spd,
         kSquares,
         [](double n, double) { return 4 * 2 * n * n; },
         [](const Request& r) { power_iteration(r.graph, r.in, r.random(1, r.size.cols), r.list(1)); },
         {"OpenBLAS ssymv", "cblas_ssymv", four_ssymv}},
        {"condition_estimate", Input::spd, kSquares, [](double n, double) { return 16 * 2 * n * n; },
         [](const Request& r) { condition_estimate(r.graph, r.in, r.in, r.list(1)); }, kCopy},
        {"inverse_root",
         Input::spd,
         kSmallSquares,
         [](double n, double) { return 9 * n * n * n + 2 * n * n * n; },
         [](const Request& r) { inverse_root(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS ssyevd, sgemm", "ssyevd_", power_by_ssyevd}},
        {"inverse_root_two_words",
         Input::spd,
         kSmallSquares,
         [](double n, double) { return 9 * n * n * n + 2 * n * n * n; },
         [](const Request& r) {
             inverse_root(r.graph, r.in, r.make(r.size.rows, r.size.cols), {.words = 2});
         },
         {"OpenBLAS ssyevd, sgemm", "ssyevd_", power_by_ssyevd}},
        {"matrix_power",
         Input::spd,
         kSmallSquares,
         [](double n, double) { return 9 * n * n * n + 2 * n * n * n; },
         [](const Request& r) { matrix_power(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         {"OpenBLAS ssyevd, sgemm", "ssyevd_", power_by_ssyevd}},
        {"accumulate_factor",
         Input::random,
         {{1, 4096, 128}, {1, 4096, 512}},
         [](double m, double n) { return m * n * n; },
         [](const Request& r) { accumulate_factor(r.graph, r.in, r.make(r.size.cols, r.size.cols)); },
         {"OpenBLAS sgemm", "cblas_sgemm",
          [](float* a, int m, int n) {
              std::vector<float> gram(static_cast<std::size_t>(n) * n);
              find<Sgemm>("cblas_sgemm")(101, 112, 111, n, n, m, 1.0f, a, n, a, n, 0.0f, gram.data(), n);
          }}},
        // Means of 16 positions, and a bias.
        {"accumulate_factor_mean",
         Input::random,
         {{1, 16384, 255}},
         [](double m, double n) { return m * n + m / 16 * (n + 1) * (n + 1); },
         [](const Request& r) {
             accumulate_factor(r.graph, r.in, r.make(r.size.cols + 1, r.size.cols + 1),
                               {.bias = true, .sharing = WeightSharing::mean, .positions = 16});
         },
         kCopy},
        // Images as the batch, channels as rows, lines of 32 pixels; patches of 3 x 3.
        {"accumulate_factor_patches",
         Input::random,
         {{8, 32, 1024}},
         [](double channels, double pixels) { return pixels * 81 * channels * channels; },
         [](const Request& r) {
             const Size& s = r.size;
             accumulate_factor(r.graph, r.in.reshape({s.batch, s.rows, s.cols / 32, 32}),
                               r.state(DType::f32, {9 * s.rows, 9 * s.rows}),
                               {.patches = ConvPatches{.kernel = {3, 3}, .padding = {1, 1}}});
         },
         kCopy},
        {"sherman_morrison",
         Input::spd,
         kSquares,
         [](double n, double) { return 4 * n * n; },
         [](const Request& r) { sherman_morrison(r.graph, r.copy(), r.random(1, r.size.cols)); },
         {"OpenBLAS ssymv, ssyr", "cblas_ssyr", ssyr_of_ssymv}},
        {"cholesky_update", Input::lower, kSquares, [](double n, double) { return 3 * n * n; },
         [](const Request& r) { cholesky_update(r.graph, r.copy(), r.random(1, r.size.cols)); }, kCopy},
        {"cholesky_downdate", Input::lower, kSquares, [](double n, double) { return 3 * n * n; },
         [](const Request& r) { cholesky_downdate(r.graph, r.copy(), r.random(1, r.size.cols)); }, kCopy},
        {"cholesky_replace_row", Input::lower, kSquares, [](double n, double) { return 7 * n * n; },
         [](const Request& r) {  // row 0, whose diagonal element such a column keeps positive definite
             cholesky_replace_row(r.graph, r.copy(), r.list(1, DType::u32),
                                  r.random(1, r.size.cols, Distribution::exponential));
         },
         kCopy},
        {"update_inverse", Input::spd, kSquares, [](double n, double) { return 3 * n * n * 8 + 2 * n * 64; },
         [](const Request& r) { update_inverse(r.graph, r.copy(), r.random(r.size.rows, 8)); }, kCopy},
        {"window_gram", Input::random, kWindow, [](double s, double d) { return s * s * d; },
         [](const Request& r) { window_gram(r.graph, r.window()); }, kCopy},
        {"window_push", Input::random, kWindow, [](double s, double d) { return 2 * s * d; },
         [](const Request& r) {
             Window window = r.window();
             window.rows = r.copy();
             window_push(r.graph, window, r.random(1, r.size.cols), r.graph.state("slot", DType::u32, {1}));
         },
         kCopy},
        {"window_step", Input::random, kLongWindow, window_step_flops,
         [](const Request& r) { r.window_step(DType::f32, false); }, kCopy},
        {"window_step_bf16", Input::random, kLongWindow, window_step_flops,
         [](const Request& r) { r.window_step(DType::bf16, false); }, kCopy},
        {"window_step_kept", Input::random, kLongWindow, kept_window_step_flops,
         [](const Request& r) { r.window_step(DType::f32, true); }, kCopy},
        {"window_step_kept_bf16", Input::random, kLongWindow, kept_window_step_flops,
         [](const Request& r) { r.window_step(DType::bf16, true); }, kCopy},
        {"woodbury_range", Input::random, kWindow,
         [](double s, double d) { return 2 * s * d + 2 * s * s * s / 3; },
         [](const Request& r) {
             woodbury_range(r.graph, r.window(), r.random(1, r.size.rows), r.list(r.size.cols));
         },
         kCopy},
        {"woodbury_solve", Input::random, kWindow,
         [](double s, double d) { return 4 * s * d + 2 * s * s * s / 3; },
         [](const Request& r) {
             woodbury_solve(r.graph, r.window(), r.random(1, r.size.cols), r.list(r.size.cols));
         },
         kCopy},
        {"woodbury_diagonal",
         Input::random,
         {{1, 65536, 32}},
         [](double d, double s) { return s * s * d + 4 * s * d; },
         [](const Request& r) {
             woodbury_diagonal(r.graph, r.random(1, r.size.rows, Distribution::exponential), r.in, {},
                               r.random(1, r.size.rows), r.list(r.size.rows));
         },
         kCopy},
        {"woodbury_diagonal_range",
         Input::random,
         {{1, 65536, 32}},
         [](double d, double s) { return s * s * d + 2 * s * d; },
         [](const Request& r) {
             woodbury_diagonal_range(r.graph, r.random(1, r.size.rows, Distribution::exponential), r.in, {},
                                     r.random(1, r.size.cols), r.list(r.size.rows));
         },
         kCopy},
        {"fisher_inverse", Input::random, kFisher,
         [](double m, double d) { return 2 * d * m * m + d / 128 * m * m * m / 3; },
         [](const Request& r) { fisher_inverse(r.graph, r.one_matrix(), r.new_fisher()); }, kCopy},
        {"fisher_product", Input::random, kFisher, [](double m, double d) { return 4 * m * d; },
         [](const Request& r) {
             fisher_product(r.graph, r.fisher(), r.vector(r.size.cols), r.vector(r.size.cols));
         },
         kCopy},
        {"fisher_diagonal", Input::random, kFisher, [](double m, double d) { return 2 * m * d; },
         [](const Request& r) { fisher_diagonal(r.graph, r.fisher(), r.vector(r.size.cols)); }, kCopy},
        {"fisher_elements", Input::random, kFisher, [](double m, double d) { return 2 * m * d; },
         [](const Request& r) {  // as many as there are columns, all the first: indices nobody has written
             fisher_elements(r.graph, r.fisher(), r.state(DType::u32, {r.size.cols, 2}),
                             r.vector(r.size.cols));
         },
         kCopy},
        {"pruning_scores", Input::random, kFisher, [](double m, double d) { return 2 * m * d; },
         [](const Request& r) {
             pruning_scores(r.graph, r.fisher(), r.vector(r.size.cols), r.kept(), r.vector(r.size.cols));
         },
         kCopy},
        {"prune_smallest",
         Input::random,
         {{1, 1, 65536}},
         no_flops,
         [](const Request& r) {
             prune_smallest(r.graph, r.vector(r.size.cols), r.kept(), (r.size.cols + 15) / 16);
         },
         kCopy},
        {"prune_weights", Input::random, kFisher, [](double m, double d) { return 6 * m * d; },
         [](const Request& r) { prune_weights(r.graph, r.fisher(), r.kept(), r.vector(r.size.cols)); },
         kCopy},
        {"sum", Input::random, kLong, no_flops, [](const Request& r) { sum(r.graph, r.in, r.list(1)); },
         kCopy},
        {"frobenius_norm", Input::random, kLong, no_flops,
         [](const Request& r) { frobenius_norm(r.graph, r.in, r.list(1)); }, kCopy},
        {"count_nonfinite", Input::random, kLong, no_flops,
         [](const Request& r) { count_nonfinite(r.graph, r.in, r.list(1, DType::u32)); }, kCopy},
        {"row_norms", Input::random, kLong, no_flops,
         [](const Request& r) { row_norms(r.graph, r.in, r.list(r.size.rows)); }, kCopy},
        {"column_norms", Input::random, kLong, no_flops,
         [](const Request& r) { column_norms(r.graph, r.in, r.list(r.size.cols)); }, kCopy},
        {"row_power_norms", Input::random, kLong, no_flops,
         [](const Request& r) { row_power_norms(r.graph, r.in, r.list(r.size.rows), 3.0f); }, kCopy},
        {"column_power_norms", Input::random, kLong, no_flops,
         [](const Request& r) { column_power_norms(r.graph, r.in, r.list(r.size.cols), 3.0f); }, kCopy},
        {"normalize_rows", Input::random, kLong, no_flops,
         [](const Request& r) { normalize_rows(r.graph, r.in, r.make(r.size.rows, r.size.cols)); }, kCopy},
        {"normalize_columns", Input::random, kLong, no_flops,
         [](const Request& r) { normalize_columns(r.graph, r.in, r.make(r.size.rows, r.size.cols)); }, kCopy},
        {"scale_rows", Input::random, kLong, no_flops,
         [](const Request& r) {
             scale_rows(r.graph, r.in, r.random(1, r.size.rows), r.make(r.size.rows, r.size.cols));
         },
         kCopy},
        {"scale_columns", Input::random, kLong, no_flops,
         [](const Request& r) {
             scale_columns(r.graph, r.in, r.random(1, r.size.cols), r.make(r.size.rows, r.size.cols));
         },
         kCopy},
        {"convert", Input::random, kLong, no_flops,
         [](const Request& r) { convert(r.graph, r.in, r.make(r.size.rows, r.size.cols, DType::bf16)); },
         kCopy},
        {"quantize", Input::random, kLong, no_flops,
         [](const Request& r) { quantize(r.graph, r.one_matrix(), r.quantized()); }, kCopy},
        {"dequantize", Input::random, kLong, no_flops,
         [](const Request& r) {  // codes that nobody has written: they all take as long
             dequantize(r.graph, r.quantized(), r.one_matrix());
         },
         kCopy},
        {"dct",
         Input::random,
         {{1, 1024, 1024}},
         no_flops,
         [](const Request& r) { dct(r.graph, r.in, r.make(r.size.rows, r.size.cols)); },
         kCopy},
        {"dct_basis", Input::random, kLong, no_flops,
         [](const Request& r) {  // of all rows the first one: indices that nobody has written
             dct_basis(r.graph, r.list(r.size.rows, DType::u32), r.make(r.size.rows, r.size.cols));
         },
         kCopy},
        {"fill_random", Input::random, kLong, no_flops,
         [](const Request& r) { fill_random(r.graph, r.make(r.size.rows, r.size.cols), {.control = false}); },
         kCopy},
        {"argsort",
         Input::random,
         {{1, 64, 1024}, {1, 1, 65536}},
         no_flops,
         [](const Request& r) { argsort(r.graph, r.in, r.make(r.size.rows, r.size.cols, DType::u32)); },
         kCopy},
        {"top_k",
         Input::random,
         {{1, 64, 1024}, {1, 1, 65536}},
         no_flops,
         [](const Request& r) {
             top_k(r.graph, r.in, r.make(r.size.rows, (r.size.cols + 15) / 16, DType::u32));
         },
         kCopy},
        {"gather_rows", Input::random, kLong, no_flops,
         [](const Request& r) {  // of all rows the first one: indices that nobody has written
             gather_rows(r.graph, r.in, r.list(r.size.rows, DType::u32), r.make(r.size.rows, r.size.cols));
         },
         kCopy},
        {"gather_columns", Input::random, kLong, no_flops,
         [](const Request& r) {
             gather_columns(r.graph, r.in, r.list(r.size.cols, DType::u32), r.make(r.size.rows, r.size.cols));
         },
         kCopy},
    };
    return list;
}

std::vector<float> input_of(const Primitive& primitive, const Size& size) {
    test::Random random(1);
    const std::uint64_t m = size.rows, n = size.cols;
    std::vector<float> all(size.batch * m * n);
    for (float& value : all) value = static_cast<float>(random.uniform() - 0.5);
    if (primitive.input == Input::random) return all;
    // Symmetric with a diagonal that makes it positive definite and well conditioned; its lower half is a
    // triangular matrix that solves well, too.
    for (std::uint64_t b = 0; b < size.batch; ++b)
        for (std::uint64_t i = 0; i < n; ++i) {
            float* a = &all[b * n * n];
            a[i * n + i] = static_cast<float>(n);
            for (std::uint64_t j = i + 1; j < n; ++j)
                a[i * n + j] = primitive.input == Input::spd ? a[j * n + i] : 0.0f;
        }
    return all;
}

void run_case(const Device& device, const Primitive& primitive, const Size& size, int repeats) {
    const std::vector<float> values = input_of(primitive, size);
    Buffer buffer = device.create_buffer(values.size() * 4);
    buffer.write(std::as_bytes(std::span(values)));
    Graph graph(device);
    primitive.add(
        {graph, graph.external("in", buffer.view(DType::f32, {size.batch, size.rows, size.cols})), size});
    Plan plan = graph.compile({.profile = true});
    plan.allocate();
    plan.initialize();

    const double flops = primitive.flops(static_cast<double>(size.rows), static_cast<double>(size.cols)) *
                         static_cast<double>(size.batch);
    const bool library = primitive.peer.name && openblas(primitive.peer.symbol);
    std::optional<Copy> copy_plan;
    std::vector<float> copy(library ? size.rows * size.cols : 0);
    Contest contest;
    const std::size_t own = contest.add(plan);
    std::optional<std::size_t> peer;
    if (!primitive.peer.name)
        peer = contest.add(copy_plan.emplace(device, plan.bytes()).plan());
    else if (library)
        peer = contest.add([&] {
            for (std::uint64_t b = 0; b < size.batch; ++b) {
                std::memcpy(copy.data(), &values[b * copy.size()], copy.size() * 4);
                primitive.peer.run(copy.data(), static_cast<int>(size.rows), static_cast<int>(size.cols));
            }
        });
    contest.run(repeats);

    Line line("linalg", device);
    line.fields["primitive"] = primitive.name;
    line.fields["batch"] = size.batch;
    line.fields["rows"] = size.rows;
    line.fields["cols"] = size.cols;
    line.fields["dispatches"] = plan.dispatch_count();
    line.fields["bytes"] = plan.bytes();
    line.times(contest[own]);
    const double ms = contest[own].wall_ms.median;
    line.fields["gflops"] = flops > 0 ? nlohmann::ordered_json(flops / ms * 1e-6) : nullptr;
    if (peer)
        line.peer(library ? primitive.peer.name : "copy", contest[*peer]);
    else
        line.no_peer();
    line.print();
}

}  // namespace

int main(int argc, char** argv) {
    CLI::App app(
        "Times the primitives of heron/linalg.hpp beside OpenBLAS, or a copy; one line of JSON a case.",
        "bench_linalg");
    std::string only, shape;
    std::vector<Size> sizes;
    std::vector<std::string> names;
    for (const Primitive& primitive : primitives()) names.emplace_back(primitive.name);
    app.add_option("--only", only, "this primitive alone")->check(CLI::IsMember(names))->type_name("NAME");
    app.add_option("--size", shape, "this shape instead of each primitive's own")
        ->type_name("[BATCHx]ROWSxCOLS")
        ->check([&sizes](const std::string& text) -> std::string {
            std::vector<std::uint64_t> extents = extents_of(text);
            if (extents.size() == 2) extents.insert(extents.begin(), 1);
            if (extents.size() != 3) return "must be ROWSxCOLS or BATCHxROWSxCOLS, e.g. 32x64x64";
            sizes = {{extents[0], extents[1], extents[2]}};
            return {};
        });
    return run_program(app, argc, argv, 9, [&](Device& device, int repeats) {
        for (const Primitive& primitive : primitives()) {
            if (!only.empty() && only != primitive.name) continue;
            for (const Size& size : sizes.empty() ? primitive.sizes : sizes) {
                if (primitive.input != Input::random && size.rows != size.cols) {
                    std::cerr << primitive.name << " is left out: it needs square matrices\n";
                    continue;
                }
                run_case(device, primitive, size, repeats);
            }
        }
    });
}
