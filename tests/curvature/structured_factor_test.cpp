// SPDX-License-Identifier: MIT
// Structured matrices and SINGD's steps of them against float64, on every device: all structures, orders
// around their dense parts, element types.
//
// Errors are bounded element by element: a sum of k products, in any order, is off by (k + 2) u times the sum
// of their absolute values.
#include "curvature/structured_factor.hpp"

#include "linalg/linalg_test.hpp"
#include "support/structure_reference.hpp"

namespace heron::test {
namespace {

Matrix absolute(const Matrix& x) { return x.cwiseAbs(); }

class StructuredFactorTest : public LinalgTest {
protected:
    static std::vector<MatrixStructure> structures() {
        return {{.kind = StructureKind::dense},
                {.kind = StructureKind::diagonal},
                {.kind = StructureKind::block_diagonal, .block = 7},
                {.kind = StructureKind::lower_toeplitz},
                {.kind = StructureKind::upper_toeplitz},
                {.kind = StructureKind::hierarchical, .first = 4, .last = 3},
                {.kind = StructureKind::hierarchical, .first = 0, .last = 5}};
    }

    struct Structured {
        StructuredMatrix matrix;
        Matrix value;
        MatrixStructure structure;
    };
    // With ones on the diagonal, and what is beside them small.
    Structured structured(Graph& graph, const MatrixStructure& wanted, std::uint64_t order, DType dtype,
                          std::uint64_t seed) {
        const MatrixStructure s = resolved(wanted, order);
        const auto at = structure_positions(s, static_cast<Eigen::Index>(order));
        EXPECT_EQ(stored_shape(s, order).count(), at.size());
        Matrix stored = random_matrix(1, at.size(), seed);
        for (std::size_t e = 0; e < at.size(); ++e) {
            double& value = stored(0, static_cast<Eigen::Index>(e));
            value = 0.1 * value + (at[e].first == at[e].second ? 1.0 : 0.0);
        }
        const Placed placed = place(graph, {stored}, dtype);
        std::vector<double> values(placed.items[0].data(), placed.items[0].data() + at.size());
        return {{placed.tensor.reshape(stored_shape(s, order)), s, order},
                from_stored(s, static_cast<Eigen::Index>(order), values),
                s};
    }

