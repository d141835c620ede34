// SPDX-License-Identifier: MIT
// Evolution strategies against float64, on every device.
#include <algorithm>
#include <bit>
#include <heron/evolution.hpp>
#include <string>

#include "linalg/linalg_test.hpp"
#include "support/box_muller.hpp"
#include "support/philox.hpp"

namespace heron::test {
namespace {

// Within 1e-6 of float64, as the header says.
constexpr double kNoiseError = 1e-6;

class EvolutionTest : public LinalgTest {
protected:
    Population population(Graph& graph, std::uint32_t members, std::uint32_t epoch = 0) {
        return {
            .members = members, .seed = 0x123456789abcdefu, .epoch = words(graph, Shape{1}, {epoch}).tensor};
    }
    // A_p (first) and B_p of the header, column k of a pair.
    static double noise_element(const Population& p, std::uint32_t epoch, std::uint32_t tensor,
                                std::uint32_t pair, std::uint64_t element) {
        const auto words =
            philox({static_cast<std::uint32_t>(element / 4), pair, epoch, tensor},
                   static_cast<std::uint32_t>(p.seed), static_cast<std::uint32_t>(p.seed >> 32));
        return box_muller(words)[element % 4];
    }
};

TEST_P(EvolutionTest, NoiseIsThatOfItsCounters) {
    for (bool gpu_variants : {false, true})
        for (std::uint32_t epoch : {0u, 5u})
            for (std::uint32_t reuse : {0u, 1u, 2u}) {
                Graph graph(gpu_variants ? smallest_gpu() : device());
                Population p = population(graph, 8, epoch);
                p.noise_reuse = reuse;
                p.baseline_group = reuse == 2 ? 4 : 0;
                const std::uint64_t m = 7, n = 70, r = 3;
                const LowRankNoise noise = low_rank_noise(graph, p, 11, m, n, r);
                const Tensor full = full_noise(graph, p, 12, 131);
                const Placed a = blank(graph, 1, 4 * r, m), b = blank(graph, 1, 4 * r, n),
                             z = blank(graph, 1, 4, 131);
                convert(graph, noise.a, a.tensor);
                convert(graph, noise.b, b.tensor);
                convert(graph, full, z.tensor);
                run(graph);
                const Matrix a32 = a.read()[0], b32 = b.read()[0], z32 = z.read()[0];
                const std::uint32_t drawn = reuse == 0 ? 0 : epoch / reuse;
                for (std::uint32_t pair = 0; pair < 4; ++pair) {
                    const bool silent = p.baseline_group != 0 && 2 * pair % p.baseline_group == 0;
                    const auto expect = [&](double value, std::uint32_t tensor, std::uint64_t element) {
                        const double expected = silent ? 0 : noise_element(p, drawn, tensor, pair, element);
                        EXPECT_NEAR(value, expected, kNoiseError) << pair << " " << element;
                    };
                    for (std::uint64_t k = 0; k < r; ++k) {
                        const auto row = static_cast<Eigen::Index>(pair * r + k);
                        for (std::uint64_t i = 0; i < n; ++i)
                            expect(b32(row, Eigen::Index(i)), 11, i * r + k);
                        for (std::uint64_t i = 0; i < m; ++i)
                            expect(a32(row, Eigen::Index(i)), 11, (n + i) * r + k);
                    }
                    for (std::uint64_t i = 0; i < 131; ++i)
                        expect(z32(Eigen::Index(pair), Eigen::Index(i)), 12, i);
                }
            }
}

// A million numbers: mean and variance as those of so many independent ones, 5 standard deviations.
TEST_P(EvolutionTest, NoiseIsNormal) {
    Graph graph(device());
    const Population p = population(graph, 64, 3);
    const Tensor noise = full_noise(graph, p, 1, 31250);
    const Placed z = blank(graph, 1, 32, 31250);
    convert(graph, noise, z.tensor);
    run(graph);
    const Matrix values = z.read()[0];
    const double count = static_cast<double>(values.size());
    EXPECT_NEAR(values.mean(), 0, 5 / std::sqrt(count));
    EXPECT_NEAR(values.squaredNorm() / count, 1, 5 * std::sqrt(2 / count));
    EXPECT_GT(values.cwiseAbs().maxCoeff(), 4);
}

TEST_P(EvolutionTest, MembersComputeWithTheirOwnWeights) {
    struct Case {
        std::uint64_t members, steps, m, n, r;
        DType x, w;
        bool shared = false;
    };
    for (bool gpu_variants : {false, true})
        for (const Case& c :
             {Case{2, 1, 1, 1, 1, DType::f32, DType::f32}, Case{6, 5, 7, 11, 2, DType::f32, DType::f32, true},
              Case{8, 3, 6, 10, 2, DType::f32, DType::f32}, Case{4, 65, 33, 17, 3, DType::f16, DType::bf16},
              Case{64, 1, 64, 31, 1, DType::f32, DType::f16}}) {
            Graph graph(gpu_variants ? smallest_gpu() : device());
            std::vector<Matrix> inputs;
            for (std::uint64_t i = 0; i < (c.shared ? 1 : c.members); ++i)
                inputs.push_back(random_matrix(c.steps, c.n, i));
            const Placed x = place(graph, inputs, c.x), w = place(graph, {random_matrix(c.m, c.n, 900)}, c.w);
            const std::uint64_t pairs = c.members / 2;
            const Placed a = place(graph, {random_matrix(pairs * c.r, c.m, 901)});
            const Placed b = place(graph, {random_matrix(pairs * c.r, c.n, 902)});
            const Placed y = blank(graph, c.members, c.steps, c.m);
            const Placed z = place(graph, {random_matrix(pairs, c.m * c.n, 903)});
            const Placed copies = blank(graph, c.members, c.m, c.n);
            const float sigma = 0.3f;
            perturbed_linear(graph, x.tensor, w.tensor, {a.tensor, b.tensor, static_cast<std::uint32_t>(c.r)},
                             sigma, y.tensor);
            perturbed_copies(graph, w.tensor.reshape(Shape{c.m * c.n}), z.tensor, sigma,
                             copies.tensor.reshape(Shape{c.members, c.m * c.n}));
            run(graph);
            const std::vector<Matrix> got = y.read(), weights = copies.read();
            for (std::uint64_t i = 0; i < c.members; ++i) {
                const double sign = i % 2 == 0 ? 1 : -1;
                const auto first = static_cast<Eigen::Index>(i / 2 * c.r), r = static_cast<Eigen::Index>(c.r);
                const Matrix ap = a.items[0].middleRows(first, r), bp = b.items[0].middleRows(first, r);
                const double scale = sign * sigma / std::sqrt(static_cast<double>(c.r));
                const Matrix& xi = x.items[c.shared ? 0 : i];
                const Matrix expected = xi * w.items[0].transpose() + scale * ((xi * bp.transpose()) * ap);
                const double size = xi.norm() * (w.items[0].norm() + sigma * ap.norm() * bp.norm());
                ratio("perturbed layer", std::max({c.steps, c.m, c.n}), (got[i] - expected).norm(),
                      3 * kUnit * (std::sqrt(static_cast<double>(c.n) + 2) + 6) * size,
                      "member " + std::to_string(i));
                const Matrix drawn =
                    Eigen::Map<const Matrix>(z.items[0].data() + static_cast<Eigen::Index>(i / 2 * c.m * c.n),
                                             static_cast<Eigen::Index>(c.m), static_cast<Eigen::Index>(c.n));
                const Matrix own = w.items[0] + sign * sigma * drawn;
                EXPECT_LE((weights[i] - own).cwiseAbs().maxCoeff(),
                          3 * kUnit * (own.cwiseAbs().maxCoeff() + 2));
            }
        }
}

// With the noise that the update draws, in matrices of their own: x (W + s sigma / sqrt(r) A B^T)^T. Rows,
// numbers and columns that fill several workgroups and pieces, ranks that have their noise in memory.
TEST_P(EvolutionTest, MembersDrawTheNoiseOfTheUpdate) {
    struct Case {
        std::uint32_t members;
        std::uint64_t steps, m, n;
        std::uint32_t r;
        DType x = DType::f32, w = DType::f32;
        bool shared = false;
        std::uint32_t baseline = 0;
    };
    for (bool gpu_variants : {false, true})
        for (const Case& c : {Case{2, 1, 1, 1, 1}, Case{6, 5, 7, 11, 2, DType::f32, DType::f32, true},
                              Case{4, 3, 6, 10, 3}, Case{8, 17, 33, 70, 5, DType::f16, DType::bf16},
                              Case{4, 70, 129, 257, 8, DType::bf16, DType::f16, true},
                              Case{4, 1, 40, 2085, 1}, Case{4, 1, 2100, 40, 1}, Case{2, 2, 8200, 3, 4},
                              Case{8, 3, 9, 12, 7, DType::f32, DType::f32, false, 4},
                              Case{8, 3, 9, 12, 6, DType::f32, DType::f32, true, 8}, Case{4, 9, 65, 33, 32},
                              Case{4, 2, 5, 6, 40}}) {
            Graph graph(gpu_variants ? smallest_gpu() : device());
            Population p = population(graph, c.members, 5);
            p.baseline_group = c.baseline;
            std::vector<Matrix> inputs;
            for (std::uint64_t i = 0; i < (c.shared ? 1 : c.members); ++i)
                inputs.push_back(random_matrix(c.steps, c.n, i));
            const Placed x = place(graph, inputs, c.x), w = place(graph, {random_matrix(c.m, c.n, 900)}, c.w);
            const Placed y = blank(graph, c.members, c.steps, c.m);
            const std::uint64_t columns = c.members / 2 * c.r;
            const Placed a = blank(graph, 1, columns, c.m), b = blank(graph, 1, columns, c.n);
            const float sigma = 0.3f;
            const DrawnNoise drawn{p, 11, c.r};
            perturbed_linear(graph, x.tensor, w.tensor, drawn, sigma, y.tensor);
            const LowRankNoise noise = low_rank_noise(graph, p, 11, c.m, c.n, c.r);
            convert(graph, noise.a, a.tensor);
            convert(graph, noise.b, b.tensor);
            run(graph);
            const std::vector<Matrix> got = y.read();
            const Matrix all_a = a.read()[0], all_b = b.read()[0];
            for (std::uint64_t i = 0; i < c.members; ++i) {
                const auto first = static_cast<Eigen::Index>(i / 2 * c.r), r = static_cast<Eigen::Index>(c.r);
                const Matrix ap = all_a.middleRows(first, r), bp = all_b.middleRows(first, r);
                const double scale = sigma / std::sqrt(static_cast<double>(c.r));
                const Matrix own = w.items[0] + (i % 2 == 0 ? scale : -scale) * (ap.transpose() * bp);
                const Matrix& xi = x.items[c.shared ? 0 : i];
                const double size = xi.norm() * (w.items[0].norm() + scale * ap.norm() * bp.norm());
                // Sums of n and of r terms, and a rounding each of the scale, of z, of its product with the
                // scale, of y and of the base.
                const double terms =
                    std::sqrt(static_cast<double>(c.n)) + std::sqrt(static_cast<double>(c.r)) + 5;
                ratio("layer with drawn noise", std::max({c.steps, c.m, c.n}),
                      (got[i] - xi * own.transpose()).norm(), 3 * kUnit * terms * size,
                      "member " + std::to_string(i) + " of rank " + std::to_string(c.r));
            }
        }
}

// Rows of the identity pick numbers of B. With W = 0, sigma = 1 and rank 1 nothing else is rounded than each
// product with a number of A, once; members of a pair are of opposite signs.
TEST_P(EvolutionTest, LayersAndUpdatesDrawTheSameBits) {
    for (bool gpu_variants : {false, true}) {
        Graph graph(gpu_variants ? smallest_gpu() : device());
        const Population p = population(graph, 6, 3);
        const std::uint64_t m = 131, n = 70;
        const auto square = static_cast<Eigen::Index>(n);
        const Matrix identity = Matrix::Identity(square, square);
        const Matrix zero = Matrix::Zero(static_cast<Eigen::Index>(m), square);
        const Placed x = place(graph, {identity}), w = place(graph, {zero});
        const Placed y = blank(graph, 6, n, m), a = blank(graph, 1, 3, m), b = blank(graph, 1, 3, n);
        const DrawnNoise drawn{p, 2};
        perturbed_linear(graph, x.tensor, w.tensor, drawn, 1, y.tensor);
        const LowRankNoise noise = low_rank_noise(graph, p, 2, m, n);
        convert(graph, noise.a, a.tensor);
        convert(graph, noise.b, b.tensor);
        run(graph);
        const std::vector<Matrix> got = y.read();
        const Matrix all_a = a.read()[0], all_b = b.read()[0];
        for (Eigen::Index pair = 0; pair < 3; ++pair) {
            const auto even = static_cast<std::size_t>(2 * pair);
            const Matrix products = all_b.row(pair).transpose() * all_a.row(pair);
            const Matrix expected = rounded(products, DType::f32);
            EXPECT_TRUE(got[even] == expected) << pair;
            EXPECT_TRUE(got[even + 1] == -expected) << pair;
        }
    }
}

TEST_P(EvolutionTest, FitnessIsRelativeToTheOthers) {
    Graph graph(device());
    struct Case {
        Placed scores, fitness;
        FitnessOptions options;
    };
    std::vector<Case> cases;
    const auto add = [&](const Matrix& scores, const FitnessOptions& options) {
        const auto count = static_cast<std::uint64_t>(scores.size());
        Case c{place(graph, {scores}), blank(graph, 1, 1, options.baseline ? options.group : count), options};
        shape_fitness(graph, c.scores.tensor.reshape(Shape{count}),
                      c.fitness.tensor.reshape(Shape{c.fitness.cols}), options);
        cases.push_back(std::move(c));
    };
    for (std::uint64_t count : {1, 2, 12, 130, 5000}) {
        add(random_matrix(1, count, count), {});
        add(Matrix(100 * random_matrix(1, count, count)).array() + 1000,
            {.group = static_cast<std::uint32_t>(count)});
    }
    add(random_matrix(1, 12, 1), {.group = 4});
    add(random_matrix(1, 2000, 1), {.group = 5});
    add(random_matrix(1, 8, 1), {.group = 8, .baseline = true});
    add(random_matrix(1, 600, 1), {.group = 6, .baseline = true});
    add(Matrix::Constant(1, 12, 3.0), {});
    add(Matrix::Constant(1, 12, 3.0), {.group = 6, .baseline = true});
    run(graph);
    for (const Case& c : cases) {
        const Matrix s = c.scores.items[0];
        const double count = static_cast<double>(s.size());
        const Eigen::Index g = c.options.group == 0 ? s.size() : c.options.group;
        const double deviation = std::sqrt((s.array() - s.mean()).square().sum() / count + 1e-5);
        Matrix expected = Matrix::Zero(1, c.options.baseline ? g : s.size());
        double size = 0;  // what is subtracted from what, in units of the result
        for (Eigen::Index first = 0; first < s.size(); first += g) {
            const Matrix part = s.middleCols(first, g);
            const double own = std::sqrt((part.array() - part.mean()).square().mean());
            size = std::max(size, s.cwiseAbs().maxCoeff() / (c.options.baseline ? own + 1e-8 : deviation));
            for (Eigen::Index i = 0; i < g; ++i) {
                if (!c.options.baseline)
                    expected(0, first + i) = (part(0, i) - part.mean()) / deviation;
                else if (i >= 2)
                    expected(0, i) +=
                        (part(0, i) - part(0, 0)) / (own + 1e-8) / (count / static_cast<double>(g));
            }
        }
        const Matrix fitness = c.fitness.read()[0];
        if (s.maxCoeff() == s.minCoeff()) {
            EXPECT_EQ(fitness.norm(), 0);
            continue;
        }
        // Sums of up to 128 chunks one after the other.
        const double sums = count / 128 + 16 +
                            static_cast<double>(c.options.baseline ? count / double(g) : 0) +
                            (c.options.group != 0 ? static_cast<double>(g) : 0);
        ratio("fitness", static_cast<std::uint64_t>(s.size()), (fitness - expected).cwiseAbs().maxCoeff(),
              kUnit * sums * (size + 2), std::to_string(s.size()) + " in groups of " + std::to_string(g));
    }
}

TEST_P(EvolutionTest, GradientsSumUpThePairs) {
    for (bool gpu_variants : {false, true})
        for (bool signs : {false, true})
            for (const auto& [members, m, n, r, dtype] : {std::tuple{2, 1, 1, 1, DType::f32},
                                                          {12, 10, 6, 4, DType::f32},
                                                          {512, 33, 65, 1, DType::f16},
                                                          {64, 130, 17, 3, DType::bf16}}) {
                Graph graph(gpu_variants ? smallest_gpu() : device());
                const auto pairs = static_cast<std::uint64_t>(members) / 2;
                const Placed a = place(graph, {random_matrix(pairs * r, m, 1)}),
                             b = place(graph, {random_matrix(pairs * r, n, 2)}),
                             z = place(graph, {random_matrix(pairs, n, 3)}),
                             fitness = place(graph, {random_matrix(1, members, 4)});
                const Placed gradient = blank(graph, 1, m, n, 0, dtype),
                             vector = blank(graph, 1, 1, n, 0, dtype);
                const Tensor f = fitness.tensor.reshape(Shape{static_cast<std::uint64_t>(members)});
                const float sigma = 0.05f;
                evolution_gradient(graph, f, {a.tensor, b.tensor, static_cast<std::uint32_t>(r)}, sigma,
                                   gradient.tensor, {.signs = signs});
                evolution_gradient(graph, f, z.tensor, sigma,
                                   vector.tensor.reshape(Shape{static_cast<std::uint64_t>(n)}),
                                   {.signs = signs});
                run(graph);
                Matrix expected = Matrix::Zero(m, n), expected_vector = Matrix::Zero(1, n);
                Matrix a64 = a.items[0], b64 = b.items[0], z64 = z.items[0];
                if (signs)
                    for (Matrix* x : {&a64, &b64, &z64}) *x = x->cwiseSign();
                double size = 0, vector_size = 0;
                for (Eigen::Index i = 0; i < members; ++i) {
                    const double weight = (i % 2 == 0 ? 1 : -1) * fitness.items[0](0, i);
                    const Matrix ap = a64.middleRows(i / 2 * r, r), bp = b64.middleRows(i / 2 * r, r);
                    expected -= weight * (ap.transpose() * bp);
                    expected_vector -= weight * z64.row(i / 2);
                    size += std::pow(weight * ap.norm() * bp.norm(), 2);
                    vector_size += std::pow(weight * z64.row(i / 2).norm(), 2);
                }
                const double scale = sigma / std::sqrt(static_cast<double>(members) * r);
                const double vector_scale = sigma / std::sqrt(static_cast<double>(members));
                const double rounding = dtype == DType::f32 ? 0 : unit_roundoff(dtype);
                const double sums = 3 * kUnit * (std::sqrt(static_cast<double>(pairs) * r + 2) + 2) *
                                    std::sqrt(static_cast<double>(members));
                ratio("gradient", std::max({members, m, n}), (gradient.read()[0] - scale * expected).norm(),
                      scale * (sums * std::sqrt(size) + rounding * expected.norm()) +
                          rounding * 1e-4 * std::sqrt(static_cast<double>(m) * n),
                      std::to_string(members) + " members");
                ratio("gradient of a vector", std::max(members, n),
                      (vector.read()[0] - vector_scale * expected_vector).norm(),
                      vector_scale * (sums * std::sqrt(vector_size) + rounding * expected_vector.norm()) +
                          rounding * 1e-4 * std::sqrt(static_cast<double>(n)),
                      std::to_string(members) + " members");
            }
}

TEST_P(EvolutionTest, TheSameBitsEveryTimeAndInPieces) {
    expect_same_bits(4e4, 2, [&](Graph& graph) {
        const Population p = population(graph, 32, 7);
        const Placed x = place(graph, std::vector<Matrix>(32, random_matrix(5, 40, 1))),
                     w = place(graph, {random_matrix(30, 40, 2)}), y = blank(graph, 32, 5, 30),
                     drawn_y = blank(graph, 32, 5, 30), gradient = blank(graph, 1, 30, 40),
                     scores = place(graph, {random_matrix(1, 32, 3)});
        const LowRankNoise noise = low_rank_noise(graph, p, 1, 30, 40, 2);
        const DrawnNoise drawn{p, 1, 2};
        const Tensor fitness = graph.temporary(DType::f32, Shape{32});
        perturbed_linear(graph, x.tensor, w.tensor, noise, 0.1f, y.tensor);
        perturbed_linear(graph, x.tensor, w.tensor, drawn, 0.1f, drawn_y.tensor);
        shape_fitness(graph, scores.tensor.reshape(Shape{32}), fitness);
        evolution_gradient(graph, fitness, noise, 0.1f, gradient.tensor);
        return std::vector<GuardedBuffer*>{y.buffer, drawn_y.buffer, gradient.buffer};
    });
}

TEST_P(EvolutionTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const Population p = population(graph, 4);
    const auto matrix = [&](std::uint64_t rows, std::uint64_t cols) {
        return blank(graph, 1, rows, cols).tensor;
    };
    const auto vector = [&](std::uint64_t n) { return matrix(1, n).reshape(Shape{n}); };
    const LowRankNoise noise{matrix(4, 6), matrix(4, 10), 2};
    const Tensor x = blank(graph, 4, 3, 10).tensor, y = blank(graph, 4, 3, 6).tensor, w = matrix(6, 10);
    const auto drawn = [&](auto change) {
        Population changed = p;
        change(changed);
        return [&graph, changed] { low_rank_noise(graph, changed, 0, 6, 10); };
    };
    const auto linear = [&](const Tensor& in, const Tensor& weight, const Tensor& out, std::uint32_t rank,
                            float sigma) {
        return [&graph, p, in, weight, out, rank, sigma] {
            const DrawnNoise with{p, 0, rank};
            perturbed_linear(graph, in, weight, with, sigma, out);
        };
    };
    expect_refusals(
        graph,
        {{"3 members", drawn([](Population& q) { q.members = 3; })},
         {"0 members", drawn([](Population& q) { q.members = 0; })},
         {"`epoch`", drawn([](Population& q) { q.epoch = {}; })},
         {"baseline_group is 3", drawn([](Population& q) { q.baseline_group = 3; })},
         {"the rank 0", [&] { low_rank_noise(graph, p, 0, 6, 10, 0); }},
         {"0x10", [&] { low_rank_noise(graph, p, 0, 0, 10); }},
         {"2^30", [&] { full_noise(graph, p, 0, std::uint64_t{1} << 31); }},
         {"sigma is 0", [&] { perturbed_linear(graph, x, w, noise, 0, y); }},
         {"multiple of the rank",
          [&] {
              perturbed_linear(graph, x, w, {noise.a, noise.b, 3}, 1, y);
          }},
         {"x is", [&] { perturbed_linear(graph, y, w, noise, 1, y); }},
         {"the weight is", [&] { perturbed_linear(graph, x, matrix(10, 6), noise, 1, y); }},
         {"y is", [&] { perturbed_linear(graph, x, w, noise, 1, x); }},
         {"perturbed_linear: the matrix is 6x10, the rank 0", linear(x, w, y, 0, 1)},
         {"perturbed_linear: sigma is -1", linear(x, w, y, 1, -1)},
         {"the weight is", linear(x, x, y, 1, 1)},
         {"x is", linear(x, matrix(6, 11), y, 1, 1)},
         {"y is", linear(x, matrix(7, 10), y, 40, 1)},
         {"y is", linear(blank(graph, 2, 3, 10).tensor.reshape(Shape{6, 10}), w, y, 1, 1)},
         {"`members`", [&] { perturbed_copies(graph, vector(6), matrix(2, 6), 1, vector(12)); }},
         {"a column for each", [&] { perturbed_copies(graph, vector(6), matrix(2, 5), 1, vector(24)); }},
         {"group is 5", [&] { shape_fitness(graph, vector(12), vector(12), {.group = 5}); }},
         {"group is 0", [&] { shape_fitness(graph, vector(12), vector(12), {.baseline = true}); }},
         {"`fitness`", [&] { shape_fitness(graph, vector(12), vector(11)); }},
         {"`fitness`", [&] { evolution_gradient(graph, vector(6), noise, 1, w); }},
         {"the gradient is", [&] { evolution_gradient(graph, vector(4), noise, 1, matrix(10, 6)); }},
         {"sigma is nan",
          [&] { evolution_gradient(graph, vector(4), matrix(2, 6), static_cast<float>(kNan), vector(6)); }}});
}

HERON_DEVICE_TESTS(EvolutionTest);

}  // namespace
}  // namespace heron::test
