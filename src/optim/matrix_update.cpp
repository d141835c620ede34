// SPDX-License-Identifier: MIT
// The kernel is shaders/optim/muon_update.comp.
#include "optim/matrix_update.hpp"

#include <cstddef>
#include <utility>

#include "heron/spirv/muon_update.hpp"
#include "optim/muon.h"

namespace heron {

namespace {

static_assert(sizeof(gpu::MuonUpdateJob) == 104);

constexpr KernelInfo kUpdate = make_kernel<gpu::MuonUpdateJob>("muon_update", spirv::muon_update);

}  // namespace

void add_matrix_update(StepBuilder& step, const StepBuilder::Item& item, const MatrixBlock& block,
                       const Tensor& update, DecayForm decay) {
    const double elements = static_cast<double>(block.count());
    const ElementGrid grid = step.elements(block.count());
    gpu::MuonUpdateJob job{};
    job.parameter = step.parameter_operand(item);
    job.range = StepBuilder::range(block.first, block.count(), grid);
    job.shape_factor = static_cast<float>(block.shape_factor);
    job.flags = decay == DecayForm::cautious ? gpu::MUON_CAUTIOUS : 0;
    std::vector<Operand> operands{{offsetof(gpu::MuonUpdateJob, factor), update, Access::read},
                                  {offsetof(gpu::MuonUpdateJob, hyper), step.hyper(), Access::read}};
    StepBuilder::add_parameter(operands, offsetof(gpu::MuonUpdateJob, parameter), item, block.first,
                               block.count());
    Operation operation = make_operation(kUpdate, job, std::move(operands), grid.groups);
    operation.constants = {{gpu::SPEC_THREADS, grid.threads},
                           step.variant(),
                           {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(item.weight.dtype)},
                           {gpu::SPEC_DTYPE_D, static_cast<std::uint32_t>(update.dtype)}};
    operation.reason = step.variant_reason();
    operation.flops = 3.0 * elements;
    operation.bytes =
        (StepBuilder::parameter_bytes(item) + static_cast<double>(bytes_of(update.dtype))) * elements;
    step.graph().add(std::move(operation));
}

}  // namespace heron