    struct Result {
        std::string what;
        Placed copy;
        Matrix expected, bound;
        MatrixStructure structure;  // of what is stored; dense: all of it
    };
    // `magnitude`: sums of absolute values.
    void expect(Graph& graph, const std::string& what, const Tensor& result, const Matrix& expected,
                const Matrix& magnitude, std::uint64_t terms, const MatrixStructure& structure = {}) {
        const auto count = static_cast<std::uint64_t>(result.shape.count());
        const Placed copy = blank(graph, 1, 1, count);
        convert(graph, result.reshape(Shape{count}), copy.tensor.reshape(Shape{count}));
        results_.push_back(
            {what, copy, expected, (static_cast<double>(terms) + 4) * kUnit * magnitude, structure});
    }
    void check() {
        for (const Result& result : results_) {
            const Matrix computed = result.copy.read()[0];
            const std::vector<double> expected = flat(result.structure, result.expected),
                                      bound = flat(result.structure, result.bound);
            ASSERT_EQ(static_cast<std::size_t>(computed.size()), expected.size()) << result.what;
            double worst = 0;
            for (std::size_t e = 0; e < expected.size(); ++e) {
                const double error = std::abs(computed(0, static_cast<Eigen::Index>(e)) - expected[e]);
                worst = std::max(worst, error == 0 ? 0 : error / (bound[e] + 1e-37));
                if (!(error <= bound[e] + 1e-37)) worst = std::max(worst, 1e30);
            }
            ratio("sums", expected.size(), worst, 1.0, result.what);
        }
        results_.clear();
    }

private:
    static std::vector<double> flat(const MatrixStructure& structure, const Matrix& x) {
        if (structure.kind != StructureKind::dense) return to_stored(structure, x);
        return {x.data(), x.data() + x.size()};
    }
    std::vector<Result> results_;
};

TEST_P(StructuredFactorTest, ProductsGramsAndCongruencesMatchFloat64) {
    for (const DType dtype : {DType::f32, DType::bf16})
        for (const bool gpu_kernels : {false, true}) {
            if (gpu_kernels && dtype != DType::f32) continue;
            Graph graph(gpu_kernels ? gpu() : device());
            std::uint64_t seed = 1;
            for (const std::uint64_t order : {1, 2, 7, 15, 70})
                for (const MatrixStructure& wanted : structures()) {
                    const Structured k = structured(graph, wanted, order, dtype, seed++);
                    const std::string what = std::to_string(static_cast<int>(wanted.kind)) + " of order " +
                                             std::to_string(order) + ", " + to_string(dtype);
                    const Matrix size = absolute(k.value);
                    const std::uint64_t lines = order == 15 ? 70 : 6;
                    const Placed x = place(graph, {random_matrix(lines, order, seed++)});
                    const Placed z = place(graph, {random_matrix(order, lines, seed++)});
                    const Matrix &right = x.items[0], &left = z.items[0];
                    for (const bool transposed : {false, true}) {
                        const Matrix op = transposed ? Matrix(k.value.transpose()) : k.value;
                        const Transpose transpose = transposed ? Transpose::yes : Transpose::no;
                        expect(graph, what + ": X op(K)",
                               structured_product(graph, k.matrix, transpose, ProductSide::right, x.tensor),
                               right * op, absolute(right) * absolute(op), order);
                        expect(graph, what + ": op(K) X",
                               structured_product(graph, k.matrix, transpose, ProductSide::left, z.tensor),
                               op * left, absolute(op) * absolute(left), order);
                    }
                    const Matrix square = k.value * k.value.transpose(),
                                 square_size = size * size.transpose();
                    expect(graph, what + ": X K K^T",
                           structured_inverse_product(graph, k.matrix, ProductSide::right, x.tensor),
                           right * square, absolute(right) * square_size, 2 * order);
                    expect(graph, what + ": K K^T X",
                           structured_inverse_product(graph, k.matrix, ProductSide::left, z.tensor),
                           square * left, square_size * absolute(left), 2 * order);
                    expect(graph, what + ": Pi(K^T K)", structured_gram(graph, k.matrix).values,
                           projection(k.structure, k.value.transpose() * k.value),
                           projection(k.structure, size.transpose() * size), 2 * order, k.structure);

                    const Matrix rows = random_matrix(9, order, seed++);
                    const Placed u =
                        place(graph, {needs_all(k.structure)
                                          ? Matrix(rows.transpose() * rows)
                                          : Matrix(Eigen::Map<const Matrix>(
                                                to_stored(k.structure, rows.transpose() * rows).data(), 1,
                                                static_cast<Eigen::Index>(k.matrix.values.shape.count())))});
                    const Matrix full = rows.transpose() * rows;
                    expect(graph, what + ": Pi(K^T U K)",
                           structured_congruence(
                               graph, k.matrix,
                               u.tensor.reshape(needs_all(k.structure) ? Shape{order, order}
                                                                       : k.matrix.values.shape))
                               .values,
                           projection(k.structure, k.value.transpose() * full * k.value),
                           projection(k.structure, size.transpose() * absolute(full) * size), 3 * order,
                           k.structure);
                }
            run(graph);
            check();
        }
}

TEST_P(StructuredFactorTest, StatisticsComeStraightFromActivations) {
    Graph graph(device());
    std::uint64_t seed = 100;
    for (const MatrixStructure& wanted : structures()) {
        for (const std::uint64_t order : {5, 40})
            for (const std::uint64_t count : {3, 700})
                for (const bool bias : {false, true})
                    for (const DType dtype : {DType::f32, DType::f16}) {
                        const MatrixStructure s = resolved(wanted, order);
                        if (needs_all(s)) continue;
                        const Placed a = place(graph, {random_matrix(count, order - bias, seed++)}, dtype);
                        Matrix rows =
                            Matrix::Ones(static_cast<Eigen::Index>(count), static_cast<Eigen::Index>(order));
                        rows.leftCols(a.items[0].cols()) = a.items[0];
                        FactorSource source;
                        source.count = count;
                        source.rows.features = source.rows.row_stride =
                            static_cast<std::uint32_t>(order - bias);
                        const double scale = 0.25;
                        expect(
                            graph,
                            std::to_string(static_cast<int>(s.kind)) + ", " + std::to_string(count) + " rows",
                            structured_statistic(graph, s, order, a.tensor, source, 0, 0.25f),
                            scale * (rows.transpose() * rows),
                            scale * (absolute(rows).transpose() * absolute(rows)), count, s);
                    }
    }
    // Of the second group of images' channels.
    const ConvPatches patches{.kernel = {3, 2}, .stride = {1, 2}, .padding = {1, 1}, .groups = 2};
    const std::uint64_t channels = 4, height = 3, width = 4, order = 13;
    const Placed images = place(graph, {random_matrix(2, channels * height * width, seed)});
    const Tensor tensor = images.tensor.reshape(Shape{2, channels, height, width});
    const MatrixStructure s{.kind = StructureKind::hierarchical, .first = 4, .last = 3};
    Matrix factor = Matrix::Zero(order, order);
    for (Eigen::Index image = 0; image < 2; ++image)
        for (int oy = 0; oy < 3; ++oy)
            for (int ox = 0; ox < 3; ++ox) {
                Matrix row = Matrix::Zero(1, order);
                row(0, order - 1) = 1;
                for (int c = 0; c < 2; ++c)
                    for (int ky = 0; ky < 3; ++ky)
                        for (int kx = 0; kx < 2; ++kx) {
                            const int y = oy + ky - 1, x = 2 * ox + kx - 1;
                            if (y >= 0 && y < 3 && x >= 0 && x < 4)
                                row(0, (c * 3 + ky) * 2 + kx) =
                                    images.items[0](image, ((2 + c) * 3 + y) * 4 + x);
                        }
                factor += row.transpose() * row;
            }
    expect(graph, "patches",
           structured_statistic(graph, s, order, tensor, patch_source(tensor, patches), 1, 1), factor,
           Matrix::Constant(order, order, factor.diagonal().maxCoeff()), 18, s);
    run(graph);
    check();
}

TEST_P(StructuredFactorTest, StepsMatchFloat64) {
    for (const DType dtype : {DType::f32, DType::bf16})
        for (const bool kfac_like : {false, true})
            for (const bool normalize : {false, true}) {
                SCOPED_TRACE(std::string(to_string(dtype)) + (kfac_like ? " IKFAC" : "") +
                             (normalize ? " normalized" : ""));
                Graph graph(device());
                graph.control();
                const Words rate = words(graph, Shape{1}, {0x3e000000u}, DType::f32);     // 1/8
                const Words unscale = words(graph, Shape{1}, {0x40000000u}, DType::f32);  // 2
                FactorStep options{.sigma = 0.5,
                                   .alpha = kfac_like ? 0.0 : 0.25,
                                   .damping = 0.125,
                                   .kfac_like = kfac_like,
                                   .normalize = normalize,
                                   .rate = rate.tensor};
                struct Side {
                    Structured h, gram;
                    StructuredFactor factor;
                    Matrix k, m;
                    std::string name;
                };
                std::vector<Side> sides;
                std::uint64_t seed = 1;
                // Pairs of sides, of different structures.
                const std::vector<MatrixStructure> kinds = structures();
                for (std::size_t i = 0; i < 2 * kinds.size(); ++i) {
                    const MatrixStructure& kind = kinds[i % 2 == 0 ? i / 2 : (i / 2 + 1) % kinds.size()];
                    const std::uint64_t order = i % 2 == 0 ? 10 : 17;
                    Side side;
                    side.h = structured(graph, kind, order, DType::f32, seed++);
                    side.gram = structured(graph, kind, order, DType::f32, seed++);
                    side.name = "k" + std::to_string(i);
                    side.factor =
                        make_structured_factor(graph, side.name, kind, order, dtype, options.alpha > 0);
                    sides.push_back(side);
                }
                const auto curvature = [&](std::size_t i) {
                    return FactorCurvature{sides[i].h.matrix, sides[i].gram.matrix,
                                           i % 2 == 1 ? unscale.tensor : Tensor()};
                };
                for (std::size_t i = 0; i < sides.size(); ++i)
                    add_factor_step(graph, sides[i].factor, curvature(i), curvature(i ^ 1u), options);
                Plan plan = graph.compile({});
                plan.allocate();
                plan.initialize();
                EXPECT_EQ(plan.hazards(), std::vector<std::string>{});
                const auto read = [&](const Side& side, const std::string& name) {
                    const std::size_t count = side.factor.k.values.shape.count();
                    std::vector<std::byte> bytes(plan.state_view(name).span_bytes());
                    plan.read_state(name, bytes);
                    const Matrix stored = decode(bytes, dtype, 1, 1, count, count)[0];
                    return from_stored(side.factor.structure(),
                                       static_cast<Eigen::Index>(side.factor.order()),
                                       {stored.data(), stored.data() + count});
                };
                for (Side& side : sides) {
                    EXPECT_EQ(read(side, side.name),
                              Matrix(Matrix::Identity(side.h.value.rows(), side.h.value.rows())));
                    const std::size_t count = side.factor.k.values.shape.count();
                    for (const bool momentum : {false, true}) {
                        if (momentum && !side.factor.momentum) continue;
                        Matrix values = random_matrix(1, count, seed++);
                        if (!momentum) values.array() += 2.0;
                        values = rounded(values, dtype);
                        const std::string name = side.name + (momentum ? "_momentum" : "");
                        std::vector<std::byte> bytes = encode({values}, dtype, count);
                        bytes.resize(count * bytes_of(dtype));  // without what fills the last word
                        plan.write_state(name, bytes);
                    }
                    side.k = read(side, side.name);
                    side.m = side.factor.momentum ? read(side, side.name + "_momentum")
                                                  : Matrix(Matrix::Zero(side.k.rows(), side.k.cols()));
                }
                plan.run();
                for (std::size_t i = 0; i < sides.size(); ++i) {
                    SCOPED_TRACE("side " + std::to_string(i));
                    const Side &side = sides[i], &other = sides[i ^ 1u];
                    const double n = static_cast<double>(other.k.rows());
                    const double scale = i % 2 == 1 ? 4.0 : 1.0, other_scale = i % 2 == 1 ? 1.0 : 4.0;
                    const double t = kfac_like ? 1.0 : other_scale * other.h.value.trace() / n;
                    const double u = kfac_like ? 1.0 : other.gram.value.trace() / n;
                    const Matrix one = Matrix::Identity(side.k.rows(), side.k.cols());
                    Matrix m = 0.5 * (t * scale * side.h.value + 0.125 * u * side.gram.value - one);
                    if (!kfac_like) m += 0.25 * side.m;
                    const double beta = 0.125 / (normalize ? std::max(1.0, m.cwiseAbs().maxCoeff()) : 1.0);
                    const Matrix moved = side.k - beta * (side.k * m);
                    const double unit = unit_roundoff(dtype);
                    // Sums of up to n + 17 terms in every stage, then one rounding to the type.
                    const double sums = 64 * kUnit;
                    const Matrix size = absolute(side.k) +
                                        beta * (absolute(side.k) * (absolute(m) + (t * scale + u + 1) * one));
                    const Matrix error = read(side, side.name) - moved;
                    for (Eigen::Index e = 0; e < error.size(); ++e)
                        EXPECT_LE(std::abs(error.data()[e]),
                                  unit * std::abs(moved.data()[e]) + sums * size.data()[e] + 1e-37);
                    if (side.factor.momentum) {
                        const Matrix off = read(side, side.name + "_momentum") - m;
                        for (Eigen::Index e = 0; e < off.size(); ++e)
                            EXPECT_LE(std::abs(off.data()[e]),
                                      unit * std::abs(m.data()[e]) +
                                          sums * (std::abs(m.data()[e]) + t * scale + u + 1));
                    }
                }
            }
}

TEST_P(StructuredFactorTest, StepsThatAreNotFiniteAreDroppedAndCounted) {
    Graph graph(device());
    const Words rate = words(graph, Shape{1}, {0x3f800000u}, DType::f32);
    const Placed bad = place(graph, {Matrix{{1.0, 2.0, kNan}}}),
                 huge = place(graph, {Matrix{{1.0, 3e38, 0.0}}}),
                 good = place(graph, {Matrix{{1.0, 1.0, 2.0}}});
    const MatrixStructure diagonal{.kind = StructureKind::diagonal};
    const auto curvature = [&](const Placed& h) {
        return FactorCurvature{
            {h.tensor.reshape(Shape{3}), diagonal, 3}, {good.tensor.reshape(Shape{3}), diagonal, 3}, {}};
    };
    const FactorStep options{.kfac_like = true, .rate = rate.tensor};
    for (const auto& [name, h] : {std::pair{"bad", &bad}, {"huge", &huge}, {"good", &good}})
        add_factor_step(graph, make_structured_factor(graph, name, diagonal, 3, DType::f32, true),
                        curvature(*h), curvature(good), options);
    Plan plan = graph.compile({});
    plan.allocate();
    plan.initialize();
    plan.run();
    plan.run();
    const auto values = [&](const std::string& name) {
        std::vector<float> read(3);
        plan.read_state(name, std::as_writable_bytes(std::span(read)));
        return read;
    };
    for (const std::string name : {"bad", "huge", "good"}) {
        std::uint32_t failures = 7;
        plan.read_state(name + "_failures", std::as_writable_bytes(std::span(&failures, 1)));
        EXPECT_EQ(failures, name == "good" ? 0u : 2u) << name;
        EXPECT_EQ(values(name) == std::vector<float>(3, 1.0f), name != "good");
        EXPECT_EQ(values(name + "_momentum") == std::vector<float>(3, 0.0f), name != "good");
    }
}

HERON_DEVICE_TESTS(StructuredFactorTest);

}  // namespace
}  // namespace heron::test
