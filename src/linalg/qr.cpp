// SPDX-License-Identifier: MIT
// qr(): Householder vectors panel by panel, or Cholesky QR.
#include "heron/linalg/qr.hpp"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string>

#include "graph/element_bytes.hpp"
#include "graph/graph.hpp"
#include "heron/linalg/cholesky.hpp"
#include "heron/spirv/qr_finish.hpp"
#include "heron/spirv/qr_panel.hpp"
#include "heron/spirv/qr_start.hpp"
#include "heron/spirv/qr_status.hpp"
#include "linalg/blocks.hpp"
#include "linalg/checks.hpp"
#include "linalg/cholesky.hpp"
#include "linalg/integers.hpp"
#include "linalg/pivots.hpp"
#include "linalg/qr.h"
#include "linalg/reduce.hpp"
#include "linalg/tensors.hpp"

namespace heron {

static_assert(sizeof(gpu::QrPanelJob) == 112);
static_assert(sizeof(gpu::QrStartJob) == 72);
static_assert(sizeof(gpu::QrStatusJob) == 48);
static_assert(sizeof(gpu::QrFinishJob) == 88);

namespace {

constexpr KernelInfo kPanel = make_kernel<gpu::QrPanelJob>("qr_panel", spirv::qr_panel);
constexpr KernelInfo kStart = make_kernel<gpu::QrStartJob>("qr_start", spirv::qr_start);
constexpr KernelInfo kStatus = make_kernel<gpu::QrStatusJob>("qr_status", spirv::qr_status);
constexpr KernelInfo kFinish = make_kernel<gpu::QrFinishJob>("qr_finish", spirv::qr_finish);

constexpr std::uint64_t kPanelWidth = gpu::QR_PANEL;
constexpr std::uint64_t kMostRowsOfAutomaticHouseholder = 1024;
constexpr std::uint64_t kMostRowsOfHouseholder = 4096;  // one workgroup goes through all of them

float rank_tolerance(std::uint64_t n) {
    return static_cast<float>(4.0 * std::sqrt(static_cast<double>(n)) * 0x1p-24);
}

void check(const Graph& graph, const Tensor& a, const Tensor& q, const Tensor& r, const QrOptions& options) {
    const char* who = "qr";
    check_enumerator(who, options.method, QrMethod::cholesky, "method is not one of QrMethod");
    check_float_tensor(who, "A", graph, a);
    check_float_tensor(who, "Q", graph, q);
    check_float_tensor(who, "R", graph, r);
    if (q.dtype != DType::f32) refuse(who, "Q is " + text(q) + "; its elements must be f32");
    if (r.dtype != DType::f32) refuse(who, "R is " + text(r) + "; its elements must be f32");
    if (a.rows() < a.cols())
        refuse(who, "A is " + text(a) + "; it must have at least as many rows as columns (transpose it)");
    if (q.shape != a.shape) refuse(who, "A is " + text(a) + ", Q is " + text(q) + "; shapes must agree");
    if (r.rows() != a.cols() || r.cols() != a.cols() || r.batch() != a.batch())
        refuse(who, "A is " + text(a) + ", R is " + text(r) + "; R must have " + std::to_string(a.cols()) +
                        " rows and columns, and as many matrices");
    if (options.method == QrMethod::householder && a.rows() > kMostRowsOfHouseholder)
        refuse(who, "A is " + text(a) + "; Householder's method takes at most " +
                        std::to_string(kMostRowsOfHouseholder) + " rows, use QrMethod::cholesky");
    if (const std::uint64_t largest = max_cholesky_rows(graph.device()); a.cols() > largest)
        refuse(who, "A is " + text(a) + "; at most " + std::to_string(largest) +
                        " columns are possible, as cholesky() has them as rows");
    if (options.passes < 2 || options.passes > 4)
        refuse(who, "passes is " + std::to_string(options.passes) + "; it must be 2, 3 or 4");
    if (!same_place(graph, a, q)) check_no_overlap(who, "Q", q, "A", a, graph);
    check_no_overlap(who, "R", r, "A", a, graph);
    check_no_overlap(who, "R", r, "Q", q, graph);
    check_status_tensor(who, graph, options.status, a.batch());
    if (!options.status) return;
    check_no_overlap(who, "status", options.status, "A", a, graph);
    check_no_overlap(who, "status", options.status, "Q", q, graph);
    check_no_overlap(who, "status", options.status, "R", r, graph);
}

class Qr {
public:
    Qr(Graph& graph, const Tensor& a, const Tensor& q, const Tensor& r, const QrOptions& options)
        : graph_(graph),
          a_(a),
          q_(q),
          r_(r),
          options_(options),
          m_(a.rows()),
          n_(a.cols()),
          items_(a.batch()),
          cpu_(graph.device().capabilities().cpu) {}

