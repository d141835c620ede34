// SPDX-License-Identifier: MIT
// Woodbury solves for the identity plus low rank: the small system by cholesky() and its inverse.
#include <cstddef>
#include <string>
#include <utility>

#include "core/number_text.hpp"
#include "graph/graph.hpp"
#include "heron/linalg/cholesky.hpp"
#include "linalg/checks.hpp"
#include "linalg/woodbury.hpp"

namespace heron {

namespace {

constexpr float kEps32 = 0x1p-23f;

// `given`: y or b, `length` elements for each window.
void check_solve(std::string_view who, const Graph& graph, const Window& window, const NamedTensor& given,
                 std::uint64_t length, ElementKind kind, const Tensor& x, const WoodburyOptions& options) {
    check_window(who, graph, window);
    const std::uint64_t items = window.rows.batch();
    check_elements(who, given.name, graph, given.tensor, items * length, kind);
    check_elements(who, "x", graph, x, items * window.rows.cols(), ElementKind::f32);
    check_apart(who, graph, "x", x, window);
    check_no_overlap(who, "x", x, given.name, given.tensor, graph);
    check_enumerator(who, options.refinement, Refinement::always, "refinement is not one of Refinement");
    const Tensor& device_lambda = options.device_lambda;
    if (device_lambda) {
        check_elements(who, "device_lambda", graph, device_lambda,
                       device_lambda.shape.count() == 1 ? 1 : items, ElementKind::f32);
        check_no_overlap(who, "x", x, "device_lambda", device_lambda, graph);
    }
    const bool fits = device_lambda ? is_positive(options.weight) && is_positive(1.0f / options.weight)
                                    : is_positive(options.lambda) && is_positive(options.weight) &&
                                          is_positive(options.lambda / options.weight);
    if (!fits)
        refuse(who, "lambda is " + (device_lambda ? "the device's" : number_text(options.lambda)) +
                        ", the weight " + number_text(options.weight) + "; both must be positive and finite");
    if (options.damping) check_elements(who, "damping", graph, options.damping, items, ElementKind::f32);
    check_status_tensor(who, graph, options.status, items,
                        {given, {"x", x}, {"damping", options.damping}, {"device_lambda", device_lambda}});
    if (options.status) check_apart(who, graph, "status", options.status, window);
    const WindowFactor& kept = options.kept;
    if (kept.factor || kept.system || kept.counts) check_kept(who, graph, window, given, x, options);
    if (!options.damping) return;
    check_apart(who, graph, "damping", options.damping, window);
    check_no_overlap(who, "damping", options.damping, given.name, given.tensor, graph);
    check_no_overlap(who, "damping", options.damping, "x", x, graph);
    if (device_lambda)
        check_no_overlap(who, "damping", options.damping, "device_lambda", device_lambda, graph);
}

// What describe() says of every operation of a solve.
std::string purpose_of(const char* form, const WoodburyOptions& options) {
    return std::string(form) +
           (options.refinement == Refinement::never ? ", not refined"
            : options.refinement == Refinement::always
                ? ", refined"
                : ", refined where the small system is ill-conditioned") +
           (options.kept.factor ? ", with a factor that is kept" : "");
}

class SmallSystem {
public:
    // `earlier`: optional statuses of what the window was made with; where they are not ok, neither is the
    // system.
    SmallSystem(WoodburyPasses& passes, const WoodburyOptions& options, const Tensor& earlier = {})
        : passes_(passes), options_(options), earlier_(earlier) {
        Graph& graph = passes.graph();
        const std::uint64_t items = passes.items(), s = passes.s();
        const Shape square{items, s, s};
        const WindowFactor& kept = options.kept;
        const bool keeps = static_cast<bool>(kept.factor);
        b_ = keeps ? kept.system.reshape(square) : graph.temporary(DType::f32, square);
        const Tensor factor = keeps ? kept.factor.reshape(square) : graph.temporary(DType::f32, square);
        factors = graph.temporary(DType::f32, Shape{items, s});
        info = graph.temporary(DType::u32, Shape{items, gpu::WOODBURY_INFO_WORDS});
        q = graph.temporary(DType::f32, Shape{items, s});
        const WoodburyPasses::Lambda lambda{(options.device_lambda ? 1.0f : options.lambda) / options.weight,
                                            options.device_lambda};
        const Tensor changes = keeps ? graph.temporary(DType::u32, Shape{items, s, 2}) : Tensor{};
        passes.system(lambda, {.b = b_,
                               .factors = factors,
                               .info = info,
                               .average_rows = options.average_rows,
                               .kept = kept.counts,
                               .changes = changes});
        status_ = graph.temporary(DType::u32, Shape{items});
        jitter_ = graph.temporary(DType::f32, Shape{items});
        CholeskyOptions cholesky_options;
        // With the damping that is there, 10, 100, 1000 and 10,000 times 4 eps tr B.
        cholesky_options.jitter = {.retries = 4, .relative = 40 * kEps32 * static_cast<float>(s)};
        cholesky_options.status = status_;
        cholesky_options.jitter_used = jitter_;
        cholesky_options.guarded = options.guarded;
        if (keeps) {
            inverse_ = factor;
            add_kept_factor(passes, {b_, factor, kept.counts, changes, info}, cholesky_options);
            return;
        }
        inverse_ = graph.temporary(DType::f32, square);
        cholesky(graph, b_, factor, cholesky_options);
        TriangularInverseOptions inverse_options;
        inverse_options.guarded = options.guarded;
        triangular_inverse(graph, factor, inverse_, inverse_options);
    }

