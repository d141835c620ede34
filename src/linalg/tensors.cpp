// SPDX-License-Identifier: MIT
#include "linalg/tensors.hpp"

#include <algorithm>
#include <tuple>
#include <utility>

#include "core/shared.h"
#include "graph/graph.hpp"
#include "linalg/checks.hpp"

namespace heron {

void check_float_vector(std::string_view who, const std::string& name, const Graph& graph,
                        const Tensor& tensor, std::uint64_t count) {
    check_float_tensor(who, name, graph, tensor);
    if (tensor.shape.count() != count || !is_contiguous(tensor))
        refuse(who, name + " is " + text(tensor) + "; it must have " + std::to_string(count) +
                        " elements without gaps");
}

void check_vector(std::string_view who, const std::string& name, const Graph& graph, const Tensor& tensor,
                  std::uint64_t count, DType dtype) {
    check_tensor(who, name, graph, tensor);
    if (tensor.dtype != dtype || tensor.shape.count() != count || !is_contiguous(tensor))
        refuse(who, name + " is " + text(tensor) + "; it must have " + std::to_string(count) + " " +
                        to_string(dtype) + " without gaps");
}

void Extents::add(std::string name, const Tensor& tensor, bool written) {
    if (!tensor || tensor.span_bytes() == 0) return;
    const Object& object = graph_.impl().objects[tensor.id];
    const bool external = object.kind == ObjectKind::external;
    const std::uint64_t begin = tensor.byte_offset + (external ? object.view.address : 0);
    extents_.push_back({std::move(name), tensor, external, written, external ? 0 : tensor.id, begin,
                        begin + tensor.span_bytes()});
}

void Extents::check(std::string_view who) {
    std::stable_sort(extents_.begin(), extents_.end(), [](const Extent& a, const Extent& b) {
        return std::tie(a.external, a.id, a.begin) < std::tie(b.external, b.id, b.begin);
    });
    // Of what began before in the same memory: the one that reaches furthest, and the one that is written.
    const Extent* furthest = nullptr;
    const Extent* furthest_written = nullptr;
    for (const Extent& extent : extents_) {
        if (furthest && (furthest->external != extent.external || furthest->id != extent.id))
            furthest = furthest_written = nullptr;
        const Extent* other = extent.written ? furthest : furthest_written;
        if (other && extent.begin < other->end) {
            const Extent& out = extent.written ? extent : *other;
            const Extent& in = extent.written ? *other : extent;
            refuse(who, out.name + " (" + text(out.tensor) + ") overlaps " + in.name + " (" +
                            text(in.tensor) + "); what is written needs memory of its own");
        }
        if (!furthest || extent.end > furthest->end) furthest = &extent;
        if (extent.written && (!furthest_written || extent.end > furthest_written->end))
            furthest_written = &extent;
    }
}

Chunks::Chunks(const Device& device, std::uint64_t elements) {
    const bool cpu = device.capabilities().cpu;
    threads = cpu ? 8 : 128;
    per_thread = narrow(
        std::clamp<std::uint64_t>(ceil_div(elements, std::uint64_t{threads} * 2048), cpu ? 512 : 64, 32768));
}

std::string Chunks::text() const {
    return "chunks of " + std::to_string(length()) + " elements, " + std::to_string(threads) +
           " invocations each";
}

std::vector<SpecConstant> PassGrid::constants() const {
    return {{gpu::SPEC_THREADS, threads}, {gpu::SPEC_PER_THREAD, per_thread}};
}

void add_operation(Graph& graph, Operation operation, std::vector<SpecConstant> constants, double flops,
                   double bytes, bool guarded, std::string reason) {
    operation.flops = flops;
    operation.bytes = bytes;
    add_operation(graph, std::move(operation), std::move(constants), guarded, std::move(reason));
}

void add_operation(Graph& graph, Operation operation, std::vector<SpecConstant> constants, bool guarded,
                   std::string reason) {
    operation.constants = std::move(constants);
    operation.guarded = guarded;
    operation.reason = std::move(reason);
    graph.add(std::move(operation));
}

}  // namespace heron
