// SPDX-License-Identifier: MIT
// Products against float64: cases, and the fixture that runs and judges them with every variant of a device.
#pragma once

#include <algorithm>
#include <cmath>
#include <heron/plan.hpp>
#include <limits>
#include <optional>
#include <ostream>

#include "cases/gemm_cases.hpp"
#include "linalg/gemm.hpp"
#include "linalg/linalg_test.hpp"
#include "support/reference.hpp"
#include "support/worst_ratios.hpp"

namespace heron::test {

struct GemmCase {
    std::uint64_t m = 1, n = 1, k = 1, batch = 1;
    bool transpose_a = false, transpose_b = false, symmetric = false;
    bool shared_a = false, shared_b = false;  // one matrix for the whole batch
    bool shared_c = false, in_place = false;
    float alpha = 1, beta = 0;
    DType a = DType::f32, b = DType::f32, c = DType::f32, d = DType::f32;
    std::uint64_t gap = 0;  // elements between the rows of all operands
    MatrixKind kind = MatrixKind::random;
    double constant = 0;  // not 0: every element of A and B
    std::string variant;
    std::vector<std::uint32_t> active;  // empty: all
    bool squares = false;               // of rows, and of matrices
    bool copied = false;                // operands and D are the graph's own, which it knows the place of
    std::uint64_t partial_sums = 0;     // not 0: GemmDetails
};

inline std::ostream& operator<<(std::ostream& out, const GemmCase& x) {
    out << (x.symmetric ? "symmetric " : "") << x.m << "x" << x.n << "x" << x.k << " batch " << x.batch
        << (x.transpose_a ? " A^T" : "") << (x.transpose_b ? " B^T" : "") << (x.shared_a ? " one A" : "")
        << (x.shared_b ? " one B" : "") << (x.shared_c ? " one C" : "") << (x.in_place ? " in place" : "")
        << " alpha " << x.alpha << " beta " << x.beta << " " << to_string(x.a) << " " << to_string(x.b) << " "
        << to_string(x.c) << " -> " << to_string(x.d) << " gap " << x.gap << " " << to_string(x.kind)
        << " matrices";
    if (!x.active.empty()) out << " some inactive";
    return x.variant.empty() ? out : out << ", " << x.variant;
}

class GemmTest : public LinalgTest {
protected:
    struct Pending {
        GemmCase gemm;
        Placed a, b, c, d;
        bool has_c;
        GuardedBuffer* row_squares;
    };

    static const GemmKernel* find_kernel(const std::string& variant) {
        for (const GemmKernel& kernel : gemm_kernels())
            if (kernel.info.name == variant) return &kernel;
        return nullptr;
    }
    // One matrix of D is all that a workgroup can do.
    static bool whole_matrices(const std::string& variant) {
        const GemmKernel* kernel = find_kernel(variant);
        return kernel != nullptr && kernel->whole_matrices;
    }

    DType operand_type(const std::string& variant) {
        const GemmKernel* kernel = find_kernel(variant);
        return on_matrix_units(variant).value_or(kernel->pairs ? DType::f16 : DType::f32);
    }

