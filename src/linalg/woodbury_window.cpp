// SPDX-License-Identifier: MIT
// window_gram() and window_push(), and checks of windows.
#include <string>

#include "graph/graph.hpp"
#include "linalg/checks.hpp"
#include "linalg/woodbury.hpp"

namespace heron {

void check_elements(std::string_view who, std::string_view name, const Graph& graph, const Tensor& tensor,
                    std::uint64_t count, ElementKind kind) {
    check_tensor(who, name, graph, tensor);
    if (kind != ElementKind::u32) check_float_tensor(who, name, graph, tensor);
    const bool right_kind = kind == ElementKind::any_float ||
                            tensor.dtype == (kind == ElementKind::u32 ? DType::u32 : DType::f32);
    if (!right_kind || tensor.shape.count() != count || !is_contiguous(tensor))
        refuse(who, std::string(name) + " is " + text(tensor) + "; it must be contiguous, with " +
                        std::to_string(count) +
                        (kind == ElementKind::u32   ? " u32"
                         : kind == ElementKind::f32 ? " f32"
                                                    : " f32, f16 or bf16"));
}

void check_window(std::string_view who, const Graph& graph, const Window& window) {
    const Tensor& rows = window.rows;
    check_float_tensor(who, "the window", graph, rows);
    if (rows.rows() < 1 || rows.rows() > kMaxWindowRows || rows.cols() < 1)
        refuse(who, "the window is " + text(rows) + "; it must have 1 to " + std::to_string(kMaxWindowRows) +
                        " rows, of at least one element");
    const std::uint64_t count = rows.batch() * rows.rows();
    const std::uint64_t side = ceil_div(rows.rows(), gpu::WOODBURY_TILE);
    if (rows.batch() * (side * (side + 1) / 2) * (gpu::WOODBURY_TILE * gpu::WOODBURY_TILE) > kMaxIndex)
        refuse(who, "the window is " + text(rows) +
                        "; tiles of its Gram matrices have 2^32 elements or more, "
                        "split the batch");
    check_elements(who, "the Gram matrix", graph, window.gram, count * rows.rows(), ElementKind::f32);
    check_elements(who, "exponents", graph, window.exponents, count, ElementKind::u32);
    check_no_overlap(who, "the Gram matrix", window.gram, "the window", rows, graph);
    check_no_overlap(who, "exponents", window.exponents, "the window", rows, graph);
    check_no_overlap(who, "exponents", window.exponents, "the Gram matrix", window.gram, graph);
}

void check_apart(std::string_view who, const Graph& graph, std::string_view name, const Tensor& output,
                 const Window& window) {
    check_no_overlap(who, name, output, "the window", window.rows, graph);
    check_no_overlap(who, name, output, "the Gram matrix", window.gram, graph);
    check_no_overlap(who, name, output, "exponents", window.exponents, graph);
}

void window_gram(Graph& graph, const Window& window, bool guarded) {
    const char* who = "window_gram";
    check_window(who, graph, window);
    if (window.normalized)
        refuse(who, "the window is normalised; its exponents cannot be found from its rows");
    if (window.rows.batch() == 0) return;
    WoodburyPasses(graph, window, guarded).gram();
}

void window_push(Graph& graph, const Window& window, const Tensor& gradient, const Tensor& slot,
                 const WindowPushOptions& options) {
    const char* who = "window_push";
    check_window(who, graph, window);
    const std::uint64_t items = window.rows.batch();
    check_elements(who, "the gradient", graph, gradient, items * window.rows.cols(), ElementKind::any_float);
    check_elements(who, "the slot", graph, slot, 1, ElementKind::u32);
    check_apart(who, graph, "the gradient", gradient, window);
    check_apart(who, graph, "the slot", slot, window);
    if (options.newest) {
        check_elements(who, "newest", graph, options.newest, items * window.rows.rows(), ElementKind::f32);
        check_apart(who, graph, "newest", options.newest, window);
        check_no_overlap(who, "newest", options.newest, "the slot", slot, graph);
        check_no_overlap(who, "newest", options.newest, "the gradient", gradient, graph);
    }
    if (items == 0) return;
    WoodburyPasses(graph, window, options.guarded).push(gradient, slot, options.newest);
}

}  // namespace heron
