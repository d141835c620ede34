// SPDX-License-Identifier: MIT
// Builds the graph of one training step: what stands before every recipe (statistics, clipping, schedules),
// and what a recipe works with.
//
//   level 1  gradient_stats   norm and non-finite count of all gradients; left out where nothing asks for it
//   level 2  advance          skip, scale, hyperparameters (shaders/optim/advance.comp)
//   level 3  the recipes
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "heron/train.hpp"
#include "optim/hyper.hpp"
#include "optim/parameter.h"
#include "optim/step_layout.hpp"

namespace heron {

// How element-wise kernels cover a range: a workgroup takes `rounds` times four elements an invocation.
struct ElementGrid {
    std::uint32_t threads;
    std::uint32_t rounds;
    std::uint64_t groups;
};

// Invocations of a workgroup: a power of two, `wanted` where the device can.
std::uint32_t threads_of(const Capabilities& device, std::uint32_t wanted);

class StepBuilder {
public:
    // Tensors of one parameter.
    struct Item {
        const Parameter* parameter;
        Tensor weight;
        Tensor gradient;      // the caller's, or the sum of micro-batches (f32)
        Tensor master;        // empty where the step works on the weight itself
        Tensor average;       // empty without an average
        std::uint32_t draws;  // draw_key() of the parameter
        // The gradient is f32 and as the step sees it, or a direction: it is not scaled and clipped again.
        bool gradient_ready = false;
    };

    // Checks everything, then builds and compiles the step.
    static Plan compile(const Device& device, std::span<const Optimizer* const> optimizers,
                        const StepOptions& options);

    // --- For recipes (step_recipe.cpp). A recipe sees the items and hyperparameters of its own optimizer.
    Graph& graph() { return graph_; }
    const Device& device() const { return graph_.device(); }
    const StepOptions& options() const { return options_; }
    std::span<const Item> items() const { return items_; }
    // The values of Optimizer::hyper(), f32, where the advance kernel leaves them.
    const Tensor& hyper() const { return hyper_; }
    // Section::gate of the value of that index (HyperValue::chance(), counted()).
    std::uint32_t gate(std::uint32_t value) const { return first_slot_ + value + 1; }
    // A state that belongs to a parameter, called <parameter>.<name>.
    Tensor state(const Item& item, std::string_view name, DType dtype, const Shape& shape);
    // One that was made before; empty where there is none.
    Tensor find_state(const Item& item, std::string_view name) const;

    // SPEC_FLAGS of an element-wise kernel: ELEMENTS_ bits for this device and step, and the algorithm's
    // own `bits`.
    SpecConstant variant(std::uint32_t bits = 0) const;
    // The same for a kernel that reads the item's gradient.
    SpecConstant variant(const Item& item, std::uint32_t bits = 0) const {
        return variant(bits | (item.gradient_ready ? gpu::GRADIENT_READY : 0));
    }
    std::string_view variant_reason() const;
    // At most `max_groups` workgroups (0: as many as suit the device) for `count` elements.
    ElementGrid elements(std::uint64_t count, std::uint64_t max_groups = 0) const;
    // Where each workgroup adds up `sums` partial sums first: on CPU drivers, where nothing hides them, it
    // has four quads for each.
    ElementGrid elements_after_sums(std::uint64_t count, std::uint64_t sums) const;

    // An operand of elements [first, first + count) of a contiguous tensor whose job member at `field` holds
    // the address of the whole: jobs of other parts are independent of this one.
    static void add_part(std::vector<Operand>& operands, std::uint32_t field, const Tensor& whole,
                         std::uint64_t first, std::uint64_t count, Access access);
    // Members of a job and their operands. `field` is the offset of the member struct in the job.
    static gpu::ElementRange range(std::uint64_t first, std::uint64_t count, const ElementGrid& grid);
    static void add_gradient(std::vector<Operand>& operands, std::uint32_t field, const Item& item,
                             std::uint64_t first, std::uint64_t count);
    static void add_gradient(std::vector<Operand>& operands, std::uint32_t field, const Item& item) {
        add_gradient(operands, field, item, 0, item.gradient.shape.count());
    }
    gpu::ParameterOperand parameter_operand(const Item& item) const;
    static void add_parameter(std::vector<Operand>& operands, std::uint32_t field, const Item& item,
                              std::uint64_t first, std::uint64_t count);
    // For a kernel that loads the parameter and writes nothing of it.
    static void add_parameter_reads(std::vector<Operand>& operands, std::uint32_t field, const Item& item);
    // Adds a kernel that updates all elements of a parameter by its gradient: with the kernel's
    // specialization, and the costs of an element (`state_bytes`: traffic of its states). `bits`: see
    // variant().
    void add_element_wise(Operation operation, const Item& item, const ElementGrid& grid, std::uint32_t bits,
                          double flops, double state_bytes);
    // Bytes of traffic per element of reading and writing the parameter with its copies, and of reading the
    // gradient.
    static double parameter_bytes(const Item& item);
    static double gradient_bytes(const Item& item) {
        return static_cast<double>(bytes_of(item.gradient.dtype));
    }

private:
    StepBuilder(const Device& device, std::span<const Optimizer* const> optimizers,
                const StepOptions& options);

    void make_items();
    void make_slots();
    void add_switch(const StepLayout::Rate& rate, const std::optional<MkorSwitch>& rule);
    // step_kernels.cpp
    void add_initialize();
    void add_accumulate();
    void add_statistics();
    void add_advance(std::uint32_t mode);
    std::string identity() const;  // step_identity.cpp

    Graph graph_;
    std::map<std::string, Tensor> states_;  // of parameters, by their names in the graph
    StepOptions options_;
    std::span<const Optimizer* const> optimizers_;
    std::vector<std::vector<Item>> all_items_;         // per optimizer
    std::vector<std::vector<HyperValue>> all_values_;  // per optimizer
    std::span<const Item> items_;                      // of the optimizer that is being built
    Tensor hyper_;
    StepLayout layout_;
    Tensor pieces_;
    Tensor values_;
    Tensor partials_;  // empty without statistics
    std::uint32_t partial_count_ = 0;
    std::uint32_t slot_count_ = 0;
    std::uint32_t first_slot_ = 0;  // of the optimizer that is being built
    bool keeps_values_ = false;     // some are counted from step to step
};

}  // namespace heron