    // A case that its variant cannot take is left out.
    void add(Graph& graph, GemmCase x) {
        if (const auto type = on_matrix_units(x.variant)) x.a = x.b = *type;
        if (const GemmKernel* kernel = find_kernel(x.variant)) {
            if (kernel->pairs)
                for (DType* type : {&x.a, &x.b})
                    if (*type == DType::f32) *type = DType::f16;
            const GemmShape shape{x.m, x.n, x.k, x.batch, x.symmetric, x.a, x.b};
            if (!kernel->impossible(graph.device().capabilities(), shape).empty()) return;
        }
        const std::uint64_t seed = 1000 + names_;
        const auto matrices = [&](std::uint64_t items, std::uint64_t rows, std::uint64_t cols,
                                  std::uint64_t salt) {
            std::vector<Matrix> all;
            for (std::uint64_t item = 0; item < items; ++item)
                all.push_back(x.constant != 0 && salt != 3
                                  ? Matrix(Matrix::Constant(static_cast<Eigen::Index>(rows),
                                                            static_cast<Eigen::Index>(cols), x.constant))
                                  : make_matrix(x.kind, rows, cols, seed * 7 + salt + item * 31));
            return all;
        };
        Pending p;
        p.gemm = x;
        p.a =
            place(graph,
                  matrices(x.shared_a ? 1 : x.batch, x.transpose_a ? x.k : x.m, x.transpose_a ? x.m : x.k, 1),
                  x.a, x.gap);
        if (x.symmetric)
            p.b = p.a;
        else
            p.b = place(
                graph,
                matrices(x.shared_b ? 1 : x.batch, x.transpose_b ? x.n : x.k, x.transpose_b ? x.k : x.n, 2),
                x.b, x.gap);
        p.has_c = x.beta != 0;
        std::vector<Matrix> c = matrices(x.shared_c ? 1 : x.batch, x.m, x.n, 3);
        if (x.symmetric)
            for (Matrix& item : c) item = ((item + item.transpose()) / 2).eval();
        if (p.has_c) p.c = place(graph, c, x.in_place ? x.d : x.c, x.gap);
        // What D holds at first must not matter.
        const double nan = std::numeric_limits<double>::quiet_NaN();
        const std::vector<Matrix> nothing(
            x.batch, Matrix::Constant(static_cast<Eigen::Index>(x.m), static_cast<Eigen::Index>(x.n), nan));
        p.d = x.in_place ? p.c : place(graph, nothing, x.d, x.gap);

        GemmOptions options;
        options.transpose_a = x.transpose_a ? Transpose::yes : Transpose::no;
        options.transpose_b = x.transpose_b ? Transpose::yes : Transpose::no;
        options.alpha = x.alpha;
        options.beta = x.beta;
        options.variant = x.variant;
        if (!x.active.empty())
            options.active = graph.external(
                "active" + std::to_string(names_++),
                {guarded_on(graph.device(), x.active).address(), DType::u32, Shape{x.active.size()}});
        if (x.squares) {
            const std::uint64_t count = x.batch * x.m;
            p.row_squares = &guarded_on(graph.device(), std::vector<float>(count, -1.0f));
            options.row_squares = graph.external("squares" + std::to_string(names_++),
                                                 p.row_squares->view(DType::f32, {count}));
        }
        const auto operand = [&](const Tensor& external) {
            if (!x.copied) return external;
            const Tensor own = graph.temporary(external.dtype, external.shape);
            convert(graph, external, own);
            return own;
        };
        const Tensor c_tensor = p.has_c ? p.c.tensor : Tensor{};
        const Tensor d = x.copied && !x.in_place ? graph.temporary(x.d, p.d.tensor.shape) : p.d.tensor;
        if (x.symmetric)
            syrk(graph, operand(p.a.tensor), c_tensor, d, options);
        else if (x.partial_sums != 0)
            gemm(graph,
                 choose_gemm(graph.device().capabilities(), {x.m, x.n, x.k, x.batch, false, x.a, x.b},
                             x.variant),
                 p.a.tensor, p.b.tensor, d, options, {.partial_sums = x.partial_sums});
        else
            gemm(graph, operand(p.a.tensor), operand(p.b.tensor), c_tensor, d, options);
        if (d.id != p.d.tensor.id) convert(graph, d, p.d.tensor);
        pending_.push_back(std::move(p));
    }

    static void run(const Graph& graph, const PlanOptions& options = {}) {
        Plan plan = graph.compile(options);
        plan.allocate();
        EXPECT_TRUE(plan.hazards().empty());
        plan.run();
    }

