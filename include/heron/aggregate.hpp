// SPDX-License-Identifier: MIT
// Several objectives, one optimizer: what becomes one gradient of the gradients of many losses, as graph
// operations (heron/linalg.hpp says what these have in common). Nothing waits for the host, and the number of
// levels does not depend on that of the parameters.
//
// Before any optimizer: a plan of its own, recorded before the optimizer's into the same command buffer. The
// parameters' gradients are the aggregates:
//
//   heron::Graph graph(device);
//   std::vector<heron::JacobianPart> jacobian;
//   for (const auto& [name, rows, gradient] : parameters)  // views: k x n, and Parameter::gradient
//       jacobian.push_back({graph.external(name + ".rows", rows), graph.external(name, gradient)});
//   heron::aggregate_upgrad(graph, jacobian);
//   heron::Plan aggregation = graph.compile({.name = "aggregation"});
//   ...
//   aggregation.record(commands);
//   step.record(commands);  // of heron::compile(); each plan begins with the barrier that it needs
//
// Where a gradient is not finite, neither is the aggregate, so that the step is skipped and counted
// (StepOptions::skip_nonfinite). Aggregates round to the gradient's dtype, beyond its range to infinity.
//
// Throws (invalid_argument) for shapes, dtypes, numbers and overlaps that do not fit, before anything is
// added. Threads: as Graph.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "heron/export.hpp"
#include "heron/graph.hpp"

