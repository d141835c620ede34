// SPDX-License-Identifier: MIT
#include "optim/row_codes.hpp"

#include <cstddef>
#include <utility>
#include <vector>

#include "heron/linalg/quantize.hpp"
#include "heron/spirv/coded_gradient.hpp"
#include "heron/spirv/row_codes.hpp"
#include "optim/checks.hpp"
#include "optim/subspace.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::RowCodesJob) == 48);
static_assert(sizeof(gpu::CodedGradientJob) == 72);
constexpr KernelInfo kRowCodes = make_kernel<gpu::RowCodesJob>("row_codes", spirv::row_codes);
constexpr KernelInfo kCodedGradient =
    make_kernel<gpu::CodedGradientJob>("coded_gradient", spirv::coded_gradient);

// lavapipe ends an invocation's loops after 65,535 rounds: three an element for 32 invocations.
constexpr std::uint64_t kMaxCols = std::uint64_t{1} << 19;

}  // namespace

RowCodes RowCodes::take(const MatrixBatch& batch) {
    const std::uint64_t rows = batch.items * batch.rows, words = quantized_words(batch.cols, bits);
    const RowCodes taken{bits, part_of(codes, 0, Shape{rows, words}), part_of(ranges, 0, Shape{rows, 2})};
    codes = part_of(codes, rows * words, Shape{codes.shape.count() - rows * words});
    ranges = part_of(ranges, 2 * rows, Shape{ranges.shape.count() - 2 * rows});
    return taken;
}

RowCodes make_row_codes(StepBuilder& step, const StepBuilder::Item& item, const std::string& name,
                        std::span<const MatrixBatch> batches, std::uint32_t bits) {
    std::uint64_t words = 0, rows = 0;
    for (const MatrixBatch& batch : batches) {
        rows += batch.items * batch.rows;
        words += batch.items * batch.rows * quantized_words(batch.cols, bits);
    }
    return {bits, step.state(item, name + "_codes", DType::u32, Shape{words}),
            step.state(item, name + "_ranges", DType::f32, Shape{2 * rows})};
}

void check_row_codes(std::string_view optimizer, const Parameter& parameter, const MatrixBatch& batch) {
    if (batch.cols > kMaxCols)
        refuse(std::string(optimizer) + ": parameter " + in_quotes(parameter.name) + " has rows of " +
               std::to_string(batch.cols) + " elements; in 4 or 8 bits they may have at most " +
               std::to_string(kMaxCols));
}

void add_row_codes(StepBuilder& step, const Tensor& x, const RowCodes& to) {
    using Job = gpu::RowCodesJob;
    Job job{};
    job.rows = static_cast<std::uint32_t>(to.codes.rows());
    job.cols = static_cast<std::uint32_t>(x.cols());
    job.words = static_cast<std::uint32_t>(to.codes.cols());
    job.bits = to.bits;
    if (job.rows == 0 || job.cols == 0) return;
    const Capabilities& capabilities = step.device().capabilities();
    Operation operation = make_operation(kRowCodes, job,
                                         {{offsetof(Job, from), x, Access::read},
                                          {offsetof(Job, codes), to.codes, Access::write},
                                          {offsetof(Job, ranges), to.ranges, Access::write}},
                                         job.rows);
    operation.constants = {{gpu::SPEC_THREADS, threads_of(capabilities, capabilities.cpu ? 32 : 128)}};
    operation.reason = "one workgroup a row";
    const double elements = static_cast<double>(x.shape.count());
    operation.flops = 6.0 * elements;
    operation.bytes = 8.0 * elements + 4.0 * static_cast<double>(to.codes.shape.count()) + 8.0 * job.rows;
    step.graph().add(std::move(operation));
}

Tensor add_coded_gradient(StepBuilder& step, const StepBuilder::Item& item, const MatrixBatch& batch,
                          const RowCodes& codes) {
    using Job = gpu::CodedGradientJob;
    const Tensor sum = step.graph().temporary(DType::f32, batch.shape());
    const ElementGrid grid = step.elements(batch.count());
    Job job{};
    job.range = StepBuilder::range(batch.first, batch.count(), grid);
    job.cols = static_cast<std::uint32_t>(batch.cols);
    job.words = static_cast<std::uint32_t>(codes.codes.cols());
    job.bits = codes.bits;
    std::vector<Operand> operands{{offsetof(Job, codes), codes.codes, Access::read},
                                  {offsetof(Job, ranges), codes.ranges, Access::read},
                                  {offsetof(Job, sum), sum, Access::write}};
    StepBuilder::add_gradient(operands, offsetof(Job, gradient), item, batch.first, batch.count());
    Operation operation = make_operation(kCodedGradient, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_B, static_cast<std::uint32_t>(item.gradient.dtype)}};
    operation.reason = step.variant_reason();
    const double elements = static_cast<double>(batch.count());
    operation.flops = 4.0 * elements;
    operation.bytes = (StepBuilder::gradient_bytes(item) + 4.0) * elements +
                      4.0 * static_cast<double>(codes.codes.shape.count());
    step.graph().add(std::move(operation));
    return sum;
}

}  // namespace heron
