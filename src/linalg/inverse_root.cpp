// SPDX-License-Identifier: MIT
// inverse_root(): checks, and which form a matrix takes.
#include "linalg/inverse_root.hpp"

#include <cmath>
#include <string>
#include <utility>

#include "core/number_text.hpp"
#include "graph/graph.hpp"
#include "linalg/checks.hpp"
#include "linalg/convert.hpp"
#include "linalg/integers.hpp"

namespace heron {

namespace {

constexpr std::uint32_t kMaxRoot = 64;
constexpr std::uint32_t kMaxIterations = 64;
constexpr std::uint64_t kMaxRows = 4096;

bool is_finite_not_negative(float x) { return x >= 0 && std::isfinite(x); }

void check_square(const Graph& graph, const char* name, const Tensor& tensor, const Tensor& a) {
    const char* who = "inverse_root";
    check_float_tensor(who, name, graph, tensor);
    if (tensor.shape != a.shape || tensor.dtype != DType::f32)
        refuse(who, std::string(name) + " is " + text(tensor) + ", A is " + text(a) +
                        "; it must be f32 of A's shape");
}

void check(const Graph& graph, const Tensor& a, const Tensor& x, const InverseRootOptions& options) {
    const char* who = "inverse_root";
    check_float_tensor(who, "A", graph, a);
    if (a.rows() != a.cols()) refuse(who, "A is " + text(a) + "; it must be square");
    if (a.rows() > kMaxRows)
        refuse(who, "A is " + text(a) + "; it may have at most " + std::to_string(kMaxRows) + " rows");
    check_square(graph, "X", x, a);
    if (!same_place(graph, x, a)) check_no_overlap(who, "X", x, "A", a, graph);
    check_enumerator(who, options.method, RootMethod::denman_beavers, "method is not one of RootMethod");
    check_enumerator(who, options.damping.scale, DampingScale::max_diagonal,
                     "damping.scale is not one of DampingScale");
    if (options.p < 1 || options.p > kMaxRoot)
        refuse(who, "p is " + std::to_string(options.p) + "; it must be 1 to " + std::to_string(kMaxRoot));
    if (options.iterations > kMaxIterations)
        refuse(who, "iterations is " + std::to_string(options.iterations) + "; it may be at most " +
                        std::to_string(kMaxIterations));
    if (!is_finite_not_negative(options.damping.absolute) ||
        !is_finite_not_negative(options.damping.relative))
        refuse(who, "the damping is " + number_text(options.damping.absolute) + " absolute, " +
                        number_text(options.damping.relative) +
                        " relative; both must be finite and not negative");
    if (!(options.tolerance > 0 && options.tolerance < 0.01f))
        refuse(who,
               "the tolerance is " + number_text(options.tolerance) + "; it must be above 0 and below 0.01");
    const bool square_only =
        options.method == RootMethod::newton_schulz || options.method == RootMethod::denman_beavers;
    if (options.p != 2 && (square_only || options.square_root))
        refuse(who, std::string(square_only ? to_string(options.method) : "a square root") +
                        " needs p = 2, p is " + std::to_string(options.p));
    if (options.words < 1 || options.words > 2)
        refuse(who, "words is " + std::to_string(options.words) + "; it must be 1 or 2");
    if (options.words == 2 && a.shape.count() >= std::uint64_t{1} << 31)
        refuse(who, "A is " + text(a) + "; in two words it may have at most 2^31 - 1 elements");
    if (options.words == 2 && (square_only || options.square_root || options.guess))
        refuse(who, "two words an element are of newton, without a square root or a guess");
    if (options.square_root) {
        if (options.method == RootMethod::newton)
            refuse(who, "newton cannot compute the square root; leave the method to `automatic`");
        check_square(graph, "the square root", options.square_root, a);
        check_no_overlap(who, "the square root", options.square_root, "A", a, graph);
        check_no_overlap(who, "the square root", options.square_root, "X", x, graph);
    }
    if (options.guess) {
        if (options.p != 1)
            refuse(who, "a guess needs p = 1, p is " + std::to_string(options.p) +
                            "; for p > 1 the iteration would converge to something else");
        check_square(graph, "the guess", options.guess, a);
        if (!same_place(graph, x, options.guess))
            check_no_overlap(who, "X", x, "the guess", options.guess, graph);
    }
    const std::pair<const char*, const Tensor*> extras[] = {{"status", &options.status},
                                                            {"residual", &options.residual},
                                                            {"iterations_used", &options.iterations_used}};
    for (const auto& [name, extra] : extras) {
        if (!*extra) continue;
        const DType dtype = extra == &options.residual ? DType::f32 : DType::u32;
        check_tensor(who, name, graph, *extra);
        if (extra->dtype != dtype || extra->shape.count() != a.batch() || !is_contiguous(*extra))
            refuse(who, std::string(name) + " is " + text(*extra) + "; it must be a contiguous tensor of " +
                            std::to_string(a.batch()) + " " + to_string(dtype) + ", one for each matrix");
        check_no_overlap(who, name, *extra, "A", a, graph);
        check_no_overlap(who, name, *extra, "X", x, graph);
        if (options.square_root)
            check_no_overlap(who, name, *extra, "the square root", options.square_root, graph);
        if (options.guess) check_no_overlap(who, name, *extra, "the guess", options.guess, graph);
        for (const auto& [other_name, other] : extras)
            if (other != extra && *other) check_no_overlap(who, name, *extra, other_name, *other, graph);
    }
}

// By products: what is kept of each iteration of each matrix, and of each row at the start.
void check_states(const Tensor& a, const InverseRootOptions& options) {
    const char* who = "inverse_root";
    const std::uint64_t iterates = root_budget(options, root_method(options, false)) + 1;
    if (a.batch() * iterates * gpu::ROOT_STATE_WORDS > kMaxIndex || 4 * a.batch() * a.rows() > kMaxIndex)
        refuse(who, "A is " + text(a) + "; so many matrices have 2^32 numbers or more to be kept of " +
                        std::to_string(iterates) + " iterates, or of their rows; split the batch");
}

}  // namespace

RootMethod root_method(const InverseRootOptions& options, bool small) {
    if (options.method != RootMethod::automatic) return options.method;
    if (options.p == 2 && options.words == 1 && (!small || options.square_root))
        return RootMethod::denman_beavers;
    return RootMethod::newton;
}

// Small eigenvalues of M grow at least by ((p + 1) / p)^p = 2, 2.25, 2.44, ... in an iteration of Newton's,
// by 2.25 in one of Newton-Schulz, until the last six or so; norms and powers of two may begin 32 times below
// 1.
std::uint32_t root_budget(const InverseRootOptions& options, RootMethod method) {
    if (options.iterations != 0) return options.iterations;
    if (method == RootMethod::denman_beavers) return 8;
    const double p = method == RootMethod::newton_schulz ? 2.0 : options.p;
    return 6 + static_cast<std::uint32_t>(
                   std::ceil(std::log(options.words == 2 ? 8e10 : 8e6) / (p * std::log1p(1.0 / p))));
}

std::uint32_t root_products_of_power(std::uint32_t p) {  // for T^p M by binary powering
    std::uint32_t products = 1;
    for (std::uint32_t rest = p; rest > 1; rest /= 2) products += 1 + rest % 2;
    return products;
}

std::uint32_t root_flags(const InverseRootOptions& options) {
    return (options.status ? gpu::ROOT_HAS_STATUS : 0) | (options.residual ? gpu::ROOT_HAS_RESIDUAL : 0) |
           (options.iterations_used ? gpu::ROOT_HAS_USED : 0) |
           (options.keep_on_failure ? gpu::ROOT_KEEP : 0) | root_word_flag(options);
}

const char* to_string(RootMethod method) {
    switch (method) {
        case RootMethod::automatic:
            return "automatic";
        case RootMethod::newton:
            return "newton";
        case RootMethod::newton_schulz:
            return "newton_schulz";
        case RootMethod::denman_beavers:
            return "denman_beavers";
    }
    return "unknown";
}

void inverse_root(Graph& graph, const Tensor& a, const Tensor& x, const InverseRootOptions& options) {
    check(graph, a, x, options);
    if (a.shape.count() == 0) {
        for (const Tensor& report : {options.status, options.residual, options.iterations_used})
            add_zeros(graph, report, options.guarded);
        return;
    }
    if (inverse_root_fits_one_workgroup(graph.device(), a.rows(), options)) {
        add_root_workgroup(graph, a, x, options);
        return;
    }
    check_states(a, options);
    BlockedRoot(graph, a, x, options).add();
}

}  // namespace heron