namespace heron {

// --- Jacobians: k objectives on an equal footing

// The gradients of k objectives with respect to one parameter of n elements, 1 <= k <= 128.
struct JacobianPart {
    Tensor rows;      // k x n, row i of objective i, with or without gaps between rows; f32, f16 or bf16
    Tensor gradient;  // n elements, contiguous: the aggregate; f32, f16 or bf16; apart from all rows
};

// What else is known about an aggregate; each is optional.
struct AggregateOutputs {
    Tensor weights;  // k f32: the aggregate is weights^T J
    Tensor gram;     // k x k f32: J J^T over all parts; where it is negative, objectives are in conflict
    // One u32, a MatrixStatus. ok; nonfinite: a gradient is not, or its square is above 3e38, and the weights
    // are the preferences (MGDA: 1 / k each); jittered: right for a larger reg_eps; not_converged: the
    // weights are those of the last iterate.
    Tensor status;
    Tensor residual;  // one f32, see each function; infinity where the status is nonfinite
};

// All functions below take Gram matrices from f32 sums of products over all parts, each at most c long, which
// are then added up in trees and in double-float arithmetic: |error| <= (c + 8) u |g_i| |g_j|, c = max(64, N
// / 262144) for N elements (CPU drivers: max(512, N / 16384)), u = 2^-24. Gradients whose squares underflow
// count as zero. k^2 N FLOPs and ceil(k / 8) passes over J; another pass and 2 k N FLOPs for weights^T J,
// |error| <= (k + 1) u sum |w_i g_i|. Between them small problems, of about 90 k^4 FLOPs for UPGrad, 90 k^3
// for DualProj, 180 k for each iteration of MGDA.

struct MeanOptions {
    Tensor preference;  // k f32 on the device, one for each objective; without it 1 / k each
    bool guarded = true;
};
// The mean, weighted by preferences; no Gram matrix. One level; one pass over J.
HERON_API void aggregate_mean(Graph& graph, std::span<const JacobianPart> jacobian,
                              const MeanOptions& options = {});

struct DualConeOptions {
    // u: k f32 on the device, not below 0; without it 1 / k each.
    Tensor preference;
    // A Gram matrix whose trace is below this counts as zero: the aggregate is then the weighted mean. An
    // absolute number, in units of the squared gradients, loss scale included; >= 0, where 0 leaves only what
    // underflows (2^-100). TorchJD's default, as the next.
    float norm_eps = 1e-4f;
    // H = J J^T / tr(J J^T) + reg_eps I: [1e-10, 1]. Objectives may stay in conflict by about this, relative
    // to the largest gradient.
    float reg_eps = 1e-4f;
    AggregateOutputs outputs;
    bool guarded = true;
};
// UPGrad (P. Quinton, V. Rey, Jacobian Descent for Multi-Objective Optimization, arXiv 2406.16232; TorchJD):
// each gradient is projected onto the dual cone of all, and the projections are added up.
//
//   v_i = argmin v^T H v with v >= u_i e_i,   weights = sum v_i
//
// The programs are solved by principal pivoting in double-float arithmetic, finitely, and then certified: the
// residual is the largest |min(v_i - u_i e_i, H v_i)| over all elements, divided by the largest of v_i; up to
// 2^-30 the status is ok. The error of the Gram matrix remains: with E_ij = (c + 8) u |g_i| |g_j| the
// aggregate is within sum_i |E v_i| / sqrt(reg_eps tr(J J^T)) of the exact one. Where reg_eps is below the
// Gram matrix's own errors it may have to be raised, to 2^-21 or some powers of ten more (jittered). 5
// levels.
HERON_API void aggregate_upgrad(Graph& graph, std::span<const JacobianPart> jacobian,
                                const DualConeOptions& options = {});
// DualProj (D. Lopez-Paz, M. Ranzato, arXiv 1706.08840, generalized by TorchJD): the weighted mean, projected
// onto the dual cone: one program, v >= u, weights = v. Otherwise as above.
HERON_API void aggregate_dualproj(Graph& graph, std::span<const JacobianPart> jacobian,
                                  const DualConeOptions& options = {});

struct MgdaOptions {
    float epsilon = 1e-3f;  // ends when a step is below this; >= 0; TorchJD's default, as the next
    std::uint32_t max_iterations = 100;  // 1 to 4096
    AggregateOutputs outputs;
    bool guarded = true;
};
// MGDA (J.-A. Desideri, C. R. Acad. Sci. Paris 350, 2012), by Frank and Wolfe as O. Sener and V. Koltun
// (NeurIPS 2018, algorithm 2): the shortest convex combination of the gradients. The residual is the duality
// gap over tr(J J^T): |aggregate|^2 is within 2 residual tr(J J^T) of its minimum; up to 2^-30 the status is
// ok, as after a step below epsilon. Frank-Wolfe is slow, so not_converged after all iterations is common;
// the residual says how far it came. 4 levels.
HERON_API void aggregate_mgda(Graph& graph, std::span<const JacobianPart> jacobian,
                              const MgdaOptions& options = {});

// --- Bloop and its relatives: a main objective, and an auxiliary one that must not stand in its way

struct BloopPart {
    std::string name;  // of its states: "<name>.main_average" and, for PCGrad, "<name>.auxiliary_average"
    Tensor main;       // n elements, contiguous, f32, f16 or bf16, as the next two
    Tensor auxiliary;
    Tensor direction;  // may be exactly `main` or exactly `auxiliary`
};

enum class BloopMethod : std::uint32_t {
    bloop,            // rho = <e, aux> / (|e|^2 + eps)
    dynamic_barrier,  // rho no larger than 1 / lambda
    pcgrad,           // rho no larger than 0, and the main gradient is projected, too
    mixed,            // rho = 0; no average
};

// Where averages begin, in the first step whose gradients are finite.
enum class BloopStart : std::uint32_t {
    gradient,  // as the main gradient (in the authors' code that of the auxiliary gradient does, too)
    state,     // as their states say: zero, or what Plan::write_state() has put there
};

struct BloopOptions {
    std::string name = "bloop";  // of the state "<name>.started"
    BloopMethod method = BloopMethod::bloop;
    double ema = 0.1;     // a in (0, 1]; the authors' code, as all defaults
    float lambda = 0.1f;  // weight of the auxiliary objective, >= 0
    float eps = 1e-7f;    // >= 0; absolute: averages with a norm near sqrt(eps) project less
    // direction = (1 - lambda rho) main + lambda aux; for bloop and dynamic_barrier.
    bool use_ratio_only = false;
    // Directions times 1 / (1 + lambda). (The authors' code has 1 + lambda for bloop and dynamic_barrier, by
    // the precedence of its operators.)
    bool rescale = false;
    BloopStart start = BloopStart::gradient;
    Tensor ratio;   // optional: f32, rho; of PCGrad two, the second of the main gradient
    Tensor status;  // optional: u32, ok or nonfinite; not of `mixed`
    bool guarded = true;
};
// Bloop (Careful with that Scalpel: Improving Gradient Surgery with an EMA, arXiv 2402.02998;
// apple/ml-bloop), inner products over all parts together:
//
//   e <- (1 - a) e + a main;   direction = main + lambda (aux - rho e)
//   PCGrad: f <- (1 - a) f + a aux;   main - min(<f, main> / (|f|^2 + eps), 0) f in place of main
//
// Where a gradient is not finite, or one of the inner products above 3e38, averages stay as they are, and the
// direction is main + lambda aux. State: 4 bytes an element, for PCGrad 8, for `mixed` none. 3 levels (mixed:
// 1); with f32 gradients 32 bytes an element (PCGrad 44, mixed 12), about 10 FLOPs.
HERON_API void bloop(Graph& graph, std::span<const BloopPart> parts, const BloopOptions& options = {});

}  // namespace heron