    // `partials`: of dots(); y where the right-hand side is given.
    void solve(std::uint32_t mode, const Tensor& y, const Tensor& partials, std::uint32_t extra_flags) {
        const bool first = mode == gpu::WOODBURY_SOLVE_FIRST;
        gpu::WoodburySolveJob job{};
        job.rows = narrow(passes_.s());
        job.chunks = narrow(passes_.chunks());
        job.mode = mode;
        job.flags =
            extra_flags | (y ? gpu::WOODBURY_HAS_Y : 0) | (options_.kept.factor ? gpu::WOODBURY_KEPT : 0);
        job.weight = options_.weight;
        using Job = gpu::WoodburySolveJob;
        std::vector<Operand> operands{
            {offsetof(Job, inverse), inverse_, Access::read},
            {offsetof(Job, q), q, mode == gpu::WOODBURY_SOLVE_REFINE ? Access::read_write : Access::write},
            {offsetof(Job, info), info, first ? Access::read_write : Access::read}};
        if (y) operands.push_back({offsetof(Job, y), y, Access::read});
        if (partials) operands.push_back({offsetof(Job, partials), partials, Access::read});
        if (first) {
            operands.push_back({offsetof(Job, b), b_, Access::read});
            operands.push_back({offsetof(Job, cholesky_status), status_, Access::read});
            operands.push_back({offsetof(Job, jitter), jitter_, Access::read});
            if (earlier_) {
                job.flags |= gpu::WOODBURY_HAS_EARLIER;
                operands.push_back({offsetof(Job, earlier), earlier_, Access::read});
            }
            if (options_.refinement == Refinement::automatic) job.flags |= gpu::WOODBURY_REFINES;
            if (options_.refinement == Refinement::always) job.flags |= gpu::WOODBURY_ALWAYS;
            if (options_.status) {
                job.flags |= gpu::WOODBURY_HAS_STATUS;
                operands.push_back({offsetof(Job, status), options_.status, Access::write});
            }
            if (options_.damping) {
                job.flags |= gpu::WOODBURY_HAS_DAMPING;
                operands.push_back({offsetof(Job, damping), options_.damping, Access::write});
            }
        } else if (mode != gpu::WOODBURY_SOLVE_REFINE) {
            operands[1].access = Access::read_write;  // left alone where there is no refinement
        }
        passes_.small_step(job, std::move(operands));
    }