    // No columns: the status alone.
    void nothing() { add_status(graph_.temporary(DType::f32, Shape{items_, 0, 0}), {}); }

    void householder() {
        const Tensor w = graph_.temporary(DType::f32, Shape{items_, m_, n_});
        if (n_ <= kPanelWidth) {
            panel(w, {}, {}, 0, n_, true);
            return;
        }
        const Tensor v = graph_.temporary(DType::f32, Shape{items_, m_, n_});
        const Tensor product = graph_.temporary(DType::f32, Shape{items_, m_, n_});
        start(w, q_, {});
        for (std::uint64_t first = 0; first < n_; first += kPanelWidth) {
            const std::uint64_t width = std::min(kPanelWidth, n_ - first), rest = n_ - first - width;
            panel(w, v, product, first, width, false);
            // (I - V T^T V^T) W, right of the panel
            if (rest > 0) reflect(v, product, w, first, width, first + width, rest);
        }
        // Q = H_1 ... H_n E: the last panel first, and only where E is not the identity any more.
        const std::uint64_t last = (n_ - 1) / kPanelWidth * kPanelWidth;
        for (std::uint64_t first = last + kPanelWidth; first > 0;) {
            first -= kPanelWidth;
            const std::uint64_t width = std::min(kPanelWidth, n_ - first);
            reflect(product, v, q_, first, width, first, n_ - first);
        }
        const Tensor status = add_status(w, {});
        finish(w, status, {}, options_.positive_diagonal);
    }

    void cholesky_qr() {
        const Tensor exponent = graph_.temporary(DType::u32, Shape{items_});
        norm_exponent(graph_, a_, exponent, options_.guarded);
        const Tensor w = graph_.temporary(DType::f32, a_.shape);
        start(w, {}, exponent);
        const Tensor factored = graph_.temporary(DType::u32, Shape{items_});
        Tensor x = w, product;
        for (std::uint32_t pass = 0; pass < options_.passes; ++pass) {
            const Tensor gram = graph_.temporary(DType::f32, r_.shape);
            const Tensor u = graph_.temporary(DType::f32, r_.shape);
            GemmOptions squares, plain;
            squares.transpose_a = Transpose::yes;
            squares.guarded = plain.guarded = options_.guarded;
            syrk(graph_, x, {}, gram, squares);
            CholeskyOptions factor;
            factor.triangle = Triangle::upper;
            factor.guarded = options_.guarded;
            // A shift of eps tr(X^T X), and ten, and a hundred times that; it leaves the columns less than
            // orthonormal, which two more passes repair. Later ones need a shift where columns are multiples
            // of others to the last bit, so that no rounding has told them apart: of the roundings of n
            // terms, which columns of length 1 do not feel.
            if (pass < 2 && options_.passes == 4)
                factor.jitter = {.retries = 3, .relative = static_cast<float>(n_) * 0x1p-23f};
            else
                factor.jitter = {.retries = 2, .absolute = 1e-20f, .relative = 2 * pivot_tolerance(n_)};
            if (pass == 0) factor.status = factored;
            cholesky(graph_, gram, u, factor);
            TriangularOptions solve;
            solve.triangle = Triangle::upper;
            solve.side = Side::right;
            solve.guarded = options_.guarded;
            triangular_solve(graph_, u, x, q_, solve);
            x = q_;
            if (pass == 0) {
                product = u;
            } else {
                const Tensor next = graph_.temporary(DType::f32, r_.shape);
                gemm(graph_, u, product, {}, next, plain);
                product = next;
            }
        }
        const Tensor status = add_status(product, factored);
        finish(product, status, exponent, false);
    }

private:
    std::uint32_t row_threads() const { return cpu_ ? 8 : 128; }
    std::uint32_t rows_per_group() const { return cpu_ ? 16 : 4; }

