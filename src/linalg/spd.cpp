// SPDX-License-Identifier: MIT
// Symmetric positive definite systems and inverses, made of Cholesky factors, triangular systems and
// products.
#include "heron/linalg/spd.hpp"

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "linalg/checks.hpp"

namespace heron {

namespace {

void check_square(std::string_view who, const Graph& graph, std::string_view name, const Tensor& a) {
    check_float_tensor(who, name, graph, a);
    if (a.rows() != a.cols()) refuse(who, std::string(name) + " is " + text(a) + "; it must be square");
}

void check_system(std::string_view who, const Graph& graph, std::string_view name, const Tensor& a,
                  const Tensor& b, const Tensor& x) {
    check_square(who, graph, name, a);
    check_float_tensor(who, "B", graph, b);
    check_float_tensor(who, "X", graph, x);
    if (x.dtype != DType::f32) refuse(who, "X is " + text(x) + "; its elements must be f32");
    if (b.shape != x.shape) refuse(who, "B is " + text(b) + ", X is " + text(x) + "; shapes must agree");
    if (b.rows() != a.rows())
        refuse(who, std::string(name) + " is " + text(a) + ", B is " + text(b) + "; B must have " +
                        std::to_string(a.rows()) + " rows");
    check_no_overlap(who, "X", x, name, a, graph);
    if (!same_place(graph, x, b)) check_no_overlap(who, "X", x, "B", b, graph);
}

// What cholesky() reports may not lie where the other steps read and write.
void check_reports(std::string_view who, const Graph& graph, const CholeskyOptions& options,
                   std::uint64_t items, std::initializer_list<NamedTensor> others) {
    check_status_tensor(who, graph, options.status, items, others);
    if (!options.jitter_used) return;
    for (const NamedTensor& other : others)
        check_no_overlap(who, "jitter_used", options.jitter_used, other.name, other.tensor, graph);
}

}  // namespace

void cholesky_solve(Graph& graph, const Tensor& factor, const Tensor& b, const Tensor& x,
                    const CholeskySolveOptions& options) {
    const char* who = "cholesky_solve";
    check_enumerator(who, options.triangle, Triangle::upper, "triangle is not one of Triangle");
    check_system(who, graph, "the factor", factor, b, x);
    const bool lower = options.triangle == Triangle::lower;
    TriangularOptions step;
    step.triangle = options.triangle;
    step.transpose = lower ? Transpose::no : Transpose::yes;
    step.status = options.status;
    step.guarded = options.guarded;
    triangular_solve(graph, factor, b, x, step);
    step.transpose = lower ? Transpose::yes : Transpose::no;
    step.status = {};
    triangular_solve(graph, factor, x, x, step);
}

void spd_solve(Graph& graph, const Tensor& a, const Tensor& b, const Tensor& x,
               const CholeskyOptions& options) {
    const char* who = "spd_solve";
    check_enumerator(who, options.triangle, Triangle::upper, "triangle is not one of Triangle");
    check_system(who, graph, "A", a, b, x);
    if (a.batch() != b.batch())
        refuse(who, "A is " + text(a) + ", B is " + text(b) + "; give one A for each item of B");
    check_reports(who, graph, options, a.batch(), {{"B", b}, {"X", x}});
    const Tensor factor = graph.temporary(DType::f32, a.shape);
    cholesky(graph, a, factor, options);
    cholesky_solve(graph, factor, b, x, {.triangle = options.triangle, .guarded = options.guarded});
}

void spd_inverse(Graph& graph, const Tensor& a, const Tensor& x, const CholeskyOptions& options) {
    const char* who = "spd_inverse";
    check_enumerator(who, options.triangle, Triangle::upper, "triangle is not one of Triangle");
    check_square(who, graph, "A", a);
    check_square(who, graph, "X", x);
    if (x.dtype != DType::f32) refuse(who, "X is " + text(x) + "; its elements must be f32");
    if (a.shape != x.shape) refuse(who, "A is " + text(a) + ", X is " + text(x) + "; shapes must agree");
    if (!same_place(graph, x, a)) check_no_overlap(who, "X", x, "A", a, graph);
    check_reports(who, graph, options, a.batch(), {{"X", x}});
    const Tensor factor = graph.temporary(DType::f32, a.shape);
    const Tensor inverse = graph.temporary(DType::f32, a.shape);
    cholesky(graph, a, factor, options);
    triangular_inverse(graph, factor, inverse, {.triangle = options.triangle, .guarded = options.guarded});
    GemmOptions product;
    product.transpose_a = options.triangle == Triangle::lower ? Transpose::yes : Transpose::no;
    product.guarded = options.guarded;
    syrk(graph, inverse, {}, x, product);
}

}  // namespace heron
