// SPDX-License-Identifier: MIT
// What PSGD's optimizers have in common around their preconditioners: momentum, noise, random numbers, first
// scale, update.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heron/optim/moments.hpp"
#include "heron/optim/psgd.hpp"
#include "optim/hyper.hpp"
#include "optim/psgd.h"
#include "optim/step_builder.hpp"

namespace heron {

// The values of gpu::PsgdHyper, and after them the gates: whether a step fits, and whether it balances.
inline constexpr std::uint32_t kPsgdFitGate = sizeof(gpu::PsgdHyper) / sizeof(float);
inline constexpr std::uint32_t kPsgdBalanceGate = kPsgdFitGate + 1;

// The section of steps in which a gate is open: every step where it always is. `first`: and the first one.
Section psgd_section(const StepBuilder& step, std::uint32_t gate, float probability, const Schedule& schedule,
                     bool first = false);
// Of the first step alone.
inline constexpr Section kPsgdFirst{.interval = 0x80000000u};

// Workgroups for `count` elements, one after the other; an invocation of a GPU takes `rounds` of them at
// least.
ElementGrid psgd_grid(const Device& device, std::uint64_t count, std::uint64_t rounds,
                      std::uint64_t max_groups = 0);

// Views of the application's. Both throw (invalid_argument): for another shape than the weight's, for fewer
// numbers than a fit takes.
void check_psgd_view(const Device& device, const std::string& who, std::string_view which,
                     const TensorView& view, const Shape& shape);
void check_psgd_draws(const Device& device, const std::string& who, const TensorView& view,
                      std::uint64_t least);

// Refusals of PsgdInputs, in the name of `optimizer`: views that do not fit, and a parameter without what its
// kind of fit needs.
void check_psgd_inputs(const Device& device, const std::string& optimizer, const Parameter& parameter,
                       PsgdFit fit, const PsgdInputs& inputs);
void check_psgd_product(const std::string& optimizer, const Parameter& parameter, PsgdFit fit,
                        const std::map<std::string, PsgdInputs>& inputs);
template <class Job>
void add_psgd(Graph& graph, const KernelInfo& kernel, const Job& job, std::vector<Operand> operands,
              std::uint64_t groups, std::uint32_t threads, double flops, double bytes) {
    Operation operation = make_operation(kernel, job, std::move(operands), groups);
    operation.constants = {{gpu::SPEC_THREADS, threads}};
    operation.reason = "the only one";
    operation.flops = flops;
    operation.bytes = bytes;
    graph.add(std::move(operation));
}

// Checks a parameter with its inputs, keeps these, and adds it; forgets them where `add` throws.
void add_with_inputs(const Optimizer& optimizer, const std::string& who, Parameter parameter, PsgdFit fit,
                     const PsgdInputs& inputs, std::map<std::string, PsgdInputs>& kept,
                     const std::function<void(Parameter)>& add);

// What the application gives for a parameter: nothing where it gave nothing.
PsgdInputs psgd_inputs(const std::map<std::string, PsgdInputs>& inputs, const Parameter& parameter);
// ... as tensors of the graph.
struct PsgdInputTensors {
    Tensor product, probe;   // of PsgdFit::hessian
    Tensor draws;            // empty: the library's
    bool own_probe = false;  // the state <parameter>.probe, which the recipe draws
};
PsgdInputTensors add_psgd_inputs(StepBuilder& step, const StepBuilder::Item& item, const PsgdInputs& given,
                                 PsgdFit fit);

// The momentum, and what is to be preconditioned, f32.
struct PsgdMoment {
    Tensor x;
    Tensor partials;  // sums of |x|, or of |g|
};
struct PsgdMomentRules {
    double momentum = 0;
    MomentFormat moments = MomentFormat::f32;  // or bf16: x is what it was before it is rounded
    bool ramp = false;                         // 1 - 1/t in the first steps
    bool correct = false;                      // by 1 / (1 - momentum^t): x is a temporary
    bool sums = false;                         // partials
    bool of_gradient = false;                  // ... of |g|
    Tensor to;  // x, where it is not to be a temporary or the momentum's f32 state
};
PsgdMoment add_psgd_moment(StepBuilder& step, const StepBuilder::Item& item, const PsgdMomentRules& rules);

// What is fitted: y with noise z.
struct PsgdNoise {
    Tensor y;    // f32; empty: the gradient, or
    Tensor raw;  // a tensor of the application
    Tensor z;    // on a multiple of 16 bytes
    float damping = 0;
    Tensor partials;  // not empty: noise is `scale` times the mean of what they sum
    float scale = 0;
    bool in_place = false;  // y itself
};
Tensor add_psgd_noise(StepBuilder& step, const StepBuilder::Item& item, const PsgdNoise& noise);

// What random numbers are for: each has a stream of its own, this number above the parameter's.
enum class PsgdPurpose : std::uint32_t { fit = 0, probe = 1, u = 2, v = 3 };
// The stream of a parameter of the optimizer with that name; `ordinal`: its number among those of its size.
std::uint32_t psgd_stream(std::string_view optimizer, std::uint32_t ordinal = 0);
// Those of all items.
std::vector<std::uint32_t> psgd_streams(std::string_view optimizer, std::span<const StepBuilder::Item> items);
// Fills `to` with normal numbers of a parameter of `elements` elements.
void fill_psgd_draws(Graph& graph, const Tensor& to, std::uint64_t elements, PsgdPurpose purpose,
                     std::uint32_t stream);
// `count` of them for a fit.
Tensor add_psgd_draws(StepBuilder& step, const StepBuilder::Item& item, std::uint64_t count,
                      std::uint32_t stream);

// (mean y^4)^(1/4) and the sum of v^2, of all these together, into two floats; y is the gradient unless `raw`
// is there.
struct PsgdMomentInput {
    const StepBuilder::Item* item;
    Tensor raw;
    Tensor probe;
};
void add_psgd_moments(StepBuilder& step, std::span<const PsgdMomentInput> inputs, const Tensor& moments);

struct PsgdUpdate {
    Tensor direction;
    Tensor norms;  // of all directions
    std::uint64_t norm_first = 0, norm_count = 1;
    double limit = 0;  // of the norm
    double eps = 0;
    float largest = 0;
    bool decays = true;
};
void add_psgd_update(StepBuilder& step, const StepBuilder::Item& item, const PsgdUpdate& update);

}  // namespace heron