    template <typename Job>
    void place_results(Job& job) const {
        job.q_stride = narrow(q_.stride());
        job.q_item = item_stride(q_);
        job.r_stride = narrow(r_.stride());
        job.r_item = item_stride(r_);
    }

    void panel(const Tensor& w, const Tensor& v, const Tensor& product, std::uint64_t first,
               std::uint64_t width, bool whole) {
        gpu::QrPanelJob job{};
        job.m = narrow(m_);
        job.n = narrow(n_);
        job.first = narrow(first);
        job.width = narrow(width);
        job.flags = (whole ? gpu::QR_WHOLE : 0) | (options_.positive_diagonal ? gpu::QR_POSITIVE : 0);
        job.tolerance = rank_tolerance(n_);
        std::vector<Operand> operands{
            {offsetof(gpu::QrPanelJob, w), w, whole ? Access::write : Access::read_write}};
        if (whole) {
            job.a_stride = narrow(a_.stride());
            job.a_item = item_stride(a_);
            place_results(job);
            operands.push_back({offsetof(gpu::QrPanelJob, a), a_, Access::read});
            operands.push_back({offsetof(gpu::QrPanelJob, q), q_, Access::write});
            operands.push_back({offsetof(gpu::QrPanelJob, r), r_, Access::write});
            if (options_.status) {
                job.flags |= gpu::QR_HAS_STATUS;
                operands.push_back({offsetof(gpu::QrPanelJob, status), options_.status, Access::write});
            }
        } else {
            operands.push_back({offsetof(gpu::QrPanelJob, v), v, Access::write});
            operands.push_back({offsetof(gpu::QrPanelJob, product), product, Access::write});
        }
        Operation operation = make_operation(kPanel, job, std::move(operands), items_);
        const double rows = static_cast<double>((m_ - first) * items_), columns = static_cast<double>(width);
        operation.flops = (whole ? 8.0 : 6.0) * rows * columns * columns;
        operation.bytes = 4.0 * rows * columns * (2.0 * columns + 3.0);
        // 64: the partial sums of 32 columns fit 16 KiB. Eight on CPU drivers, where barriers are dear; but
        // lavapipe ends all loops of an invocation after 65,535 iterations together (700 a row).
        const std::uint32_t threads = !cpu_ || m_ - first > 512 ? 64 : 8;
        add_operation(graph_, std::move(operation),
                      {{gpu::SPEC_THREADS, threads},
                       {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(whole ? a_.dtype : DType::f32)}},
                      options_.guarded,
                      whole ? "up to 32 columns: one workgroup for each matrix"
                            : "32 columns of a larger matrix, one workgroup");
    }

    // X -= Y (Z^T X) in rows from `first` on and `count` columns from `col` on, Y and Z the panel's columns.
    void reflect(const Tensor& z, const Tensor& y, const Tensor& x, std::uint64_t first, std::uint64_t width,
                 std::uint64_t col, std::uint64_t count) {
        const Tensor inner = graph_.temporary(DType::f32, Shape{items_, width, count});
        GemmOptions transposed, minus;
        transposed.transpose_a = Transpose::yes;
        minus.alpha = -1.0f;
        minus.beta = 1.0f;
        transposed.guarded = minus.guarded = options_.guarded;
        const std::uint64_t rows = m_ - first;
        for (std::uint64_t item = 0; item < items_; ++item) {
            const Tensor part = block(x.batch_item(item), first, col, rows, count);
            gemm(graph_, block(z.batch_item(item), first, first, rows, width), part, {},
                 inner.batch_item(item), transposed);
            gemm(graph_, block(y.batch_item(item), first, first, rows, width), inner.batch_item(item), part,
                 part, minus);
        }
    }

