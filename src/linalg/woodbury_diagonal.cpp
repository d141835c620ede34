// SPDX-License-Identifier: MIT
// woodbury_diagonal() and woodbury_diagonal_range(): scaled by the diagonal they are solves of the identity
// plus low rank, definite or not.
#include <cstddef>
#include <string>
#include <utility>

#include "graph/element_bytes.hpp"
#include "graph/graph.hpp"
#include "heron/linalg/cholesky.hpp"
#include "heron/linalg/product.hpp"
#include "heron/linalg/triangular.hpp"
#include "heron/spirv/woodbury_scale.hpp"
#include "heron/spirv/woodbury_unscale.hpp"
#include "linalg/blocks.hpp"
#include "linalg/checks.hpp"
#include "linalg/ldlt.hpp"
#include "linalg/tensors.hpp"
#include "linalg/woodbury.hpp"

namespace heron {

static_assert(sizeof(gpu::WoodburyScaleJob) == 64);
static_assert(sizeof(gpu::WoodburyUnscaleJob) == 24);

namespace {

constexpr KernelInfo kScale = make_kernel<gpu::WoodburyScaleJob>("woodbury_scale", spirv::woodbury_scale);
constexpr KernelInfo kUnscale =
    make_kernel<gpu::WoodburyUnscaleJob>("woodbury_unscale", spirv::woodbury_unscale);

constexpr std::uint32_t kScaleThreads = 64;

// The right-hand side: any b, or y of b = U y.
enum class Given { b, y };

// A system, and what is asked of it.
struct DiagonalSystem {
    const char* who;
    const Tensor &diagonal, &u, &c;
    Given kind;
    const Tensor &given, &x;
    const WoodburyDiagonalOptions& options;
};

void check(const Graph& graph, const DiagonalSystem& system) {
    const char* who = system.who;
    const Tensor &diagonal = system.diagonal, &u = system.u, &c = system.c, &x = system.x;
    const NamedTensor given{system.kind == Given::b ? "b" : "y", system.given};
    check_float_tensor(who, "U", graph, u);
    const std::uint64_t items = u.batch(), d = u.rows(), s = u.cols();
    if (s < 1 || s > kMaxWindowRows || d < 1)
        refuse(who, "U is " + text(u) + "; it must have 1 to " + std::to_string(kMaxWindowRows) +
                        " columns, of at least one element");
    check_elements(who, "the diagonal", graph, diagonal, items * d, ElementKind::f32);
    if (system.kind == Given::b)
        check_elements(who, given.name, graph, given.tensor, items * d, ElementKind::any_float);
    else
        check_elements(who, given.name, graph, given.tensor, items * s, ElementKind::f32);
    check_elements(who, "x", graph, x, items * d, ElementKind::f32);
    if (c) {
        check_float_tensor(who, "C", graph, c);
        if (c.dtype != DType::f32 || c.rows() != s || c.cols() != s || c.batch() != items)
            refuse(who, "C is " + text(c) + ", U is " + text(u) + "; it must be f32, " + std::to_string(s) +
                            "x" + std::to_string(s) + " for each item");
        check_no_overlap(who, "x", x, "C", c, graph);
    }
    check_no_overlap(who, "x", x, "the diagonal", diagonal, graph);
    check_no_overlap(who, "x", x, "U", u, graph);
    check_no_overlap(who, "x", x, given.name, given.tensor, graph);
    check_status_tensor(who, graph, system.options.status, items,
                        {{"the diagonal", diagonal}, {"U", u}, {"C", c}, given, {"x", x}});
}

// W = U^T D^(-1/2) as rows of a window, and t = D^(-1/2) b.
struct ScaledSystem {
    Window window;
    Tensor t;
};

ScaledSystem scale(Graph& graph, const DiagonalSystem& system) {
    const Tensor& u = system.u;
    const std::uint64_t items = u.batch(), d = u.rows(), s = u.cols();
    ScaledSystem result;
    result.window.rows = graph.temporary(DType::f32, Shape{items, s, d});
    result.window.gram = graph.temporary(DType::f32, Shape{items, s, s});
    result.window.exponents = graph.temporary(DType::u32, Shape{items, s});
    result.t = graph.temporary(DType::f32, Shape{items, d});
    // The kernel scales a right-hand side of d elements in any case. Where there is none, the diagonal stands
    // for it.
    const Tensor& b = system.kind == Given::b ? system.given : system.diagonal;
    using Job = gpu::WoodburyScaleJob;
    Job job{};
    job.d = narrow(d);
    job.s = narrow(s);
    job.u_stride = narrow(u.stride());
    job.u_item = item_stride(u);
    job.groups = narrow(ceil_div(d, kScaleThreads));
    add_operation(graph,
                  make_operation(kScale, job,
                                 {{offsetof(Job, diagonal), system.diagonal, Access::read},
                                  {offsetof(Job, u), u, Access::read},
                                  {offsetof(Job, b), b, Access::read},
                                  {offsetof(Job, w), result.window.rows, Access::write},
                                  {offsetof(Job, t), result.t, Access::write}},
                                 items * job.groups),
                  {{gpu::SPEC_THREADS, kScaleThreads},
                   {gpu::SPEC_DTYPE_A, dtype_code(u)},
                   {gpu::SPEC_DTYPE_B, dtype_code(b)}},
                  static_cast<double>(items * d * (s + 2)), element_bytes(u, result.window.rows),
                  system.options.guarded, "the only one");
    return result;
}

void unscale(Graph& graph, const DiagonalSystem& system) {
    const std::uint64_t count = system.u.batch() * system.u.rows();
    gpu::WoodburyUnscaleJob job{};
    job.count = narrow(count);
    add_operation(
        graph,
        make_operation(kUnscale, job,
                       {{offsetof(gpu::WoodburyUnscaleJob, diagonal), system.diagonal, Access::read},
                        {offsetof(gpu::WoodburyUnscaleJob, x), system.x, Access::read_write}},
                       ceil_div(count, kScaleThreads)),
        {{gpu::SPEC_THREADS, kScaleThreads}}, 2.0 * static_cast<double>(count),
        12.0 * static_cast<double>(count), system.options.guarded, "the only one");
}

// y as a column for each item; a single row of elements may have any stride.
Tensor columns_of(const Tensor& y, const Shape& shape) {
    Tensor columns = y;
    columns.shape = shape;
    columns.row_stride = 0;
    return columns;
}

// With C = R R^T, the rows of V^T = R^T W: x = (I + V V^T)^-1 t, or for y, V (I + V^T V)^-1 R^-1 y.
void add_definite(Graph& graph, const DiagonalSystem& system, ScaledSystem scaled) {
    const WoodburyDiagonalOptions& options = system.options;
    const Tensor& c = system.c;
    const std::uint64_t items = system.u.batch(), s = system.u.cols();
    Tensor earlier, y = system.given;
    if (c) {
        const Tensor factor = graph.temporary(DType::f32, c.shape);
        const Tensor rotated = graph.temporary(DType::f32, scaled.window.rows.shape);
        CholeskyOptions cholesky_options;
        earlier = graph.temporary(DType::u32, Shape{items});
        cholesky_options.status = earlier;
        cholesky_options.guarded = options.guarded;
        cholesky(graph, c, factor, cholesky_options);
        GemmOptions product;
        product.transpose_a = Transpose::yes;
        product.guarded = options.guarded;
        gemm(graph, factor, scaled.window.rows, {}, rotated, product);
        scaled.window.rows = rotated;
        if (system.kind == Given::y) {  // zeros where C has no factor
            const Shape column{items, s, 1};
            y = graph.temporary(DType::f32, column);
            TriangularOptions triangular;
            triangular.guarded = options.guarded;
            triangular_solve(graph, factor, columns_of(system.given, column), y, triangular);
        }
    }
    WoodburyPasses(graph, scaled.window, options.guarded).gram();
    WoodburyOptions solve;
    solve.lambda = 1.0f;
    solve.status = options.status;
    solve.guarded = options.guarded;
    if (system.kind == Given::b)
        add_woodbury_solve(graph, scaled.window, scaled.t, system.x, solve, earlier);
    else
        add_woodbury_range(graph, scaled.window, y, system.x, solve, earlier);
}

// x = (I + W^T C W)^-1 t = t - W^T z with (C^-1 + W W^T) z = W t; or for y, W^T z with (C^-1 + W W^T) z =
// C^-1 y.
void add_indefinite(Graph& graph, const DiagonalSystem& system, const ScaledSystem& scaled) {
    const bool subtracts = system.kind == Given::b;
    const WoodburyDiagonalOptions& options = system.options;
    const Tensor& c = system.c;
    WoodburyPasses passes(graph, scaled.window, options.guarded);
    const std::uint64_t items = passes.items(), s = passes.s();
    const Shape square = c.shape, column{items, s, 1};
    const auto f32 = [&](const Shape& shape) { return graph.temporary(DType::f32, shape); };
    const auto factor = [&] {
        return LdltFactor{f32(square), f32(Shape{items, s, 2}), graph.temporary(DType::u32, Shape{items, s})};
    };
    const Tensor status_c = graph.temporary(DType::u32, Shape{items});
    const Tensor status_b = graph.temporary(DType::u32, Shape{items});
    const LdltFactor factor_c = factor(), factor_b = factor();
    const Tensor inverse = f32(square), b = f32(square), factors = f32(Shape{items, s});
    const Tensor info = graph.temporary(DType::u32, Shape{items, gpu::WOODBURY_INFO_WORDS});
    ldlt(graph, c, factor_c, {.status = status_c, .guarded = options.guarded});
    add_ldlt_inverse(graph, factor_c, inverse, options.guarded);
    passes.gram();
    passes.system({1.0f}, {.c = inverse, .b = b, .factors = factors, .info = info});
    ldlt(graph, b, factor_b, {.status = status_b, .guarded = options.guarded});
    const Tensor right = f32(column), z = f32(column), q = f32(Shape{items, s});
    using Job = gpu::WoodburySolveJob;
    if (subtracts) {
        const Tensor wt = passes.dots(scaled.t, factors, {}, {}, 0);
        Job sum{};
        sum.rows = narrow(s);
        sum.chunks = narrow(passes.chunks());
        sum.mode = gpu::WOODBURY_SOLVE_SUM;
        passes.small_step(sum, {{offsetof(Job, partials), wt, Access::read},
                                {offsetof(Job, info), info, Access::read},
                                {offsetof(Job, q), right, Access::write}});
    } else {
        ldlt_solve(graph, factor_c, columns_of(system.given, column), right, {.guarded = options.guarded});
    }
    ldlt_solve(graph, factor_b, right, z, {.guarded = options.guarded});
    Job given{};
    given.rows = narrow(s);
    given.mode = gpu::WOODBURY_SOLVE_GIVEN;
    given.flags =
        gpu::WOODBURY_HAS_Y | gpu::WOODBURY_HAS_EARLIER | (options.status ? gpu::WOODBURY_HAS_STATUS : 0);
    std::vector<Operand> operands{{offsetof(Job, y), z, Access::read},
                                  {offsetof(Job, cholesky_status), status_b, Access::read},
                                  {offsetof(Job, earlier), status_c, Access::read},
                                  {offsetof(Job, q), q, Access::write},
                                  {offsetof(Job, info), info, Access::read_write}};
    if (options.status) operands.push_back({offsetof(Job, status), options.status, Access::write});
    passes.small_step(given, std::move(operands));
    passes.combine({q, factors, info, subtracts ? scaled.t : Tensor{}, {}, system.x},
                   subtracts ? gpu::WOODBURY_SUBTRACT : gpu::WOODBURY_RANGE, 0, 1.0f);
}

void add_diagonal(Graph& graph, const DiagonalSystem& system) {
    check(graph, system);
    if (system.u.batch() == 0) return;
    const ScaledSystem scaled = scale(graph, system);
    const bool indefinite = system.c && !system.options.positive_definite;
    const Purpose purpose(graph,
                          std::string(system.who) + (indefinite ? " by LDL^T: C may be indefinite"
                                                     : system.c ? " by Cholesky: C is positive definite"
                                                                : " by Cholesky: C is the identity"));
    if (indefinite)
        add_indefinite(graph, system, scaled);
    else
        add_definite(graph, system, scaled);
    unscale(graph, system);
}

}  // namespace

void woodbury_diagonal(Graph& graph, const Tensor& diagonal, const Tensor& u, const Tensor& c,
                       const Tensor& b, const Tensor& x, const WoodburyDiagonalOptions& options) {
    add_diagonal(graph, {"woodbury_diagonal", diagonal, u, c, Given::b, b, x, options});
}

void woodbury_diagonal_range(Graph& graph, const Tensor& diagonal, const Tensor& u, const Tensor& c,
                             const Tensor& y, const Tensor& x, const WoodburyDiagonalOptions& options) {
    add_diagonal(graph, {"woodbury_diagonal_range", diagonal, u, c, Given::y, y, x, options});
}

}  // namespace heron
