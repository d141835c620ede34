// SPDX-License-Identifier: MIT
#include "linalg/gemm_panels.hpp"

#include "graph/element_bytes.hpp"
#include "heron/spirv/gemm_pack.hpp"
#include "linalg/integers.hpp"
#include "linalg/pieces.hpp"

namespace heron {

static_assert(sizeof(gpu::GemmPackJob) == 72 && offsetof(gpu::GemmPackJob, first_group) == 68);

namespace {

constexpr KernelInfo kPack = make_kernel<gpu::GemmPackJob>("gemm_pack", spirv::gemm_pack);

}  // namespace

std::uint32_t panel_width(const Capabilities& device, GemmSide side) {
    return side == GemmSide::a ? gpu::PANEL_ROWS : gpu::PANEL_COLS * device.subgroup_size;
}

Tensor add_panels(Graph& graph, const GemmLines& x, bool guarded) {
    const Capabilities& device = graph.device().capabilities();
    const std::uint32_t width = panel_width(device, x.side);
    const std::uint64_t panels = ceil_div(x.count, width);
    const std::uint64_t padded_k = ceil_div(x.k, gpu::PANEL_STEP) * gpu::PANEL_STEP;
    const Tensor result = graph.temporary(DType::f32, Shape{x.items * panels, padded_k * width});
    gpu::GemmPackJob job{};
    job.lines = narrow(x.count);
    job.k = narrow(x.k);
    job.x_line = x.line;
    job.x_k = x.step;
    job.x_batch = x.item;
    job.width = width;
    job.flags = (x.side == GemmSide::b ? gpu::PACK_COLUMNS : 0) | x.active.flags();
    job.panels_item = narrow(panels);
    job.padded_k = narrow(padded_k);
    job.chunks = narrow(ceil_div(job.padded_k, gpu::PACK_CHUNK));
    std::vector<Operand> operands{{offsetof(gpu::GemmPackJob, x), x.x, Access::read},
                                  {offsetof(gpu::GemmPackJob, panels), result, Access::write}};
    x.active.add_to(operands, offsetof(gpu::GemmPackJob, active_items));
    Operation operation = make_operation(kPack, job, std::move(operands), x.items * panels * job.chunks);
    operation.constants = {{gpu::SPEC_THREADS, device.subgroup_size}, {gpu::SPEC_DTYPE_A, dtype_code(x.x)}};
    operation.reason = "panels for gemm_packed";
    operation.bytes = element_bytes(x.x, result);
    operation.guarded = guarded;
    graph.add(std::move(operation));
    return result;
}

Tensor Panels::part(std::uint64_t first, std::uint64_t count) const {
    const std::uint64_t step = tensor.cols() / steps;
    Tensor view = tensor;
    view.byte_offset += first / gpu::PANEL_STEP * step * sizeof(float);
    view.shape = Shape{tensor.rows(), ceil_div(count, gpu::PANEL_STEP) * step};
    view.row_stride = tensor.stride();
    return view;
}

Panels pack(Graph& graph, const GemmChoice& choice, GemmSide side, const Tensor& x, Transpose transpose,
            bool guarded) {
    const bool along_rows = (transpose == Transpose::yes) != (side == GemmSide::b);  // k is
    const std::uint64_t k = along_rows ? x.rows() : x.cols();
    if (!choice.kernel->packed || k > kMaxPiece) return {};  // longer ones are multiplied in pieces
    const std::uint32_t stride = narrow(x.stride());
    const GemmLines lines{.x = x,
                          .side = side,
                          .count = along_rows ? x.cols() : x.rows(),
                          .k = k,
                          .line = along_rows ? 1 : stride,
                          .step = along_rows ? stride : 1};
    return {add_panels(graph, lines, guarded), ceil_div(k, gpu::PANEL_STEP)};
}

}  // namespace heron
