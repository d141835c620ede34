// SPDX-License-Identifier: MIT
// compile(), and what can be asked of and set in a step that is compiled: status, learning rates, loss scale.
#include <cmath>
#include <cstring>

#include "core/push.h"
#include "graph/plan.hpp"
#include "heron/train.hpp"
#include "optim/checks.hpp"
#include "optim/step_access.hpp"
#include "optim/step_builder.hpp"

namespace heron {

Plan compile(const Device& device, std::span<const Optimizer* const> optimizers, const StepOptions& options) {
    return StepBuilder::compile(device, optimizers, options);
}

Plan compile(const Device& device, std::initializer_list<const Optimizer*> optimizers,
             const StepOptions& options) {
    return StepBuilder::compile(device, std::span(optimizers.begin(), optimizers.size()), options);
}

const StepLayout& step_layout(const Plan& plan, const char* who) {
    const std::shared_ptr<const StepLayout>& layout = plan.impl().graph.step_layout;
    if (layout == nullptr)
        refuse(std::string(who) + ": the plan \"" + plan.impl().options.name +
               "\" is no training step; make it with heron::compile");
    return *layout;
}

StepStatus status(const Plan& plan) {
    gpu::StepControl control;
    std::memcpy(&control, plan.readback(step_layout(plan, "status").status).data(), sizeof(control));
    return {control.step,      control.skipped,       control.skip != 0,
            control.nonfinite, control.gradient_norm, control.loss_scale};
}

void write_learning_rate(Plan& plan, const StepLayout::Rate& rate, float lr) {
    const StepLayout& layout = step_layout(plan, "set_learning_rate");
    // Also where the plan keeps the table's first content: memory may be bound later.
    std::memcpy(plan.impl().graph.objects[layout.slots.id].contents.data() + rate.byte_offset, &lr,
                sizeof(lr));
    if (plan.impl().has_memory)
        plan.write_table(layout.slots, std::as_bytes(std::span(&lr, 1)), rate.byte_offset);
}

float read_learning_rate(const Plan& plan, const StepLayout::Rate& rate) {
    float lr;
    const StepLayout& layout = step_layout(plan, "learning rate");
    std::memcpy(&lr, plan.impl().graph.objects[layout.slots.id].contents.data() + rate.byte_offset,
                sizeof(lr));
    return lr;
}

void set_learning_rate(Plan& plan, std::string_view optimizer, float lr) {
    check_option("set_learning_rate", "lr", lr, lr >= 0, "finite and not below 0");
    std::string known;
    for (const StepLayout::Rate& rate : step_layout(plan, "set_learning_rate").rates) {
        if (rate.optimizer == optimizer) return write_learning_rate(plan, rate, lr);
        known += (known.empty() ? "" : ", ") + rate.optimizer;
    }
    refuse("set_learning_rate: the plan has no optimizer \"" + std::string(optimizer) +
           "\"; it has: " + known);
}

void set_damping(Plan& plan, std::string_view optimizer, float damping) {
    check_option("set_damping", "damping", damping, damping > 0, "finite and above 0");
    for (const StepLayout::Rate& entry : step_layout(plan, "set_damping").dampings)
        if (entry.optimizer == optimizer) return write_learning_rate(plan, entry, damping);
    refuse("set_damping: the plan has no optimizer \"" + std::string(optimizer) +
           "\" whose damping can be set (Kfac)");
}

VkDeviceAddress loss_scale_address(const Plan& plan) {
    return plan.view(step_layout(plan, "loss_scale_address").control).address +
           offsetof(gpu::StepControl, loss_scale);
}

}  // namespace heron
