// SPDX-License-Identifier: MIT
// Moments in the format that an optimizer's options ask for (heron/optim/moments.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "heron/optim/moments.hpp"
#include "linalg/integers.hpp"
#include "optim/checks.hpp"
#include "optim/moment.h"
#include "optim/step_builder.hpp"

namespace heron {

// `last` is the last format that the optimizer has.
inline void check_moments(std::string_view who, MomentFormat format,
                          MomentFormat last = MomentFormat::block8) {
    check_enum(who, "moments", format, MomentFormat::block8);
    if (format > last) refuse(std::string(who) + ": moments is block8, must be f32 or bf16");
}

inline DType moment_dtype(MomentFormat format) {
    return format == MomentFormat::bf16 ? DType::bf16 : DType::f32;
}

// For Optimizer::options_text(). Nothing for f32: checkpoints from before there was a choice stay good.
inline std::string moments_text(MomentFormat format) {
    if (format == MomentFormat::f32) return "";
    return format == MomentFormat::bf16 ? " moments=bf16" : " moments=block8";
}

// A moment of a parameter, as it is kept.
struct MomentState {
    Tensor values;  // f32 or bf16, shaped like the parameter; of block8 u32, four elements a word
    Tensor scales;  // of block8, else empty: f32, one a block

    explicit operator bool() const { return static_cast<bool>(values); }
    // Traffic of reading and writing an element.
    double bytes() const {
        return scales ? 2.0 + 8.0 / gpu::MOMENT_BLOCK : 2.0 * static_cast<double>(bytes_of(values.dtype));
    }
};

// Of a moment of `count` elements in block8.
inline std::uint64_t moment_blocks(std::uint64_t count) {
    return ceil_div(count, std::uint64_t{gpu::MOMENT_BLOCK});
}
inline std::uint64_t moment_words(std::uint64_t count) {
    return moment_blocks(count) * (gpu::MOMENT_BLOCK / 4);
}

// States <parameter>.<name> and, of block8, <parameter>.<name>_scale.
inline MomentState moment_state(StepBuilder& step, const StepBuilder::Item& item, std::string_view name,
                                MomentFormat format) {
    const Shape& shape = item.weight.shape;
    if (format != MomentFormat::block8) return {step.state(item, name, moment_dtype(format), shape), {}};
    return {step.state(item, name, DType::u32, Shape{moment_words(shape.count())}),
            step.state(item, std::string(name) + "_scale", DType::f32, Shape{moment_blocks(shape.count())})};
}

// Fills in a job's member at `field`, for elements [first, first + count) of the state of an item, which are
// read and written.
inline void add_moment(std::vector<Operand>& operands, std::uint32_t field, gpu::MomentOperand& operand,
                       const StepBuilder::Item& item, const Tensor& state, std::uint64_t first,
                       std::uint64_t count) {
    operand.parameter = item.draws;
    for (const std::size_t member :
         {offsetof(gpu::MomentOperand, quads), offsetof(gpu::MomentOperand, words)})
        StepBuilder::add_part(operands, field + static_cast<std::uint32_t>(member), state, first, count,
                              Access::read_write);
}

// The same for kernels of block8: all of codes and scales, whose addresses lie where those have theirs.
inline void add_block8(std::vector<Operand>& operands, std::uint32_t field, gpu::MomentOperand& operand,
                       const StepBuilder::Item& item, const MomentState& state) {
    constexpr std::uint32_t codes = offsetof(gpu::MomentOperand, quads),
                            scales = offsetof(gpu::MomentOperand, words);
    operand.parameter = item.draws;
    operands.push_back({field + codes, state.values, Access::read_write});
    operands.push_back({field + scales, state.scales, Access::read_write});
}

// One workgroup a block.
inline ElementGrid block8_grid(const StepBuilder& step, std::uint64_t count) {
    const Capabilities& capabilities = step.device().capabilities();
    return {threads_of(capabilities, capabilities.cpu ? 8 : gpu::MOMENT_BLOCK / 4), 1, moment_blocks(count)};
}

// The kernel's specialization for the state's format; f32 is what a kernel has without.
inline void specialize_moments(Operation& operation, DType dtype) {
    if (dtype != DType::f32)
        operation.constants.push_back({gpu::SPEC_DTYPE_C, static_cast<std::uint32_t>(dtype)});
}

}  // namespace heron