    // Compares all products added since the last call; `wider` times the bound is allowed.
    void check(const std::string& variant = "the chosen kernel", double wider = 1) {
        for (const Pending& p : pending_) {
            const GemmCase& x = p.gemm;
            if (x.m == 0 || x.n == 0) continue;
            const auto bytes = p.d.buffer->read<std::byte>();
            EXPECT_TRUE(gaps_intact(bytes, x.d, x.batch, x.m, x.n, p.d.stride))
                << x << ": wrote between the rows";
            const std::vector<Matrix> results = decode(bytes, x.d, x.batch, x.m, x.n, p.d.stride);
            if (x.squares) check_squares(p, results);
            for (std::uint64_t item = 0; item < x.batch; ++item) {
                if (!x.active.empty() && x.active[item] == 0) {
                    const Matrix& before = p.d.items[item];
                    EXPECT_TRUE((results[item].array() == before.array() ||
                                 (results[item].array().isNaN() && before.array().isNaN()))
                                    .all())
                        << x << ": changed item " << item << ", which is not active";
                    continue;
                }
                Matrix a = p.a.items[x.shared_a ? 0 : item];
                if (x.transpose_a) a = a.transpose().eval();
                Matrix b = x.symmetric ? Matrix(a.transpose()) : p.b.items[x.shared_b ? 0 : item];
                if (!x.symmetric && x.transpose_b) b = b.transpose().eval();
                const Matrix c = p.has_c ? p.c.items[x.shared_c ? 0 : item] : Matrix();
                const double alpha = static_cast<double>(x.alpha), beta = static_cast<double>(x.beta);
                const Matrix expected = gemm_reference(alpha, a, b, beta, c);
                const double ratio =
                    gemm_error_ratio(results[item], expected, alpha, a, b, beta, c, x.d) / wider;
                if (!(ratio <= 1)) {
                    Eigen::Index row = 0, col = 0;
                    (results[item] - expected).cwiseAbs().maxCoeff(&row, &col);
                    ADD_FAILURE() << GetParam().name << ": " << x << ", item " << item << ": error is "
                                  << ratio << " of what is allowed, worst at (" << row << ", " << col
                                  << "): expected " << expected(row, col) << ", is "
                                  << results[item](row, col);
                }
                if (x.symmetric) {
                    EXPECT_TRUE(results[item] == results[item].transpose())
                        << x << ": not symmetric bit for bit";
                }
                ratios_.add(variant, std::max({x.m, x.n, x.k}), ratio);
            }
        }
        pending_.clear();
    }

    // Against the squares of D as it is, which may have been rounded to 16 bits since.
    void check_squares(const Pending& p, const std::vector<Matrix>& results) {
        const GemmCase& x = p.gemm;
        const double bound = 256 * 0x1p-24 + (x.d == DType::f32 ? 0 : 2.01 * unit_roundoff(x.d));
        const std::vector<float> rows = p.row_squares->floats();
        for (std::uint64_t item = 0; item < x.batch; ++item) {
            const Vector expected = results[item].rowwise().squaredNorm();
            for (std::uint64_t i = 0; i < x.m; ++i) {
                const double row = expected[static_cast<Eigen::Index>(i)];
                EXPECT_NEAR(static_cast<double>(rows[item * x.m + i]), row, bound * row)
                    << x << ", row " << i;
            }
        }
    }

    // Names of what the device can run. Those on matrix units take operands of one type only.
    std::vector<std::string> variants(Device& device, bool matrix_units = false) {
        std::vector<std::string> names;
        for (const GemmKernel& kernel : gemm_kernels())
            if (kernel.missing(device.capabilities()).empty() &&
                kernel.matrix_units.has_value() == matrix_units)
                names.emplace_back(kernel.info.name);
        return names;
    }
    std::vector<std::string> all_variants(Device& device) {
        std::vector<std::string> names = variants(device);
        for (std::string& name : variants(device, true)) names.push_back(std::move(name));
        return names;
    }
    static std::optional<DType> on_matrix_units(const std::string& variant) {
        const GemmKernel* kernel = find_kernel(variant);
        return kernel != nullptr ? kernel->matrix_units : std::nullopt;
    }

