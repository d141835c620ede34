// SPDX-License-Identifier: MIT
// Woodbury solves, gradient windows and updated inverses against float64, on every device.

#include "linalg/woodbury_test.hpp"

namespace heron::test {
namespace {

TEST_P(WoodburyTest, GramMatricesMatchFloat64) {
    Graph graph(device());
    std::vector<std::pair<Matrix, PlacedWindow>> windows;
    for (std::uint64_t s : {1u, 2u, 7u, 8u, 9u, 17u})
        for (std::uint64_t d : {1u, 3u, 65u, 8193u, 40001u})
            for (DType dtype : {DType::f32, DType::f16, DType::bf16}) {
                if (dtype != DType::f32 && d != 65 && d != 8193) continue;
                if (d > 10000 && s > 8) continue;
                Matrix u = random_matrix(s, d, s + d);
                if (dtype == DType::f32 && s > 2) u.row(1) *= 1e-18, u.row(2) *= 1e17;
                u = rounded(u, dtype);
                const PlacedWindow w = window(graph, {u}, dtype, dtype == DType::f32 ? s % 3 : 1 + d % 2);
                window_gram(graph, w.window);
                windows.emplace_back(u, w);
            }
    run(graph);
    for (const auto& [u, w] : windows) {
        const Matrix k = w.gram64(), expected = u * u.transpose();
        EXPECT_EQ(k, k.transpose());
        for (Eigen::Index i = 0; i < k.rows(); ++i)
            for (Eigen::Index j = 0; j < k.cols(); ++j)
                ratio("Gram matrix", u, std::abs(k(i, j) - expected(i, j)),
                      64 * 0x1p-24 * u.row(i).norm() * u.row(j).norm(),
                      std::to_string(u.rows()) + " x " + std::to_string(u.cols()));
    }
}

TEST_P(WoodburyTest, SolvesMatchFloat64) {
    for (bool gpu_variants : {false, true}) {
        struct System {
            Matrix u, y, b;
            double lambda, weight;
            Placed range, solution;
            std::string what;
            bool refined;
        };
        Graph graph(gpu_variants ? smallest_gpu() : device());
        std::vector<System> systems;
        for (std::uint64_t s : {1u, 2u, 5u, 8u, 33u, 65u, 100u})
            for (std::uint64_t d : {1u, 7u, 40u, 3001u})
                for (double lambda : {1.0, 1e-3})
                    for (Refinement refinement :
                         {Refinement::automatic, Refinement::never, Refinement::always}) {
                        if (gpu_variants && (s == 2 || d == 7)) continue;
                        System system;
                        const DType dtype = s == 5 ? DType::bf16 : s == 8 ? DType::f16 : DType::f32;
                        // Strongly correlated rows are what optimizers have.
                        Matrix u = random_matrix(s, d, s + d);
                        u.rowwise() += Eigen::RowVectorXd(3 * random_matrix(1, d, 5).row(0));
                        system.u = rounded(u, dtype);
                        system.y = rounded(random_matrix(s, 1, 1), DType::f32);
                        system.b = rounded(random_matrix(d, 1, 2), DType::f32);
                        system.weight = s == 33 ? 1.0f / 33 : 1.0f;
                        system.lambda = static_cast<float>(lambda);
                        const PlacedWindow w =
                            window(graph, {system.u}, dtype, dtype == DType::f32 ? d % 2 : 0);
                        const Placed y = place(graph, {system.y}), b = place(graph, {system.b});
                        system.range = blank(graph, 1, d, 1);
                        system.solution = blank(graph, 1, d, 1);
                        const WoodburyOptions options{.lambda = static_cast<float>(lambda),
                                                      .weight = static_cast<float>(system.weight),
                                                      .refinement = refinement};
                        window_gram(graph, w.window);
                        woodbury_range(graph, w.window, y.tensor, system.range.tensor, options);
                        woodbury_solve(graph, w.window, b.tensor, system.solution.tensor, options);
                        system.what = std::to_string(s) + " x " + std::to_string(d) + " lambda " +
                                      std::to_string(lambda) + " refinement " +
                                      std::to_string(static_cast<int>(refinement));
                        system.refined = refinement != Refinement::never;
                        systems.push_back(system);
                    }
        run(graph);
        for (const System& system : systems) {
            // What is below 4 eps trace is raised to it.
            const double least = 4 * kEps32 * system.weight * system.u.squaredNorm();
            const double lambda = std::max(system.lambda, least);
            check_range(system.u, lambda, system.weight, system.y, system.range.read()[0], system.what);
            check_solve(system.u, lambda, system.weight, system.b, system.solution.read()[0], system.refined,
                        system.what);
        }
    }
}

// Of rows, and of the low-rank part beside a diagonal; damped by a thousandth of the largest eigenvalue.
TEST_P(WoodburyTest, TakesEveryKindOfMatrix) {
    struct System {
        Matrix u, y, b, diagonal;
        double lambda;
        Placed range, solution, x;
        std::string what;
    };
    Graph graph(device());
    std::vector<System> systems;
    for (MatrixKind kind : finite_matrix_kinds())
        for (std::uint64_t s : {9u, 40u}) {
            const std::uint64_t d = 300;
            System system;
            system.what = to_string(kind);
            system.u = make_matrix(kind, s, d, s);
            // Squares of rows, and their inverses, stay in range.
            const double largest = system.u.cwiseAbs().maxCoeff();
            system.u = rounded(system.u / std::sqrt(largest == 0 ? 1.0 : largest), DType::f32);
            const double norm = spectral_norm(system.u);
            const float lambda = norm == 0 ? 1.0f : static_cast<float>(1e-3 * norm * norm);
            system.lambda = static_cast<double>(lambda);
            system.y = rounded(random_matrix(s, 1, 1), DType::f32);
            system.b = rounded(random_matrix(d, 1, 2), DType::f32);
            system.diagonal =
                rounded((system.lambda * (random_matrix(d, 1, 3).array().abs() + 1.0)).matrix(), DType::f32);
            const PlacedWindow w = window(graph, {system.u});
            const Placed y = place(graph, {system.y}), b = place(graph, {system.b}),
                         diagonal = place(graph, {system.diagonal}),
                         columns = place(graph, {system.u.transpose()});
            system.range = blank(graph, 1, d, 1);
            system.solution = blank(graph, 1, d, 1);
            system.x = blank(graph, 1, d, 1);
            const WoodburyOptions options{.lambda = lambda, .refinement = Refinement::always};
            window_gram(graph, w.window);
            woodbury_range(graph, w.window, y.tensor, system.range.tensor, options);
            woodbury_solve(graph, w.window, b.tensor, system.solution.tensor, options);
            woodbury_diagonal(graph, diagonal.tensor, columns.tensor, {}, b.tensor, system.x.tensor, {});
            systems.push_back(std::move(system));
        }
    run(graph);
    for (const System& system : systems) {
        check_range(system.u, system.lambda, 1, system.y, system.range.read()[0], system.what);
        check_solve(system.u, system.lambda, 1, system.b, system.solution.read()[0], true, system.what);
        Matrix a = system.u.transpose() * system.u;
        a.diagonal() += system.diagonal.col(0);
        const double norm = spectral_norm(a), condition = norm * spectral_norm(inverse(a));
        const Matrix x = system.x.read()[0];
        ratio("residual, diagonal plus low rank", a, (a * x - system.b).norm(),
              50 * kEps32 * (system.b.norm() + std::min(condition, 100.0) * norm * x.norm()), system.what);
    }
}

// Around the sizes of blocks and workgroups, to the largest; in every type, in batches.
TEST_P(WoodburyTest, LargeWindowsMatchFloat64) {
    struct Case {
        std::uint64_t s, items;
        DType dtype;
    };
    for (const Case& c : {Case{128, 3, DType::f32}, Case{256, 2, DType::f16}, Case{257, 2, DType::f32},
                          Case{512, 1, DType::bf16}, Case{1023, 1, DType::f16}, Case{1024, 1, DType::f32}}) {
        const std::uint64_t d = c.s + c.s / 2 + 1;
        Graph graph(device());
        std::vector<Matrix> u, y, b;
        for (std::uint64_t item = 0; item < c.items; ++item) {
            const auto seed = static_cast<unsigned>(10 * c.s + item);
            Matrix rows = random_matrix(c.s, d, seed);
            rows.rowwise() += Eigen::RowVectorXd(3 * random_matrix(1, d, seed + 5).row(0));
            u.push_back(rounded(rows, c.dtype));
            y.push_back(rounded(random_matrix(c.s, 1, seed + 6), DType::f32));
            b.push_back(rounded(random_matrix(d, 1, seed + 7), DType::f32));
        }
        const float weight = 1.0f / static_cast<float>(c.s), lambda = 0.1f;
        const WoodburyOptions options{.lambda = lambda, .weight = weight};
        const PlacedWindow w = window(graph, u, c.dtype);
        const Placed py = place(graph, y), pb = place(graph, b);
        const Placed range = blank(graph, c.items, d, 1), solution = blank(graph, c.items, d, 1);
        window_gram(graph, w.window);
        woodbury_range(graph, w.window, py.tensor, range.tensor, options);
        woodbury_solve(graph, w.window, pb.tensor, solution.tensor, options);
        run(graph);
        for (std::size_t item = 0; item < c.items; ++item) {
            const std::string what = std::to_string(c.s) + " rows, " + std::string(to_string(c.dtype));
            check_range(u[item], static_cast<double>(lambda), static_cast<double>(weight), y[item],
                        range.read()[item], what);
            check_solve(u[item], static_cast<double>(lambda), static_cast<double>(weight), b[item],
                        solution.read()[item], false, what);
        }
    }
}

// The range form keeps its digits where b is in the span of the rows, and the other one cannot.
TEST_P(WoodburyTest, TheRangeFormKeepsItsDigits) {
    Graph graph(device());
    const std::uint64_t s = 16, d = 2000;
    Matrix u = random_matrix(s, d, 1);
    for (Eigen::Index i = 0; i < u.rows(); ++i) u.row(i) *= 10 / u.row(i).norm();
    u = rounded(u, DType::f32);
    Matrix y = Matrix::Zero(s, 1);
    y(3, 0) = 1;
    const PlacedWindow w = window(graph, {u});
    const Placed py = place(graph, {y}), b = place(graph, {rounded(u.transpose() * y, DType::f32)});
    const Placed x = blank(graph, 1, d, 1), subtracted = blank(graph, 1, d, 1);
    const Words status = words(graph, 1), damping = words(graph, 1, DType::f32);
    window_gram(graph, w.window);
    woodbury_range(graph, w.window, py.tensor, x.tensor,
                   {.lambda = 1e-3f, .status = status.tensor, .damping = damping.tensor});
    woodbury_solve(graph, w.window, b.tensor, subtracted.tensor, {.lambda = 1e-3f});
    run(graph);
    const double lambda = damping.floats()[0];
    EXPECT_NEAR(lambda, std::max(1e-3, 4 * kEps32 * u.squaredNorm()), 1e-6);
    const Matrix k = u * u.transpose() + lambda * Matrix::Identity(s, s);
    const Matrix expected = u.transpose() * solve_symmetric(k, y);
    ratio("range form, for the newest row", u, (x.read()[0] - expected).norm() / expected.norm(), 2e-6,
          "range form");
    EXPECT_GT((subtracted.read()[0] - expected).norm() / expected.norm(), 1e-4);
}

TEST_P(WoodburyTest, LimitsAreRight) {
    Graph graph(device());
    const std::uint64_t s = 4, d = 50;
    const Matrix b = rounded(random_matrix(d, 1, 1), DType::f32);
    const Matrix one = b.transpose();
    Matrix doubled = Matrix::Zero(2, d), rescaled = Matrix::Zero(1, d);
    doubled.row(0) = doubled.row(1) = rounded(random_matrix(1, d, 3), DType::f32).row(0);
    rescaled = rounded(doubled.row(0) * std::sqrt(2.0), DType::f32);
    const PlacedWindow zero = window(graph, {Matrix::Zero(s, d)}), single = window(graph, {one}),
                       twice = window(graph, {doubled}), once = window(graph, {rescaled});
    const Placed pb = place(graph, {b});
    std::vector<Placed> x;
    for (const PlacedWindow* w : {&zero, &single, &twice, &once}) {
        x.push_back(blank(graph, 1, d, 1));
        window_gram(graph, w->window);
        woodbury_solve(graph, w->window, pb.tensor, x.back().tensor, {.lambda = 0.25f});
    }
    run(graph);
    EXPECT_EQ(x[0].read()[0], 4 * b);
    ratio("window of one row", b, (x[1].read()[0] - b / (0.25 + b.squaredNorm())).norm(), 2e-5 * b.norm(),
          "s = 1");
    ratio("windows with equal rows", b, (x[2].read()[0] - x[3].read()[0]).norm(),
          1e-4 * x[3].read()[0].norm(), "duplicates");
}

TEST_P(WoodburyTest, RowsOfAnySizeAreAsGoodAsAny) {
    for (double scale : {0x1p-60, 0x1p30, 0x1p60}) {
        Graph graph(device());
        const std::uint64_t s = 6, d = 100;
        const Matrix u = rounded(random_matrix(s, d, 1), DType::f32);
        const Matrix y = rounded(random_matrix(s, 1, 2), DType::f32);
        const Matrix b = rounded(random_matrix(d, 1, 3), DType::f32);
        const PlacedWindow plain = window(graph, {u}), scaled = window(graph, {scale * u});
        const Placed py = place(graph, {y}), pb = place(graph, {b});
        std::vector<Placed> x;
        for (int i = 0; i < 4; ++i) x.push_back(blank(graph, 1, d, 1));
        const float lambda = 0.5f, scaled_lambda = static_cast<float>(0.5 * scale * scale);
        window_gram(graph, plain.window);
        window_gram(graph, scaled.window);
        woodbury_range(graph, plain.window, py.tensor, x[0].tensor, {.lambda = lambda});
        woodbury_range(graph, scaled.window, py.tensor, x[1].tensor, {.lambda = scaled_lambda});
        woodbury_solve(graph, plain.window, pb.tensor, x[2].tensor, {.lambda = lambda});
        woodbury_solve(graph, scaled.window, pb.tensor, x[3].tensor, {.lambda = scaled_lambda});
        run(graph);
        EXPECT_EQ(x[1].read()[0] * scale, x[0].read()[0]);
        // Beyond, x has subnormal elements.
        if (scale < 0x1p40) EXPECT_EQ(x[3].read()[0] * (scale * scale), x[2].read()[0]);
    }
}

TEST_P(WoodburyTest, WindowsTurn) {
    for (DType dtype : {DType::f32, DType::f16, DType::bf16})
        for (bool normalized : {false, true}) {
            Graph graph(device());
            const std::uint64_t s = 5, d = 301, items = 2;
            const PlacedWindow w =
                window(graph, std::vector<Matrix>(items, Matrix::Zero(s, d)), dtype, 3, normalized);
            const Placed g = place(graph, std::vector<Matrix>(items, Matrix::Zero(1, d)));
            const Words slot = words(graph, 1);
            slot.buffer->write(std::vector<std::uint32_t>{0});
            const Placed newest = blank(graph, items, 1, s), x = blank(graph, items, 1, d);
            window_push(graph, w.window, g.tensor, slot.tensor, {.newest = newest.tensor});
            woodbury_range(graph, w.window, newest.tensor, x.tensor, {.lambda = 0.01f});
            Plan plan = graph.compile({});
            plan.allocate();
            EXPECT_TRUE(plan.hazards().empty());
            std::vector<Matrix> expected(items, Matrix::Zero(s, d));
            for (std::uint64_t step = 0; step < 12; ++step) {
                std::vector<Matrix> rows;
                for (std::uint64_t item = 0; item < items; ++item) {
                    // Beyond the range of f16 where rows are kept over powers of two.
                    const double size = normalized ? std::pow(10.0, static_cast<double>(step) - 6) : 1.0;
                    rows.push_back(rounded(size * random_matrix(1, d, 2 * step + item), DType::f32));
                    expected[item].row(static_cast<Eigen::Index>(step % s)) = rows[item].row(0);
                }
                g.buffer->write_bytes(encode(rows, DType::f32, d));
                plan.run();
                EXPECT_EQ(slot.words()[0], (step + 1) % s);
                for (std::uint64_t item = 0; item < items; ++item) {
                    const Matrix u = w.rows64(item), k = w.gram64(item);
                    for (Eigen::Index i = 0; i < u.rows(); ++i) {
                        const double size = expected[item].row(i).norm();
                        ratio("stored rows", u, (u.row(i) - expected[item].row(i)).norm(),
                              dtype == DType::f32 ? 0 : unit_roundoff(dtype) * size + 1e-7 * size,
                              to_string(dtype));
                        for (Eigen::Index j = 0; j < u.rows(); ++j)
                            ratio("Gram matrix", u, std::abs(k(i, j) - u.row(i).dot(u.row(j))),
                                  64 * 0x1p-24 * u.row(i).norm() * u.row(j).norm(), "turned window");
                    }
                    Matrix y = Matrix::Zero(s, 1);
                    y(static_cast<Eigen::Index>(step % s), 0) = 1;
                    EXPECT_EQ(column(newest.read()[item]), y);
                    const double lambda = std::max<double>(0.01f, 4 * kEps32 * u.squaredNorm());
                    check_range(u, lambda, 1, y, column(x.read()[item]), "turned window");
                }
            }
        }
}

TEST_P(WoodburyTest, DiagonalsPlusLowRankMatchFloat64) {
    struct System {
        std::vector<Matrix> a, b, ranges;  // one for each item; ranges: U y
        std::vector<double> costs;         // what C^-1 y costs the range form
        Placed x, range;
        std::string what;
    };
    Graph graph(device());
    std::vector<System> systems;
    for (std::uint64_t s : {1u, 3u, 9u, 40u})
        for (std::uint64_t d : {2u, 30u, 500u})
            for (int kind : {0, 1, 2}) {  // without C, definite, indefinite
                const std::uint64_t items = s == 3 ? 2 : 1;
                std::vector<Matrix> us, cs, ds, ys;
                System system;
                for (std::uint64_t item = 0; item < items; ++item) {
                    us.push_back(rounded(random_matrix(d, s, s + d + item), DType::f32));
                    Matrix c = spd_matrix(s, 50, s + item);
                    if (kind == 2 && s > 1) c = c - 0.3 * Matrix::Identity(c.rows(), c.cols());
                    cs.push_back(rounded(0.5 * (c + c.transpose()), DType::f32));
                    ds.push_back(
                        rounded((random_matrix(d, 1, d + item).array().abs() + 50.0).matrix(), DType::f32));
                    ys.push_back(rounded(random_matrix(s, 1, 9 + item), DType::f32));
                    Matrix a = us[item] *
                               (kind == 0 ? Matrix::Identity(cs[item].rows(), cs[item].cols()) : cs[item]) *
                               us[item].transpose();
                    a.diagonal() += ds[item].col(0);
                    system.a.push_back(a);
                    system.b.push_back(rounded(random_matrix(d, 1, 7 + item), DType::f32));
                    system.ranges.emplace_back(us[item] * ys[item]);
                    system.costs.push_back(
                        kind == 2 ? spectral_norm(cs[item]) * spectral_norm(inverse(cs[item])) : 1.0);
                }
                const Placed u = place(graph, us, DType::f32, d % 3), c = place(graph, cs),
                             pd = place(graph, ds), b = place(graph, system.b), y = place(graph, ys);
                system.x = blank(graph, items, d, 1);
                system.range = blank(graph, items, d, 1);
                const Tensor given = kind == 0 ? Tensor{} : c.tensor;
                const WoodburyDiagonalOptions options{.positive_definite = kind != 2};
                woodbury_diagonal(graph, pd.tensor, u.tensor, given, b.tensor, system.x.tensor, options);
                woodbury_diagonal_range(graph, pd.tensor, u.tensor, given, y.tensor, system.range.tensor,
                                        options);
                system.what = std::to_string(d) + " + " + std::to_string(s) + " kind " + std::to_string(kind);
                systems.push_back(std::move(system));
            }
    run(graph);
    for (const System& system : systems)
        for (std::size_t item = 0; item < system.a.size(); ++item) {
            const Matrix& a = system.a[item];
            const double norm = spectral_norm(a), condition = norm * spectral_norm(inverse(a));
            const auto check = [&](const char* kind, const Matrix& x, const Matrix& b, double cost) {
                ratio(kind, a, (a * x - b).norm(),
                      50 * kEps32 * (cost * b.norm() + std::min(condition, 100.0) * norm * x.norm()),
                      system.what + " item " + std::to_string(item));
            };
            check("residual, diagonal plus low rank", system.x.read()[item], system.b[item], 1);
            check("residual, diagonal plus low rank, range form", system.range.read()[item],
                  system.ranges[item], system.costs[item]);
        }
}

// With a diagonal that is small beside U C U^T, b = U y leaves nothing of its digits to the subtraction.
TEST_P(WoodburyTest, TheDiagonalRangeFormKeepsItsDigits) {
    const std::uint64_t s = 9, d = 500;
    const Matrix u = rounded(random_matrix(d, s, 1), DType::f32),
                 y = rounded(random_matrix(s, 1, 2), DType::f32);
    const Matrix diagonal =
        rounded((0.01 * (random_matrix(d, 1, 3).array().abs() + 1.0)).matrix(), DType::f32);
    for (int kind : {0, 1, 2}) {  // without C, definite, indefinite
        Matrix c = spd_matrix(s, 10, 4);
        if (kind == 0) c = Matrix::Identity(s, s);
        if (kind == 2) c -= 0.5 * Matrix::Identity(s, s);
        c = rounded(0.5 * (c + c.transpose()), DType::f32);
        Graph graph(device());
        const Placed pd = place(graph, {diagonal}), pu = place(graph, {u}), pc = place(graph, {c}),
                     py = place(graph, {y}), b = place(graph, {rounded(u * y, DType::f32)});
        const Placed x = blank(graph, 1, d, 1), subtracted = blank(graph, 1, d, 1);
        const Words status = words(graph, 1);
        const Tensor given = kind == 0 ? Tensor{} : pc.tensor;
        woodbury_diagonal_range(graph, pd.tensor, pu.tensor, given, py.tensor, x.tensor,
                                {.positive_definite = kind != 2, .status = status.tensor});
        woodbury_diagonal(graph, pd.tensor, pu.tensor, given, b.tensor, subtracted.tensor,
                          {.positive_definite = kind != 2});
        run(graph);
        EXPECT_EQ(status.statuses()[0], "ok") << kind;
        const Matrix scaled = diagonal.col(0).cwiseInverse().asDiagonal() * u;  // D^-1 U
        const Matrix system = Matrix::Identity(s, s) + c * (u.transpose() * scaled);
        const Matrix expected = scaled * (inverse(system) * y);
        // The small system is as well conditioned as C, or as ldlt() of what is between 1 / C and U^T D^-1 U.
        ratio("diagonal plus low rank, range form", u, (x.read()[0] - expected).norm() / expected.norm(),
              50 * kEps32 * static_cast<double>(s) * spectral_norm(c) * spectral_norm(inverse(c)),
              "kind " + std::to_string(kind));
        EXPECT_GT((subtracted.read()[0] - expected).norm() / expected.norm(), 1e-4) << kind;
    }
}

TEST_P(WoodburyTest, FailuresAreNamedAndStayAlone) {
    const std::uint64_t s = 5, d = 60;
    const Matrix good = rounded(random_matrix(s, d, 1), DType::f32);
    Matrix nan = good;
    nan(3, 7) = std::numeric_limits<double>::quiet_NaN();
    const Matrix large = 100 * good;  // lambda is below its rounding errors
    const Matrix y = rounded(random_matrix(s, 1, 2), DType::f32),
                 b = rounded(random_matrix(d, 1, 3), DType::f32);
    Graph graph(device());
    const PlacedWindow w = window(graph, {good, nan, large, good}), alone = window(graph, {good});
    const Placed py = place(graph, std::vector<Matrix>(4, y)), pb = place(graph, std::vector<Matrix>(4, b));
    const Placed range = blank(graph, 4, d, 1), solution = blank(graph, 4, d, 1),
                 lonely = blank(graph, 1, d, 1);
    const Placed one_b = place(graph, {b});
    const Words status = words(graph, 4), damping = words(graph, 4, DType::f32),
                solve_status = words(graph, 4);
    const WoodburyOptions options{.lambda = 1e-3f};
    window_gram(graph, w.window);
    window_gram(graph, alone.window);
    WoodburyOptions reported = options;
    reported.status = status.tensor;
    reported.damping = damping.tensor;
    woodbury_range(graph, w.window, py.tensor, range.tensor, reported);
    reported.status = solve_status.tensor;
    reported.damping = {};
    woodbury_solve(graph, w.window, pb.tensor, solution.tensor, reported);
    woodbury_solve(graph, alone.window, one_b.tensor, lonely.tensor, options);
    run(graph);
    const std::vector<std::string> expected{"ok", "nonfinite", "jittered", "ok"};
    EXPECT_EQ(status.statuses(), expected);
    EXPECT_EQ(solve_status.statuses(), expected);
    EXPECT_EQ(damping.floats()[0], 1e-3f);
    EXPECT_EQ(damping.floats()[1], 0.0f);
    ratio("damping that was used", large, std::abs(damping.floats()[2] - 4 * kEps32 * large.squaredNorm()),
          1e-6 * damping.floats()[2], "");
    EXPECT_EQ(range.read()[1], Matrix::Zero(d, 1));
    EXPECT_EQ(solution.read()[1], Matrix::Zero(d, 1));
    EXPECT_EQ(solution.read()[0], lonely.read()[0]);
    EXPECT_EQ(solution.read()[3], lonely.read()[0]);
    check_range(large, damping.floats()[2], 1, y, range.read()[2], "raised");
}

// A window whose Gram matrix is not what its rows say, as no solve can make it: nothing else is so far from
// positive definite that the last attempts are needed.
TEST_P(WoodburyTest, DampingIsRaisedFourTimes) {
    const std::uint64_t s = 4, d = 30;
    const Matrix u = rounded(random_matrix(s, d, 1), DType::f32),
                 y = rounded(random_matrix(s, 1, 2), DType::f32);
    // Rows of elements below 1 (exponent 0): K itself. tr K = s, so attempt i > 0 adds 4 eps s 10^i.
    struct Try {
        int attempt;  // the one that is positive definite; 5: none
        Words status, damping;
    };
    std::vector<Try> tries;
    Graph graph(device());
    const double unit = 4 * kEps32 * static_cast<double>(s);
    for (int attempt = 1; attempt <= 5; ++attempt) {
        const double smallest = -0.5 * unit * std::pow(10.0, attempt);
        Matrix k = Matrix::Identity(s, s);
        k(0, 1) = k(1, 0) = 1 - smallest;  // eigenvalues smallest, 1, 1, 2 - smallest
        const PlacedWindow w = window(graph, {u});
        w.gram.buffer->write_bytes(encode({rounded(k, DType::f32)}, DType::f32, s));
        const Placed py = place(graph, {y}), x = blank(graph, 1, d, 1);
        tries.push_back({attempt, words(graph, 1), words(graph, 1, DType::f32)});
        woodbury_range(graph, w.window, py.tensor, x.tensor,
                       {.lambda = 1e-9f,
                        .refinement = Refinement::never,
                        .status = tries.back().status.tensor,
                        .damping = tries.back().damping.tensor});
    }
    run(graph);
    for (const Try& attempt : tries) {
        const bool fails = attempt.attempt > 4;
        EXPECT_EQ(attempt.status.statuses()[0], fails ? "indefinite" : "jittered") << attempt.attempt;
        const double expected = fails ? 0.0 : unit * (1 + std::pow(10.0, attempt.attempt));
        EXPECT_NEAR(attempt.damping.floats()[0], expected, 1e-3 * expected) << attempt.attempt;
    }
}

TEST_P(WoodburyTest, ALambdaOfTheDeviceGivesTheBitsOfTheHosts) {
    const std::uint64_t s = 6, d = 200, items = 2;
    const std::vector<Matrix> y(items, random_matrix(s, 1, 3)), b(items, random_matrix(d, 1, 4));
    Matrix partly_full = random_matrix(s, d, 2);
    partly_full.row(2).setZero();
    for (float weight : {1.0f, 0.25f})  // lambda over it is exact, as is lambda times its reciprocal
        for (bool average : {false, true}) {
            Graph graph(device());
            const PlacedWindow w = window(graph, {random_matrix(s, d, 1), partly_full});
            const Placed py = place(graph, y), pb = place(graph, b);
            const float lambda = 0.03f;
            const Words one = numbers(graph, {lambda}), each = numbers(graph, {lambda, lambda});
            window_gram(graph, w.window);
            std::vector<Placed> x;
            for (const Tensor& given : {Tensor{}, one.tensor, each.tensor}) {
                const WoodburyOptions options{
                    .lambda = given ? 7.0f : lambda,  // the host's counts for nothing
                    .device_lambda = given,
                    .weight = weight,
                    .average_rows = average};
                x.push_back(blank(graph, items, d, 1));
                woodbury_range(graph, w.window, py.tensor, x.back().tensor, options);
                x.push_back(blank(graph, items, d, 1));
                woodbury_solve(graph, w.window, pb.tensor, x.back().tensor, options);
            }
            run(graph);
            for (std::size_t i = 2; i < x.size(); ++i)
                for (std::size_t item = 0; item < items; ++item)
                    EXPECT_EQ(x[i].read()[item], x[i % 2].read()[item])
                        << i << " weight " << weight << " average " << average;
        }
}

// One plan, whatever becomes of lambda; windows of several workgroups, each with its own.
TEST_P(WoodburyTest, ALambdaOfTheDeviceMayChangeFromStepToStep) {
    for (bool gpu_variants : {false, true}) {
        Graph graph(gpu_variants ? smallest_gpu() : device());
        const std::uint64_t s = 40, d = 301, items = 3;
        const float weight = 1.0f / 40;
        std::vector<Matrix> u, y, b;
        for (std::uint64_t item = 0; item < items; ++item) {
            u.push_back(rounded(random_matrix(s, d, item), DType::f32));
            y.push_back(rounded(random_matrix(s, 1, 10 + item), DType::f32));
            b.push_back(rounded(random_matrix(d, 1, 20 + item), DType::f32));
        }
        const PlacedWindow w = window(graph, u);
        const Placed py = place(graph, y), pb = place(graph, b);
        const Placed range = blank(graph, items, d, 1), solution = blank(graph, items, d, 1);
        const Words lambdas = words(graph, items, DType::f32), status = words(graph, items),
                    damping = words(graph, items, DType::f32);
        window_gram(graph, w.window);
        woodbury_range(graph, w.window, py.tensor, range.tensor,
                       {.device_lambda = lambdas.tensor,
                        .weight = weight,
                        .status = status.tensor,
                        .damping = damping.tensor});
        woodbury_solve(graph, w.window, pb.tensor, solution.tensor,
                       {.device_lambda = lambdas.tensor, .weight = weight});
        Plan plan = graph.compile({});
        plan.allocate();
        EXPECT_TRUE(plan.hazards().empty());
        const std::vector<std::vector<float>> steps{
            {0.5f, 1e-3f, 1000.0f}, {1e-3f, 1000.0f, 0.5f}, {2.0f, 2.0f, 1e-9f}};
        for (const std::vector<float>& step : steps) {
            lambdas.buffer->write(step);
            plan.run();
            for (std::size_t item = 0; item < items; ++item) {
                const auto wanted = static_cast<double>(step[item]), weighted = static_cast<double>(weight);
                const double least = 4 * kEps32 * weighted * u[item].squaredNorm();
                const double lambda = std::max(wanted, least);
                const std::string what = "lambda " + std::to_string(step[item]);
                EXPECT_EQ(status.statuses()[item], wanted < least ? "jittered" : "ok") << what;
                // Of a raised one the errors are those of the Gram matrix, and of the sum of its diagonal.
                ratio("damping by the device", u[item],
                      std::abs(static_cast<double>(damping.floats()[item]) - lambda),
                      static_cast<double>(64 + s) * kUnit * lambda, what);
                check_range(u[item], lambda, weighted, y[item], range.read()[item], what);
                check_solve(u[item], lambda, weighted, b[item], solution.read()[item], true, what);
            }
        }
    }
}

TEST_P(WoodburyTest, LambdasOfTheDeviceThatCannotBeAreNamedAndStayAlone) {
    constexpr float kLargest = std::numeric_limits<float>::max(),
                    kSmallest = std::numeric_limits<float>::min();
    const auto nan = static_cast<float>(kNan), infinity = static_cast<float>(kInfinity);
    struct Case {
        float weight;
        std::vector<float> lambdas;
        std::vector<std::string> statuses;
    };
    const std::vector<Case> cases{
        {1.0f,
         {0.5f, nan, infinity, -infinity, 0.0f, -0.0f, -0.5f, 0x1p-130f, -kLargest, kSmallest, 0.5f},
         {"ok", "nonfinite", "nonfinite", "nonfinite", "nonfinite", "nonfinite", "nonfinite", "nonfinite",
          "nonfinite", "jittered", "ok"}},
        // Over the weight beyond the largest number, and below the smallest.
        {0x1p-100f, {0x1p-20f, 0x1p60f, 0x1p-20f}, {"ok", "nonfinite", "ok"}},
        {0x1p100f, {0x1p110f, 0x1p-60f, 0x1p110f}, {"ok", "nonfinite", "ok"}},
    };
    const std::uint64_t s = 5, d = 60;
    const Matrix u = rounded(random_matrix(s, d, 1), DType::f32),
                 y = rounded(random_matrix(s, 1, 2), DType::f32),
                 b = rounded(random_matrix(d, 1, 3), DType::f32);
    for (const Case& c : cases) {
        const std::size_t items = c.lambdas.size();
        Graph graph(device());
        const PlacedWindow w = window(graph, std::vector<Matrix>(items, u)), alone = window(graph, {u});
        const Placed py = place(graph, std::vector<Matrix>(items, y)), one_y = place(graph, {y}),
                     pb = place(graph, std::vector<Matrix>(items, b)), one_b = place(graph, {b});
        const Placed range = blank(graph, items, d, 1), solution = blank(graph, items, d, 1),
                     lonely_range = blank(graph, 1, d, 1), lonely_solution = blank(graph, 1, d, 1);
        const Words status = words(graph, items), damping = words(graph, items, DType::f32),
                    solve_status = words(graph, items), solve_damping = words(graph, items, DType::f32);
        const Words lambdas = numbers(graph, c.lambdas);
        window_gram(graph, w.window);
        window_gram(graph, alone.window);
        WoodburyOptions options{.device_lambda = lambdas.tensor, .weight = c.weight};
        options.refinement = Refinement::always;  // its passes have to know of failures, too
        options.status = status.tensor;
        options.damping = damping.tensor;
        woodbury_range(graph, w.window, py.tensor, range.tensor, options);
        options.status = solve_status.tensor;
        options.damping = solve_damping.tensor;
        woodbury_solve(graph, w.window, pb.tensor, solution.tensor, options);
        const WoodburyOptions host{
            .lambda = c.lambdas[0], .weight = c.weight, .refinement = Refinement::always};
        woodbury_range(graph, alone.window, one_y.tensor, lonely_range.tensor, host);
        woodbury_solve(graph, alone.window, one_b.tensor, lonely_solution.tensor, host);
        run(graph);
        EXPECT_EQ(status.statuses(), c.statuses) << c.weight;
        EXPECT_EQ(solve_status.statuses(), c.statuses) << c.weight;
        EXPECT_EQ(solve_damping.floats(), damping.floats()) << c.weight;
        for (std::size_t item = 0; item < items; ++item) {
            const std::string what = std::to_string(item) + " of weight " + std::to_string(c.weight);
            if (c.statuses[item] == "nonfinite") {
                EXPECT_EQ(range.read()[item], Matrix::Zero(d, 1)) << what;
                EXPECT_EQ(solution.read()[item], Matrix::Zero(d, 1)) << what;
                EXPECT_EQ(damping.floats()[item], 0.0f) << what;
            } else if (c.statuses[item] == "ok") {
                EXPECT_EQ(range.read()[item], lonely_range.read()[0]) << what;
                EXPECT_EQ(solution.read()[item], lonely_solution.read()[0]) << what;
                EXPECT_EQ(damping.floats()[item], c.lambdas[item]) << what;
            } else {
                const auto raised = static_cast<double>(damping.floats()[item]);
                EXPECT_NEAR(raised, 4 * kEps32 * u.squaredNorm(), 1e-6 * raised) << what;
                check_range(u, raised, 1, y, range.read()[item], what);
                check_solve(u, raised, 1, b, solution.read()[item], true, what);
            }
        }
    }
}

// x = (damping I + U^T U)^-1 b and not that times damping / lambda, which is 1400 here, and 2e7 below.
TEST_P(WoodburyTest, ARaisedLambdaIsSolvedForAsAWhole) {
    const std::uint64_t s = 5, d = 60;
    const Matrix u = rounded(100 * random_matrix(s, d, 1), DType::f32),
                 b = rounded(random_matrix(d, 1, 3), DType::f32);
    Graph graph(device());
    const PlacedWindow w = window(graph, {u});
    const Placed pb = place(graph, {b}), x = blank(graph, 1, d, 1);
    const Words status = words(graph, 1), damping = words(graph, 1, DType::f32);
    const float lambda = 1e-3f;
    window_gram(graph, w.window);
    woodbury_solve(graph, w.window, pb.tensor, x.tensor,
                   {.lambda = lambda,
                    .refinement = Refinement::always,
                    .status = status.tensor,
                    .damping = damping.tensor});

    // Where Cholesky breaks down: with a Gram matrix of its own (see DampingIsRaisedFourTimes), and rows
    // below 1.
    const Matrix v = rounded(0.2 * random_matrix(4, d, 5), DType::f32);
    Matrix k = Matrix::Identity(4, 4);
    const double unit = 4 * kEps32 * 4;
    k(0, 1) = k(1, 0) = 1 + 0.5e4 * unit;
    k = rounded(k, DType::f32);
    const PlacedWindow broken = window(graph, {v});
    broken.gram.buffer->write_bytes(encode({k}, DType::f32, 4));
    const Placed broken_x = blank(graph, 1, d, 1);
    const Words broken_status = words(graph, 1), broken_damping = words(graph, 1, DType::f32);
    woodbury_solve(graph, broken.window, pb.tensor, broken_x.tensor,
                   {.lambda = 1e-9f,
                    .refinement = Refinement::never,
                    .status = broken_status.tensor,
                    .damping = broken_damping.tensor});
    run(graph);

    EXPECT_EQ(status.statuses()[0], "jittered");
    const auto used = static_cast<double>(damping.floats()[0]);
    check_solve(u, used, 1, b, x.read()[0], true, "raised");
    // And what it lacks for the lambda that was asked for.
    const double norm = spectral_norm(u), asked = static_cast<double>(lambda);
    const Matrix solution = x.read()[0];
    ratio(
        "residual for the lambda that was asked for", u,
        (b - (asked * solution + u.transpose() * (u * solution))).norm(),
        (used - asked) * solution.norm() + 50 * kEps32 * (b.norm() + (used + norm * norm) * solution.norm()),
        "raised");

    EXPECT_EQ(broken_status.statuses()[0], "jittered");
    const auto added = static_cast<double>(broken_damping.floats()[0]);
    EXPECT_NEAR(added, unit * (1 + 1e4), 1e-3 * added);
    const Matrix y = v * b, system = k + added * Matrix::Identity(4, 4);
    const Matrix q = solve_symmetric(system, y);
    // The residual of the small system times its inverse, and the subtraction, as in check_solve().
    const double error_of_q =
        20 * kEps32 * 2 * (y.norm() + system.norm() * q.norm()) * spectral_norm(inverse(system));
    ratio("subtractive form, Cholesky broken down", v,
          (broken_x.read()[0] - (b - v.transpose() * q) / added).norm(),
          (spectral_norm(v) * error_of_q + 50 * kEps32 * b.norm()) / added, "raised");
}

TEST_P(WoodburyTest, DiagonalFailuresAreNamed) {
    const std::uint64_t s = 3, d = 20;
    const Matrix u = rounded(random_matrix(d, s, 1), DType::f32),
                 b = rounded(random_matrix(d, 1, 2), DType::f32);
    const Matrix c = Matrix::Identity(s, s), diagonal = Matrix::Constant(d, 1, 2.0);
    Matrix indefinite = c, singular = c, negative = diagonal;
    indefinite(1, 1) = -1;
    singular(2, 2) = 0;
    negative(4, 0) = -1;
    Graph graph(device());
    struct Try {
        Words status, range_status;
        Placed x, range;
    };
    std::vector<Try> tries;
    const auto add = [&](const Matrix& d_values, const Matrix& c_values, bool definite) {
        const Placed pd = place(graph, {d_values}), pu = place(graph, {u}), pc = place(graph, {c_values}),
                     pb = place(graph, {b}), py = place(graph, {Matrix::Ones(s, 1)});
        tries.push_back({words(graph, 1), words(graph, 1), blank(graph, 1, d, 1), blank(graph, 1, d, 1)});
        woodbury_diagonal(graph, pd.tensor, pu.tensor, pc.tensor, pb.tensor, tries.back().x.tensor,
                          {.positive_definite = definite, .status = tries.back().status.tensor});
        woodbury_diagonal_range(graph, pd.tensor, pu.tensor, pc.tensor, py.tensor, tries.back().range.tensor,
                                {.positive_definite = definite, .status = tries.back().range_status.tensor});
    };
    add(diagonal, indefinite, true);
    add(diagonal, singular, false);
    add(negative, c, true);
    add(negative, c, false);
    add(diagonal, indefinite, false);
    run(graph);
    const char* expected[] = {"indefinite", "singular", "nonfinite", "nonfinite", "ok"};
    for (std::size_t i = 0; i < 5; ++i) {
        EXPECT_EQ(tries[i].status.statuses()[0], expected[i]) << i;
        EXPECT_EQ(tries[i].range_status.statuses()[0], expected[i]) << i;
    }
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(tries[i].range.read()[0], Matrix::Zero(d, 1)) << i;
    for (std::size_t i : {0u, 1u})
        ratio("b / D where C is not definite", b, (tries[i].x.read()[0] - b / 2).norm(), 1e-6 * b.norm(), "");
    for (std::size_t i : {2u, 3u}) EXPECT_EQ(tries[i].x.read()[0], Matrix::Zero(d, 1));
}

TEST_P(WoodburyTest, InversesAreUpdated) {
    struct Update {
        Matrix p, u;
        double gamma, beta;
        Placed result;
    };
    Graph graph(device());
    std::vector<Update> updates;
    for (std::uint64_t n : {1u, 6u, 33u, 70u})
        for (std::uint64_t k : {1u, 2u, 8u, 40u})
            for (double gamma : {1.0, 0.9}) {
                Matrix p = spd_matrix(n, 100, n);
                p = rounded(0.5 * (p + p.transpose()), DType::f32);
                const Matrix u = rounded(random_matrix(n, k, k), DType::f32);
                const Placed pp = place(graph, {p}, DType::f32, n % 2),
                             pu = place(graph, {u}, DType::f32, k % 3);
                const double beta = 1 - static_cast<float>(gamma) + 0.25;
                update_inverse(graph, pp.tensor, pu.tensor,
                               {.gamma = static_cast<float>(gamma), .beta = static_cast<float>(beta)});
                updates.push_back({p, u, static_cast<float>(gamma), static_cast<float>(beta), pp});
            }
    run(graph);
    for (const Update& update : updates) {
        const Matrix f = update.gamma * inverse(update.p) + update.beta * update.u * update.u.transpose();
        const Matrix p = update.result.read()[0], expected = inverse(f);
        EXPECT_EQ(p, p.transpose());
        // Errors relative to P, from which the change is subtracted.
        ratio("updated inverse", p, (p - expected).norm(),
              static_cast<double>(update.p.rows() + 10) * 0x1p-24 * 100 * update.p.norm(),
              std::to_string(p.rows()));
    }
}

TEST_P(WoodburyTest, AnUpdateWithoutColumnsDividesByGamma) {
    const Matrix p = rounded(random_matrix(5, 5, 1), DType::f32);
    Graph graph(device());
    const Placed pp = place(graph, {p}, DType::f32, 3);
    const Words status = words(graph, 1);
    update_inverse(graph, pp.tensor, graph.temporary(DType::f32, {5, 0}),
                   {.gamma = 0.5f, .status = status.tensor});
    run(graph);
    EXPECT_EQ(status.statuses()[0], "ok");
    EXPECT_EQ(pp.read()[0], 2 * p);
}

TEST_P(WoodburyTest, UpdatesThatCannotBeAreLeftOut) {
    const std::uint64_t n = 12, k = 3;
    Matrix p = spd_matrix(n, 10, 1);
    p = rounded(0.5 * (p + p.transpose()), DType::f32);
    const Matrix u = rounded(random_matrix(n, k, 2), DType::f32);
    Matrix nan = u;
    nan(1, 1) = std::numeric_limits<double>::quiet_NaN();
    Graph graph(device());
    const Placed pp = place(graph, {p, p, -128 * p}), pu = place(graph, {u, nan, u});
    const Words status = words(graph, 3);
    update_inverse(graph, pp.tensor, pu.tensor, {.gamma = 0.5f, .status = status.tensor});
    run(graph);
    EXPECT_EQ(status.statuses(), (std::vector<std::string>{"ok", "nonfinite", "indefinite"}));
    EXPECT_EQ(pp.read()[2], -256 * p);
    EXPECT_EQ(pp.read()[1], 2 * p);
}

TEST_P(WoodburyTest, TheSameBitsEveryTimeAndSplit) {
    expect_same_bits(1e5, 2, [&](Graph& graph) {
        std::vector<GuardedBuffer*> results;
        for (std::uint64_t d : {100u, 20000u}) {
            const PlacedWindow w = window(graph, {random_matrix(20, d, 1), random_matrix(20, d, 2)});
            const Placed b = place(graph, {random_matrix(d, 1, 3), random_matrix(d, 1, 4)});
            const Placed x = blank(graph, 2, d, 1);
            window_gram(graph, w.window);
            woodbury_solve(graph, w.window, b.tensor, x.tensor, {.refinement = Refinement::always});
            results.push_back(x.buffer);
        }
        return results;
    });
}

TEST_P(WoodburyTest, RefusesWhatDoesNotFitAndAddsNothing) {
    Graph graph(device());
    Graph enormous(device());  // which is not compiled: no device has the memory
    const auto tensor = [&](const Shape& shape, DType dtype = DType::f32) {
        return graph.temporary(dtype, shape);
    };
    const Window window{tensor({3, 8}), tensor({3, 3}), tensor({3}, DType::u32)};
    const auto changed = [&](auto change) {
        Window w = window;
        change(w);
        return w;
    };
    const Tensor y = tensor({3}), b = tensor({8}), x = tensor({8}), slot = tensor({1}, DType::u32);
    const Tensor d = tensor({8}), u = tensor({8, 3}), c = tensor({3, 3}), p = tensor({8, 8});
    const Tensor one = tensor({1});
    const auto word_of = [](Tensor whole) {  // a status in the wrong place
        whole.dtype = DType::u32;
        whole.shape = Shape{1};
        return whole;
    };
    expect_refusals(
        graph,
        {
            {"the window is empty", [&] { window_gram(graph, changed([](Window& w) { w.rows = {}; })); }},
            {"1 to 1024",
             [&] { window_gram(graph, changed([&](Window& w) {
                                   w.rows = tensor({1025, 8});
                               })); }},
            {"the Gram matrix",
             [&] { window_gram(graph, changed([&](Window& w) {
                                   w.gram = tensor({3, 4});
                               })); }},
            {"exponents",
             [&] { window_gram(graph, changed([&](Window& w) { w.exponents = tensor({3}); })); }},
            {"normalised", [&] { window_gram(graph, changed([](Window& w) { w.normalized = true; })); }},
            {"the gradient", [&] { window_push(graph, window, tensor({9}), slot); }},
            {"the slot", [&] { window_push(graph, window, b, tensor({1})); }},
            {"overlaps exponents",
             [&] {
                 Tensor gradient = tensor({8});
                 Window w = window;
                 w.exponents = gradient;
                 w.exponents.dtype = DType::u32;
                 w.exponents.shape = Shape{3};
                 window_push(graph, w, gradient, slot);
             }},
            {"overlaps the gradient",
             [&] {
                 Tensor newest = b;
                 newest.shape = Shape{3};
                 window_push(graph, window, b, slot, {.newest = newest});
             }},
            {"split the batch",
             [&] {
                 constexpr std::uint64_t kMany = 70'000'000;
                 window_gram(enormous, {enormous.temporary(DType::f32, {kMany, 4, 4}),
                                        enormous.temporary(DType::f32, {kMany, 4, 4}),
                                        enormous.temporary(DType::u32, {kMany, 4})});
             }},
            {"newest", [&] { window_push(graph, window, b, slot, {.newest = tensor({4})}); }},
            {"y is", [&] { woodbury_range(graph, window, tensor({4}), x); }},
            {"x is", [&] { woodbury_range(graph, window, y, tensor({9})); }},
            {"lambda is 0", [&] { woodbury_range(graph, window, y, x, {.lambda = 0}); }},
            {"one of Refinement",
             [&] { woodbury_range(graph, window, y, x, {.refinement = static_cast<Refinement>(3)}); }},
            {"the weight", [&] { woodbury_range(graph, window, y, x, {.weight = -1}); }},
            {"status", [&] { woodbury_range(graph, window, y, x, {.status = tensor({2}, DType::u32)}); }},
            {"damping", [&] { woodbury_range(graph, window, y, x, {.damping = tensor({2})}); }},
            {"device_lambda is 2 f32",
             [&] { woodbury_range(graph, window, y, x, {.device_lambda = tensor({2})}); }},
            {"device_lambda is 1 u32",
             [&] { woodbury_range(graph, window, y, x, {.device_lambda = tensor({1}, DType::u32)}); }},
            {"device_lambda is 1 f16",
             [&] { woodbury_solve(graph, window, b, x, {.device_lambda = tensor({1}, DType::f16)}); }},
            {"lambda is the device's, the weight 0",
             [&] { woodbury_range(graph, window, y, x, {.device_lambda = one, .weight = 0}); }},
            {"x (8 f32) overlaps device_lambda",
             [&] {
                 Tensor first = x;  // of the result
                 first.shape = Shape{1};
                 woodbury_solve(graph, window, b, x, {.device_lambda = first});
             }},
            {"status (1 u32) overlaps device_lambda",
             [&] { woodbury_range(graph, window, y, x, {.device_lambda = one, .status = word_of(one)}); }},
            {"kept.system is empty",
             [&] {
                 woodbury_range(graph, window, y, x, {.kept = {.factor = tensor({3, 3})}});
             }},
            {"kept.factor is empty",
             [&] { woodbury_range(graph, window, y, x, {.kept = {.counts = tensor({5}, DType::u32)}}); }},
            {"kept.factor is 3x4 f32",
             [&] {
                 woodbury_range(graph, window, y, x, {.kept = {tensor({3, 4}), c, one}});
             }},
            {"kept.counts is 4 u32",
             [&] {
                 woodbury_solve(graph, window, b, x, {.kept = {tensor({3, 3}), c, tensor({4}, DType::u32)}});
             }},
            {"overlaps kept.",
             [&] {
                 woodbury_range(graph, window, y, x, {.kept = {c, c, tensor({5}, DType::u32)}});
             }},
            {"overlaps the Gram matrix",
             [&] {
                 woodbury_range(graph, window, y, x, {.kept = {window.gram, c, tensor({5}, DType::u32)}});
             }},
            {"damping (1 f32) overlaps device_lambda",
             [&] { woodbury_range(graph, window, y, x, {.device_lambda = one, .damping = one}); }},
            {"overlaps", [&] { woodbury_solve(graph, window, b, b); }},
            {"status (1 u32) overlaps y",
             [&] { woodbury_range(graph, window, y, x, {.status = word_of(y)}); }},
            {"status (1 u32) overlaps b",
             [&] { woodbury_solve(graph, window, b, x, {.status = word_of(b)}); }},
            {"status (1 u32) overlaps the window",
             [&] { woodbury_solve(graph, window, b, x, {.status = word_of(window.rows)}); }},
            {"status (1 u32) overlaps damping",
             [&] { woodbury_solve(graph, window, b, x, {.status = word_of(one), .damping = one}); }},
            {"damping (1 f32) overlaps b",
             [&] {
                 Tensor first = word_of(b);
                 first.dtype = DType::f32;
                 woodbury_solve(graph, window, b, x, {.damping = first});
             }},
            {"status (1 u32) overlaps the diagonal",
             [&] { woodbury_diagonal(graph, d, u, c, b, x, {.status = word_of(d)}); }},
            {"status (1 u32) overlaps C",
             [&] { woodbury_diagonal(graph, d, u, c, b, x, {.status = word_of(c)}); }},
            {"b is empty", [&] { woodbury_solve(graph, window, {}, x); }},
            {"U is empty", [&] { woodbury_diagonal(graph, d, {}, c, b, x); }},
            {"the diagonal", [&] { woodbury_diagonal(graph, y, u, c, b, x); }},
            {"C is", [&] { woodbury_diagonal(graph, d, u, p, b, x); }},
            {"overlaps", [&] { woodbury_diagonal(graph, d, u, c, b, b); }},
            {"y is", [&] { woodbury_diagonal_range(graph, d, u, c, b, x); }},
            {"overlaps y",
             [&] {
                 Tensor first = x;  // of the result
                 first.shape = Shape{3};
                 woodbury_diagonal_range(graph, d, u, c, first, x);
             }},
            {"must be square", [&] { update_inverse(graph, u, u); }},
            {"8 rows", [&] { update_inverse(graph, p, c); }},
            {device().capabilities().cpu ? "at most 8192 columns" : "at most 65535 columns",
             [&] {
                 update_inverse(graph, p, tensor({8, 65536}));
             }},
            {"gamma", [&] { update_inverse(graph, p, u, {.gamma = 0}); }},
            {"1 / gamma", [&] { update_inverse(graph, p, u, {.gamma = 1e-39f, .beta = 1e-39f}); }},
            {"fewer than 2^32",
             [&] {
                 update_inverse(enormous, enormous.temporary(DType::f32, {2'000'000, 1, 1}),
                                enormous.temporary(DType::f32, {2'000'000, 1, 64}));
             }},
            {"beta", [&] { update_inverse(graph, p, u, {.beta = -1}); }},
        });
}

HERON_DEVICE_TESTS(WoodburyTest);

}  // namespace
}  // namespace heron::test
