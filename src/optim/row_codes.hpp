// SPDX-License-Identifier: MIT
// A matrix that is kept from step to step in 4 or 8 bits an element, between the least and the largest
// element of each row (shaders/optim/row_codes.comp).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "optim/step_builder.hpp"
#include "optim/subspace.hpp"

namespace heron {

struct RowCodes {
    std::uint32_t bits = 0;
    Tensor codes;   // u32, whole words for each row
    Tensor ranges;  // f32, for each row its least element and the step from code to code

    // The rows of the next batch, which are removed from these.
    RowCodes take(const MatrixBatch& batch);
};

// The states <parameter>.<name>_codes and <parameter>.<name>_ranges, which begin as a matrix of zeros.
RowCodes make_row_codes(StepBuilder& step, const StepBuilder::Item& item, const std::string& name,
                        std::span<const MatrixBatch> batches, std::uint32_t bits);
// Throws (invalid_argument), in the name of `optimizer`, for rows that are too long.
void check_row_codes(std::string_view optimizer, const Parameter& parameter, const MatrixBatch& batch);
// `x`, f32 without gaps, all rows of a batch, becomes codes: an error of at most half a step.
void add_row_codes(StepBuilder& step, const Tensor& x, const RowCodes& to);
// The batch's gradient as the step sees it, plus what the codes stand for.
Tensor add_coded_gradient(StepBuilder& step, const StepBuilder::Item& item, const MatrixBatch& batch,
                          const RowCodes& codes);

}  // namespace heron