    WorstRatios ratios_;
    std::vector<Pending> pending_;
};

inline std::vector<GemmCase> awkward_gemm_cases() {
    std::vector<GemmCase> cases;
    for (const GemmSize& size : awkward_gemm_sizes()) {
        const bool small = size.m * size.n * size.k < 100000;
        for (int transposes = 0; transposes < 4; ++transposes) {
            if (!small && transposes != static_cast<int>(size.m % 4)) continue;
            cases.push_back({.m = size.m,
                             .n = size.n,
                             .k = size.k,
                             .transpose_a = (transposes & 1) != 0,
                             .transpose_b = (transposes & 2) != 0});
        }
    }
    return cases;
}

inline std::vector<GemmCase> gemm_option_cases() {
    return {
        {.m = 33, .n = 65, .k = 17, .alpha = -0.5f, .beta = 2.0f},
        {.m = 33, .n = 65, .k = 17, .in_place = true, .alpha = 0.25f, .beta = 1.0f},
        {.m = 40, .n = 24, .k = 31, .alpha = 0.0f, .beta = -1.0f},
        {.m = 9, .n = 70, .k = 0, .alpha = 1.0f, .beta = 3.0f},
        {.m = 9, .n = 70, .k = 0},
        {.m = 9, .n = 7, .k = 0, .batch = 3, .shared_c = true, .beta = 0.5f},
        {.m = 35, .n = 41, .k = 29, .gap = 3},
        {.m = 35, .n = 41, .k = 29, .transpose_a = true, .transpose_b = true, .beta = 1.0f, .gap = 5},
        {.m = 17, .n = 20, .k = 40, .batch = 5},
        {.m = 70, .n = 20, .k = 40, .batch = 5, .transpose_b = true, .shared_a = true},
        {.m = 17, .n = 67, .k = 40, .batch = 5, .transpose_a = true, .shared_b = true, .gap = 1},
        {.m = 17, .n = 67, .k = 4, .batch = 4, .shared_c = true, .beta = -2.0f},
        {.m = 17, .n = 67, .k = 4, .batch = 4, .shared_a = true, .shared_b = true},
    };
}

// To be run with squares.
inline std::vector<GemmCase> gemm_squares_cases() {
    return {
        {.m = 33, .n = 65, .k = 17, .alpha = -0.5f, .beta = 2.0f},
        {.m = 100, .n = 145, .k = 40, .batch = 3, .in_place = true, .beta = 1.0f, .gap = 1},
        {.m = 1, .n = 300, .k = 3},
        {.m = 150, .n = 1, .k = 3},
        {.m = 13, .n = 67, .k = 40, .batch = 7, .beta = 1.0f},
    };
}

inline std::vector<GemmCase> symmetric_gemm_cases() {
    std::vector<GemmCase> cases;
    for (std::uint64_t n :
         {1u, 2u, 3u, 8u, 15u, 16u, 17u, 31u, 33u, 63u, 64u, 65u, 127u, 128u, 129u, 200u, 257u})
        for (bool transpose : {false, true}) {
            GemmCase x{.m = n, .n = n, .k = 35, .transpose_a = transpose, .symmetric = true};
            if (n % 2 == 1) x.alpha = 0.5f, x.beta = -1.5f, x.in_place = transpose, x.gap = n % 3;
            if (n == 33) x.batch = 3;
            cases.push_back(x);
        }
    return cases;
}

// Aligned rows are read sixteen bytes at a time, transposed ones in pairs, others one by one.
inline std::vector<GemmCase> gemm_layout_cases() {
    std::vector<GemmCase> cases;
    for (const auto& [c, d] :
         {std::pair{DType::f32, DType::f32}, {DType::bf16, DType::f16}, {DType::f16, DType::bf16}})
        for (int transposes = 0; transposes < 4; ++transposes)
            for (std::uint64_t gap : {0u, 1u, 2u, 8u}) {
                GemmCase x{.m = 130,
                           .n = 72,
                           .k = 104,
                           .transpose_a = (transposes & 1) != 0,
                           .transpose_b = (transposes & 2) != 0,
                           .alpha = 0.5f,
                           .beta = 2.0f,
                           .c = c,
                           .d = d,
                           .gap = gap};
                cases.push_back(x);
                x.m = x.n = 136;
                x.symmetric = true;
                x.batch = 2;
                cases.push_back(x);
            }
    return cases;
}

}  // namespace heron::test
