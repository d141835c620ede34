// SPDX-License-Identifier: MIT
// Argument checks of linalg: name the operand, what it is, what it should be.
#include "linalg/checks.hpp"

#include <cmath>
#include <cstddef>

#include "core/number_text.hpp"
#include "graph/byte_rows.hpp"
#include "graph/graph.hpp"

namespace heron {

namespace {

// Where a tensor lies: in its memory object, or for the caller's memory at its device address.
struct Place {
    bool external;
    std::uint32_t id;
    ByteRows bytes;
};

Place place_of(const Graph& graph, const Tensor& tensor) {
    const Object& object = graph.impl().objects[tensor.id];
    const bool external = object.kind == ObjectKind::external;
    return {external, external ? 0 : tensor.id, byte_rows(tensor, external ? object.view.address : 0)};
}

}  // namespace

std::string text(const Tensor& tensor) {
    std::string result = tensor.shape.text() + " " + to_string(tensor.dtype);
    if (tensor.row_stride != 0 && tensor.row_stride != tensor.cols())
        result += " (row stride " + std::to_string(tensor.row_stride) + ")";
    return result;
}

void refuse(std::string_view operation, const std::string& what) {
    throw Error(ErrorCode::invalid_argument, std::string(operation) + ": " + what);
}

void check_tensor(std::string_view operation, std::string_view operand, const Graph& graph,
                  const Tensor& tensor) {
    if (!tensor) refuse(operation, std::string(operand) + " is empty; give it a tensor of the graph");
    if (!graph.impl().owns(tensor)) refuse(operation, std::string(operand) + " belongs to another graph");
}

void check_float_tensor(std::string_view operation, std::string_view operand, const Graph& graph,
                        const Tensor& tensor) {
    check_tensor(operation, operand, graph, tensor);
    const std::string name(operand);
    if (tensor.dtype == DType::u32)
        refuse(operation, name + " is " + text(tensor) + "; its elements must be f32, f16 or bf16");
    if (tensor.row_stride != 0 && tensor.row_stride < tensor.cols())
        refuse(operation, name + " is " + text(tensor) +
                              "; its rows overlap, the row stride must be at least " +
                              std::to_string(tensor.cols()));
    if (tensor.byte_offset % 4 != 0)
        refuse(operation,
               name + " is " + text(tensor) + " and begins " + std::to_string(tensor.byte_offset) +
                   " bytes into its memory; it must begin at a multiple of 4 bytes (an odd number of 16-bit "
                   "elements before it: pad the rows to an even stride)");
    if (tensor.span_bytes() / bytes_of(tensor.dtype) > 0xffffffffu)
        refuse(operation, name + " is " + text(tensor) +
                              "; a tensor may span at most 2^32 - 1 elements, split it into row ranges");
}

void check_indices(std::string_view operation, const Graph& graph, const Tensor& indices) {
    check_tensor(operation, "`indices`", graph, indices);
    if (indices.dtype != DType::u32) refuse(operation, "`indices` is " + text(indices) + "; it must be u32");
    Tensor as_float = indices;  // the other rules are those of 32-bit floats
    as_float.dtype = DType::f32;
    check_float_tensor(operation, "`indices`", graph, as_float);
}

void check_status_tensor(std::string_view operation, const Graph& graph, const Tensor& status,
                         std::uint64_t items, std::initializer_list<NamedTensor> others) {
    if (!status) return;
    check_tensor(operation, "status", graph, status);
    if (status.dtype != DType::u32 || status.shape.count() != items || !is_contiguous(status))
        refuse(operation, "status is " + text(status) + "; it must be a contiguous tensor of " +
                              std::to_string(items) + " u32, one for each matrix");
    for (const NamedTensor& other : others)
        if (other.tensor) check_no_overlap(operation, "status", status, other.name, other.tensor, graph);
}

void check_one_each(std::string_view operation, std::string_view result, const Graph& graph,
                    const Tensor& tensor, const Tensor& a) {
    check_float_tensor(operation, result, graph, tensor);
    if (tensor.dtype != DType::f32 || tensor.shape.count() != a.batch() || !is_contiguous(tensor))
        refuse(operation, std::string(result) + " is " + text(tensor) + ", A is " + text(a) +
                              "; it must be contiguous with one f32 for each matrix");
}

void check_batch(std::string_view operation, const char* operand, const Tensor& tensor, const Tensor& d) {
    if (tensor.batch() != 1 && tensor.batch() != d.batch())
        refuse(operation, std::string(operand) + " is " + text(tensor) + " with " +
                              std::to_string(tensor.batch()) + " matrices, D is " + text(d) + " with " +
                              std::to_string(d.batch()) + "; give it as many, or one for all");
}

void check_coefficients(std::string_view operation, float alpha, float beta) {
    if (!std::isfinite(alpha) || !std::isfinite(beta))
        refuse(operation,
               "alpha is " + number_text(alpha) + ", beta " + number_text(beta) + "; both must be finite");
}

bool overlap(const Graph& graph, const Tensor& a, const Tensor& b) {
    const Place x = place_of(graph, a);
    const Place y = place_of(graph, b);
    return x.external == y.external && x.id == y.id && overlap(x.bytes, y.bytes);
}

bool same_place(const Graph& graph, const Tensor& a, const Tensor& b) {
    const Place x = place_of(graph, a);
    const Place y = place_of(graph, b);
    return x.external == y.external && x.id == y.id && x.bytes.begin == y.bytes.begin && a.dtype == b.dtype &&
           a.rows() == b.rows() && a.cols() == b.cols() && a.stride() == b.stride() && a.batch() == b.batch();
}

void check_no_overlap(std::string_view operation, std::string_view output, const Tensor& written,
                      std::string_view input, const Tensor& read, const Graph& graph) {
    check_tensor(operation, output, graph, written);
    check_tensor(operation, input, graph, read);
    if (overlap(graph, written, read))
        refuse(operation, std::string(output) + " (" + text(written) + ") overlaps " + std::string(input) +
                              " (" + text(read) +
                              "), which is read while it is written; give it memory of its own");
}

bool is_contiguous(const Tensor& tensor) {
    return tensor.stride() == tensor.cols() || tensor.batch() * tensor.rows() <= 1;
}

std::uint32_t batch_stride(const Tensor& tensor) {
    return tensor.batch() == 1 ? 0 : static_cast<std::uint32_t>(tensor.rows() * tensor.stride());
}

}  // namespace heron