    Tensor factors, info, q;

private:
    WoodburyPasses& passes_;
    const WoodburyOptions& options_;
    const Tensor earlier_;
    Tensor b_, inverse_, status_, jitter_;  // inverse_ of the factor; where that is kept, the factor itself
};

}  // namespace

void add_woodbury_range(Graph& graph, const Window& window, const Tensor& y, const Tensor& x,
                        const WoodburyOptions& options, const Tensor& earlier) {
    const Purpose purpose(graph, purpose_of("range form", options));
    WoodburyPasses passes(graph, window, options.guarded);
    SmallSystem system(passes, options, earlier);
    const float weight = 1.0f / options.weight;
    system.solve(gpu::WOODBURY_SOLVE_FIRST, y, {}, 0);
    const WoodburyPasses::Combine tensors{system.q, system.factors, system.info, {}, {}, x};
    passes.combine(tensors, gpu::WOODBURY_RANGE, 0, weight);
    if (options.refinement == Refinement::never) return;
    const std::uint32_t flag = gpu::WOODBURY_IF_REFINED;
    const Tensor ux = passes.dots(x, system.factors, system.info, {}, flag);
    system.solve(gpu::WOODBURY_SOLVE_REFINE, y, ux, flag);
    passes.combine(tensors, gpu::WOODBURY_RANGE, flag | gpu::WOODBURY_FINAL, weight);
}

void add_woodbury_solve(Graph& graph, const Window& window, const Tensor& b, const Tensor& x,
                        const WoodburyOptions& options, const Tensor& earlier) {
    const Purpose purpose(graph, purpose_of("subtractive form", options));
    WoodburyPasses passes(graph, window, options.guarded);
    SmallSystem system(passes, options, earlier);
    const float weight = 1.0f / options.weight;
    const Tensor ub = passes.dots(b, system.factors, {}, {}, 0);
    system.solve(gpu::WOODBURY_SOLVE_FIRST, {}, ub, 0);
    WoodburyPasses::Combine tensors{system.q, system.factors, system.info, b, {}, x};
    passes.combine(tensors, gpu::WOODBURY_SUBTRACT, 0, weight);
    if (options.refinement == Refinement::never) return;
    tensors.r = graph.temporary(DType::f32, Shape{passes.items(), passes.d()});
    const std::uint32_t flag = gpu::WOODBURY_IF_REFINED;
    const Tensor ux = passes.dots(x, system.factors, system.info, {}, flag);
    system.solve(gpu::WOODBURY_SOLVE_SUM, {}, ux, flag);
    passes.combine(tensors, gpu::WOODBURY_RESIDUAL, flag, weight);
    const Tensor ur = passes.dots(tensors.r, system.factors, system.info, {}, flag);
    system.solve(gpu::WOODBURY_SOLVE_AGAIN, {}, ur, flag);
    passes.combine(tensors, gpu::WOODBURY_CORRECT, flag | gpu::WOODBURY_FINAL, weight);
}

void woodbury_range(Graph& graph, const Window& window, const Tensor& y, const Tensor& x,
                    const WoodburyOptions& options) {
    check_solve("woodbury_range", graph, window, {"y", y}, window.rows.rows(), ElementKind::f32, x, options);
    if (window.rows.batch() > 0) add_woodbury_range(graph, window, y, x, options);
}

void woodbury_solve(Graph& graph, const Window& window, const Tensor& b, const Tensor& x,
                    const WoodburyOptions& options) {
    check_solve("woodbury_solve", graph, window, {"b", b}, window.rows.cols(), ElementKind::any_float, x,
                options);
    if (window.rows.batch() > 0) add_woodbury_solve(graph, window, b, x, options);
}

}  // namespace heron
