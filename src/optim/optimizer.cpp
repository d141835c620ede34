// SPDX-License-Identifier: MIT
// Optimizer: collecting parameters, and refusing what no step could use.
#include <utility>

#include "core/enumerator.hpp"
#include "heron/train.hpp"
#include "optim/checks.hpp"
#include "optim/view_checks.hpp"
#include "state/safetensors_format.hpp"

namespace heron {

void check_view(const Device& device, const std::string& subject, const TensorView& view) {
    if (view.dtype != DType::f32 && view.dtype != DType::f16 && view.dtype != DType::bf16)
        refuse(subject + " is " + to_string(view.dtype) + ", must be f32, f16 or bf16");
    const std::uint64_t count = view.shape.count();
    if (count > 0xfffffff0u)
        refuse(subject + " has shape " + view.shape.text() +
               ": more than 2^32 elements; split it into several parameters");
    if (!view.contiguous())
        refuse(subject + " has a row stride of " + std::to_string(view.row_stride) +
               " elements; only contiguous tensors can be trained, copy it to one");
    if (count == 0) return;
    if (view.device != 0 && view.device != device.id())
        refuse(subject + " is memory of another device; make the view with the optimizer's device");
    if (view.address == 0)
        refuse(subject + " has a null address; make its view with Buffer::view or Device::view");
    if (view.address % 4 != 0)
        refuse(subject + " lies at an address that is not a multiple of 4 bytes; move it");
    if (view.address + view.span_bytes() < view.address)
        refuse(subject + " reaches beyond the end of the address space");
}

Optimizer::Optimizer(const Device& device, std::string name) : device_(&device), name_(std::move(name)) {}
Optimizer::~Optimizer() = default;

void Optimizer::check(const Parameter&) const {}

void Optimizer::check_parameter(const Parameter& parameter) const {
    if (parameter.name.empty()) refuse(name_ + ": a parameter has no name; states are saved under it");
    const std::string_view problem = state::name_problem(parameter.name);
    if (!problem.empty())
        refuse(name_ + ": parameter " + state::in_quotes(parameter.name) + ": " + std::string(problem));
    const std::string who = name_ + ": parameter \"" + parameter.name + "\"";
    if (names_.contains(parameter.name)) refuse(who + " was added before; names are unique");
    check_view(*device_, who + ": its weight", parameter.weight);
    check_view(*device_, who + ": its gradient", parameter.gradient);
    const TensorView& weight = parameter.weight;
    const TensorView& gradient = parameter.gradient;
    if (!(weight.shape == gradient.shape))
        refuse(who + ": its weight has shape " + weight.shape.text() + ", its gradient " +
               gradient.shape.text() + "; they must be equal");
    if (weight.address < gradient.address + gradient.span_bytes() &&
        gradient.address < weight.address + weight.span_bytes())
        refuse(who + ": its weight and its gradient overlap; the step reads one while it writes the other");
    if (!is_enumerator(parameter.role, Role::input)) refuse(who + ": its role is not one of Role");
    check_option(who, "lr_scale", parameter.lr_scale, parameter.lr_scale >= 0, "finite and not below 0");
    check_option(who, "weight_decay_scale", parameter.weight_decay_scale, parameter.weight_decay_scale >= 0,
                 "finite and not below 0");
    for (const float scale : {parameter.damping_scale.inputs, parameter.damping_scale.outputs})
        check_option(who, "damping_scale", scale, scale >= 0, "finite and not below 0");
}

void Optimizer::append(Parameter parameter) {
    parameters_.push_back(std::move(parameter));
    names_.insert(parameters_.back().name);
}

void Optimizer::add(Parameter parameter) {
    check_parameter(parameter);
    check(parameter);
    append(std::move(parameter));
}

}  // namespace heron
