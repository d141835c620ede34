// SPDX-License-Identifier: MIT
// Moments in the format that an optimizer's options ask for (heron/optim/moments.hpp).
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "heron/optim/moments.hpp"
#include "optim/checks.hpp"
#include "optim/moment.h"
#include "optim/step_builder.hpp"

namespace heron {

// `last` is the last format that the optimizer has.
inline void check_moments(std::string_view who, MomentFormat format, MomentFormat last = MomentFormat::bf16) {
    check_enum(who, "moments", format, MomentFormat::block8);
    if (format > last) refuse(std::string(who) + ": moments in block8 are AdamW's alone");
}

inline DType moment_dtype(MomentFormat format) {
    return format == MomentFormat::bf16 ? DType::bf16 : DType::f32;
}

// For Optimizer::options_text(). Nothing for f32: checkpoints from before there was a choice stay good.
inline std::string moments_text(MomentFormat format) {
    if (format == MomentFormat::f32) return "";
    return format == MomentFormat::bf16 ? " moments=bf16" : " moments=block8";
}

// Fills in a job's member at `field`, for elements [first, first + count) of the state of an item, which are
// read and written.
inline void add_moment(std::vector<Operand>& operands, std::uint32_t field, gpu::MomentOperand& operand,
                       const StepBuilder::Item& item, const Tensor& state, std::uint64_t first,
                       std::uint64_t count) {
    operand.parameter = item.index;
    for (const std::size_t member :
         {offsetof(gpu::MomentOperand, quads), offsetof(gpu::MomentOperand, words)})
        StepBuilder::add_part(operands, field + static_cast<std::uint32_t>(member), state, first, count,
                              Access::read_write);
}

// The kernel's specialization for the state's format; f32 is what a kernel has without.
inline void specialize_moments(Operation& operation, DType dtype) {
    if (dtype != DType::f32)
        operation.constants.push_back({gpu::SPEC_DTYPE_C, static_cast<std::uint32_t>(dtype)});
}

}  // namespace heron
