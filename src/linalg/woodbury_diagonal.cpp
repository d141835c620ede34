// SPDX-License-Identifier: MIT
// woodbury_diagonal(): scaled by the diagonal it is the identity plus low rank, definite or not.
#include <cstddef>
#include <string>
#include <utility>

#include "graph/graph.hpp"
#include "heron/linalg/cholesky.hpp"
#include "heron/linalg/product.hpp"
#include "heron/spirv/woodbury_scale.hpp"
#include "heron/spirv/woodbury_unscale.hpp"
#include "linalg/blocks.hpp"
#include "linalg/checks.hpp"
#include "linalg/ldlt.hpp"
#include "linalg/woodbury.hpp"

namespace heron {

static_assert(sizeof(gpu::WoodburyScaleJob) == 64);
static_assert(sizeof(gpu::WoodburyUnscaleJob) == 24);

namespace {

constexpr KernelInfo kScale = make_kernel<gpu::WoodburyScaleJob>("woodbury_scale", spirv::woodbury_scale);
constexpr KernelInfo kUnscale =
    make_kernel<gpu::WoodburyUnscaleJob>("woodbury_unscale", spirv::woodbury_unscale);

// x = (I + W^T C W)^-1 t, W the rows of the window: x = t - W^T z, (C^-1 + W W^T) z = W t.
void add_indefinite(Graph& graph, Window& window, const Tensor& c, const Tensor& t, const Tensor& x,
                    const WoodburyDiagonalOptions& options) {
    WoodburyPasses passes(graph, window, options.guarded);
    const std::uint64_t items = passes.items(), s = passes.s();
    const Shape square = c.shape;
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
    passes.system(1.0f, inverse, b, factors, info);
    ldlt(graph, b, factor_b, {.status = status_b, .guarded = options.guarded});
    const Tensor wt = passes.dots(t, factors, {}, {}, 0);
    const Tensor right = f32(Shape{items, s, 1}), z = f32(Shape{items, s, 1}), q = f32(Shape{items, s});
    using Job = gpu::WoodburySolveJob;
    Job sum{};
    sum.rows = narrow(s);
    sum.chunks = narrow(passes.chunks());
    sum.mode = gpu::WOODBURY_SOLVE_SUM;
    passes.small_step(sum, {{offsetof(Job, partials), wt, Access::read},
                            {offsetof(Job, info), info, Access::read},
                            {offsetof(Job, q), right, Access::write}});
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
    passes.combine({q, factors, info, t, {}, x}, gpu::WOODBURY_SUBTRACT, 0, 1.0f);
}

}  // namespace

void woodbury_diagonal(Graph& graph, const Tensor& diagonal, const Tensor& u, const Tensor& c,
                       const Tensor& b, const Tensor& x, const WoodburyDiagonalOptions& options) {
    const char* who = "woodbury_diagonal";
    check_float_tensor(who, "U", graph, u);
    const std::uint64_t items = u.batch(), d = u.rows(), s = u.cols();
    if (s < 1 || s > kMaxWindowRows || d < 1)
        refuse(who, "U is " + text(u) + "; it must have 1 to " + std::to_string(kMaxWindowRows) +
                        " columns, of at least one element");
    check_elements(who, "the diagonal", graph, diagonal, items * d, ElementKind::f32);
    check_elements(who, "b", graph, b, items * d, ElementKind::any_float);
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
    check_no_overlap(who, "x", x, "b", b, graph);
    check_status_tensor(who, graph, options.status, items,
                        {{"the diagonal", diagonal}, {"U", u}, {"C", c}, {"b", b}, {"x", x}});
    if (items == 0) return;

    const std::uint32_t scale_threads = 64;
    Window window;
    window.rows = graph.temporary(DType::f32, Shape{items, s, d});
    window.gram = graph.temporary(DType::f32, Shape{items, s, s});
    window.exponents = graph.temporary(DType::u32, Shape{items, s});
    const Tensor t = graph.temporary(DType::f32, Shape{items, d});
    gpu::WoodburyScaleJob scale{};
    scale.d = narrow(d);
    scale.s = narrow(s);
    scale.u_stride = narrow(u.stride());
    scale.u_item = item_stride(u);
    scale.groups = narrow(ceil_div(d, scale_threads));
    Operation scaling = make_operation(kScale, scale,
                                       {{offsetof(gpu::WoodburyScaleJob, diagonal), diagonal, Access::read},
                                        {offsetof(gpu::WoodburyScaleJob, u), u, Access::read},
                                        {offsetof(gpu::WoodburyScaleJob, b), b, Access::read},
                                        {offsetof(gpu::WoodburyScaleJob, w), window.rows, Access::write},
                                        {offsetof(gpu::WoodburyScaleJob, t), t, Access::write}},
                                       items * scale.groups);
    scaling.constants = {{gpu::SPEC_THREADS, scale_threads},
                         {gpu::SPEC_DTYPE_A, dtype_code(u)},
                         {gpu::SPEC_DTYPE_B, dtype_code(b)}};
    scaling.reason = "the only one";
    scaling.flops = static_cast<double>(items * d * (s + 2));
    scaling.bytes = static_cast<double>(u.span_bytes() + window.rows.span_bytes());
    scaling.guarded = options.guarded;
    graph.add(std::move(scaling));

    const Purpose purpose(graph, !c ? "woodbury_diagonal by Cholesky: C is the identity"
                                 : options.positive_definite
                                     ? "woodbury_diagonal by Cholesky: C is positive "
                                       "definite"
                                     : "woodbury_diagonal by LDL^T: C may be indefinite");
    if (c && !options.positive_definite) {
        add_indefinite(graph, window, c, t, x, options);
    } else {
        Tensor earlier;
        if (c) {  // V^T = R^T W, R the Cholesky factor of C
            const Tensor factor = graph.temporary(DType::f32, c.shape);
            const Tensor rotated = graph.temporary(DType::f32, Shape{items, s, d});
            CholeskyOptions cholesky_options;
            earlier = graph.temporary(DType::u32, Shape{items});
            cholesky_options.status = earlier;
            cholesky_options.guarded = options.guarded;
            cholesky(graph, c, factor, cholesky_options);
            GemmOptions product;
            product.transpose_a = Transpose::yes;
            product.guarded = options.guarded;
            gemm(graph, factor, window.rows, {}, rotated, product);
            window.rows = rotated;
        }
        WoodburyPasses(graph, window, options.guarded).gram();
        WoodburyOptions solve;
        solve.lambda = 1.0f;
        solve.status = options.status;
        solve.guarded = options.guarded;
        add_woodbury_solve(graph, window, t, x, solve, earlier);
    }

    gpu::WoodburyUnscaleJob unscale{};
    unscale.count = narrow(items * d);
    Operation unscaling =
        make_operation(kUnscale, unscale,
                       {{offsetof(gpu::WoodburyUnscaleJob, diagonal), diagonal, Access::read},
                        {offsetof(gpu::WoodburyUnscaleJob, x), x, Access::read_write}},
                       ceil_div(items * d, scale_threads));
    unscaling.constants = {{gpu::SPEC_THREADS, scale_threads}};
    unscaling.reason = "the only one";
    unscaling.flops = 2.0 * static_cast<double>(items * d);
    unscaling.bytes = 12.0 * static_cast<double>(items * d);
    unscaling.guarded = options.guarded;
    graph.add(std::move(unscaling));
}

}  // namespace heron