    void start(const Tensor& w, const Tensor& identity, const Tensor& exponent) {
        gpu::QrStartJob job{};
        job.m = narrow(m_);
        job.n = narrow(n_);
        job.a_stride = narrow(a_.stride());
        job.a_item = item_stride(a_);
        job.flags = (identity ? gpu::QR_IDENTITY : 0) | (exponent ? gpu::QR_SCALED : 0);
        job.groups = narrow(ceil_div(m_, rows_per_group()));
        std::vector<Operand> operands{{offsetof(gpu::QrStartJob, a), a_, Access::read},
                                      {offsetof(gpu::QrStartJob, w), w, Access::write}};
        if (identity) {
            job.q_stride = narrow(identity.stride());
            job.q_item = item_stride(identity);
            operands.push_back({offsetof(gpu::QrStartJob, q), identity, Access::write});
        }
        if (exponent) operands.push_back({offsetof(gpu::QrStartJob, exponent), exponent, Access::read});
        Operation operation = make_operation(kStart, job, std::move(operands), items_ * job.groups);
        operation.bytes = element_bytes(a_, w) * (identity ? 1.5 : 1.0);
        add_operation(graph_, std::move(operation),
                      {{gpu::SPEC_THREADS, row_threads()},
                       {gpu::SPEC_DTYPE_A, static_cast<std::uint32_t>(a_.dtype)},
                       {gpu::SPEC_PER_THREAD, rows_per_group()}},
                      options_.guarded, "the only one");
    }

    Tensor add_status(const Tensor& w, const Tensor& factored) {
        const Tensor status = options_.status ? options_.status : graph_.temporary(DType::u32, Shape{items_});
        gpu::QrStatusJob job{};
        job.n = narrow(n_);
        job.step = narrow(w.stride() + 1);
        job.item = item_stride(w);
        job.flags = factored ? gpu::QR_HAS_FACTOR : 0;
        job.tolerance = rank_tolerance(n_);
        std::vector<Operand> operands{{offsetof(gpu::QrStatusJob, w), w, Access::read},
                                      {offsetof(gpu::QrStatusJob, status), status, Access::write}};
        if (factored) operands.push_back({offsetof(gpu::QrStatusJob, factored), factored, Access::read});
        Operation operation = make_operation(kStatus, job, std::move(operands), items_);
        operation.bytes = 4.0 * static_cast<double>(n_ * items_);
        add_operation(graph_, std::move(operation), {{gpu::SPEC_THREADS, cpu_ ? 8u : 64u}}, options_.guarded,
                      "the only one");
        return status;
    }

    void finish(const Tensor& w, const Tensor& status, const Tensor& exponent, bool positive) {
        gpu::QrFinishJob job{};
        job.m = narrow(m_);
        job.n = narrow(n_);
        job.w_stride = narrow(w.stride());
        job.w_item = item_stride(w);
        place_results(job);
        job.flags = (positive ? gpu::QR_POSITIVE : 0) | (exponent ? gpu::QR_SCALED : 0);
        job.groups = narrow(ceil_div(m_, rows_per_group()));
        std::vector<Operand> operands{{offsetof(gpu::QrFinishJob, w), w, Access::read},
                                      {offsetof(gpu::QrFinishJob, q), q_, Access::read_write},
                                      {offsetof(gpu::QrFinishJob, r), r_, Access::write},
                                      {offsetof(gpu::QrFinishJob, status), status, Access::read}};
        if (exponent) operands.push_back({offsetof(gpu::QrFinishJob, exponent), exponent, Access::read});
        Operation operation = make_operation(kFinish, job, std::move(operands), items_ * job.groups);
        operation.bytes = 2 * element_bytes(q_, r_);
        add_operation(graph_, std::move(operation),
                      {{gpu::SPEC_THREADS, row_threads()}, {gpu::SPEC_PER_THREAD, rows_per_group()}},
                      options_.guarded, "the only one");
    }

    Graph& graph_;
    const Tensor a_, q_, r_;
    const QrOptions& options_;
    const std::uint64_t m_, n_, items_;
    const bool cpu_;
};

}  // namespace

void qr(Graph& graph, const Tensor& a, const Tensor& q, const Tensor& r, const QrOptions& options) {
    check(graph, a, q, r, options);
    if (a.batch() == 0) return;
    QrMethod method = options.method;
    if (method == QrMethod::automatic)
        method = a.cols() <= kPanelWidth && a.rows() <= kMostRowsOfAutomaticHouseholder
                     ? QrMethod::householder
                     : QrMethod::cholesky;
    const Purpose purpose(graph, method == options.method ? "forced by QrOptions::method"
                                 : method == QrMethod::householder
                                     ? "householder: few columns, in one panel"
                                     : "cholesky: products, for large matrices");
    Qr operation(graph, a, q, r, options);
    if (a.cols() == 0)
        operation.nothing();
    else if (method == QrMethod::householder)
        operation.householder();
    else
        operation.cholesky_qr();
}

}  // namespace heron
