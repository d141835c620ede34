// SPDX-License-Identifier: MIT
// accumulate_factor() against float64, on every device and with every variant that it can run.
#include <algorithm>
#include <cmath>
#include <ostream>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

// Rows of patches (C / groups, kernel, kernel), as the header says; images: N C H W, one matrix of N rows.
Matrix patch_rows(const Matrix& images, std::uint64_t channels, std::uint64_t height, std::uint64_t width,
                  const ConvPatches& x, std::uint64_t group) {
    const auto along = [&](std::uint64_t extent, int axis) {
        return (extent + 2 * x.padding[axis] - x.dilation[axis] * (x.kernel[axis] - 1) - 1) / x.stride[axis] +
               1;
    };
    const std::uint64_t rows = along(height, 0), cols = along(width, 1), each = channels / x.groups;
    Matrix a(images.rows() * static_cast<Eigen::Index>(rows * cols),
             static_cast<Eigen::Index>(each * x.kernel[0] * x.kernel[1]));
    Eigen::Index r = 0;
    for (Eigen::Index image = 0; image < images.rows(); ++image)
        for (std::uint64_t oy = 0; oy < rows; ++oy)
            for (std::uint64_t ox = 0; ox < cols; ++ox, ++r) {
                Eigen::Index c = 0;
                for (std::uint64_t channel = group * each; channel < (group + 1) * each; ++channel)
                    for (std::uint64_t ky = 0; ky < x.kernel[0]; ++ky)
                        for (std::uint64_t kx = 0; kx < x.kernel[1]; ++kx, ++c) {
                            const std::uint64_t y = oy * x.stride[0] + ky * x.dilation[0] - x.padding[0];
                            const std::uint64_t z = ox * x.stride[1] + kx * x.dilation[1] - x.padding[1];
                            a(r, c) =
                                y < height && z < width
                                    ? images(image,
                                             static_cast<Eigen::Index>((channel * height + y) * width + z))
                                    : 0;
                        }
            }
    return a;
}

Matrix reduced(const Matrix& a, std::uint64_t positions, WeightSharing sharing) {
    if (sharing == WeightSharing::expand) return a;
    const auto each = static_cast<Eigen::Index>(positions);
    Matrix result(a.rows() / each, a.cols());
    for (Eigen::Index r = 0; r < result.rows(); ++r)
        result.row(r) = a.middleRows(r * each, each).colwise().sum();
    return sharing == WeightSharing::mean ? Matrix(result / static_cast<double>(positions)) : result;
}

struct FactorCase {
    std::uint64_t rows = 1, features = 1, items = 1;
    float decay = 0;
    std::optional<float> scale;
    bool bias = false;
    WeightSharing sharing = WeightSharing::expand;
    std::uint32_t positions = 1;
    DType dtype = DType::f32;
    std::uint64_t gap = 0;
    MatrixKind kind = MatrixKind::random;
    double constant = 0;  // not 0: every activation
};

struct ImageCase {
    std::uint64_t images = 1, channels = 1, height = 1, width = 1;
    ConvPatches patches;
    bool bias = false;
    WeightSharing sharing = WeightSharing::expand;
    DType dtype = DType::f32;
};

class FactorTest : public LinalgTest {
protected:
    struct Pending {
        std::vector<Matrix> a;  // rows of each item, without bias
        Placed factor;
        FactorOptions options;
        std::uint64_t positions;
    };

    static Matrix symmetric(std::uint64_t n, std::uint64_t seed) {
        const Matrix x = random_matrix(n, n, seed);
        return x + x.transpose();
    }

    Placed place_factor(Graph& graph, std::uint64_t items, std::uint64_t n, const FactorOptions& options,
                        std::uint64_t gap) {
        if (options.decay == 0) return blank(graph, items, n, n, gap);
        std::vector<Matrix> old;
        for (std::uint64_t item = 0; item < items; ++item) old.push_back(symmetric(n, 77 + item));
        return place(graph, old, DType::f32, gap);
    }

    void add(Graph& graph, const FactorCase& x, std::string_view variant = {}) {
        std::vector<Matrix> a;
        for (std::uint64_t item = 0; item < x.items; ++item)
            a.push_back(x.constant != 0
                            ? Matrix(Matrix::Constant(static_cast<Eigen::Index>(x.rows),
                                                      static_cast<Eigen::Index>(x.features), x.constant))
                            : make_matrix(x.kind, x.rows, x.features, 100 + item + x.rows));
        const Placed placed = place(graph, a, x.dtype, x.gap);
        FactorOptions options{.decay = x.decay,
                              .scale = x.scale,
                              .bias = x.bias,
                              .sharing = x.sharing,
                              .positions = x.positions,
                              .variant = variant};
        Pending p{placed.items, place_factor(graph, x.items, x.features + x.bias, options, x.gap), options,
                  x.positions};
        accumulate_factor(graph, placed.tensor, p.factor.tensor, options);
        pending_.push_back(std::move(p));
    }

    void add(Graph& graph, const ImageCase& x, std::string_view variant = {}) {
        const std::uint64_t pixels = x.channels * x.height * x.width;
        const Placed placed = place(graph, {random_matrix(x.images, pixels, 5)}, x.dtype);
        FactorOptions options{
            .decay = 0.5f, .bias = x.bias, .sharing = x.sharing, .patches = x.patches, .variant = variant};
        Pending p{{}, {}, options, 0};
        for (std::uint64_t group = 0; group < x.patches.groups; ++group)
            p.a.push_back(patch_rows(placed.items[0], x.channels, x.height, x.width, x.patches, group));
        p.positions = static_cast<std::uint64_t>(p.a[0].rows()) / x.images;
        p.factor = place_factor(graph, x.patches.groups, static_cast<std::uint64_t>(p.a[0].cols()) + x.bias,
                                options, 0);
        accumulate_factor(graph, placed.tensor.reshape({x.images, x.channels, x.height, x.width}),
                          p.factor.tensor, options);
        pending_.push_back(std::move(p));
    }

    void check() {
        for (const Pending& p : pending_) {
            const std::vector<Matrix> results = p.factor.read();
            for (std::size_t item = 0; item < results.size(); ++item) {
                Matrix a = reduced(p.a[item], p.positions, p.options.sharing);
                if (p.options.bias) {
                    a.conservativeResize(Eigen::NoChange, a.cols() + 1);
                    a.col(a.cols() - 1).setOnes();
                }
                const double decay = p.options.decay;
                const double weight =
                    (1 - decay) *
                    static_cast<double>(p.options.scale.value_or(1.0f / static_cast<float>(a.rows())));
                Matrix expected = weight * (a.transpose() * a);
                double allowed =
                    3 * kUnit * std::sqrt(static_cast<double>(a.rows()) + 2) * weight * a.squaredNorm();
                if (decay != 0) {
                    expected += decay * p.factor.items[item];
                    allowed += 6 * kUnit * decay * p.factor.items[item].norm();
                }
                if (p.options.sharing != WeightSharing::expand) {
                    const Matrix absolute = reduced(p.a[item].cwiseAbs(), p.positions, p.options.sharing);
                    allowed += 2 * (64 + static_cast<double>(p.positions) / 64) * kUnit * weight *
                               absolute.norm() * a.norm();
                }
                ratio("product", a, (results[item] - expected).norm(), allowed,
                      std::to_string(a.rows()) + "x" + std::to_string(a.cols()) + " item " +
                          std::to_string(item) + " variant " + std::string(p.options.variant));
                EXPECT_TRUE(results[item] == results[item].transpose()) << "not symmetric bit for bit";
            }
        }
        pending_.clear();
    }

    std::vector<std::string_view> variants(Device& device) {
        if (device.capabilities().cpu) return {"factor_cpu", "factor_cpu_large", "factor_tiled"};
        return {"factor_tiled"};
    }

    std::vector<Pending> pending_;
};

TEST_P(FactorTest, MatchesFloat64ForEverySizeWithEveryVariant) {
    for (std::string_view variant : variants(device())) {
        // 32 x 8 elements an invocation take SwiftShader long to compile, and are not chosen there.
        if (variant == "factor_cpu_large" && device().capabilities().subgroup_size == 4) continue;
        Graph graph(device());
        for (std::uint64_t n :
             {1u, 2u, 3u, 5u, 7u, 8u, 15u, 16u, 17u, 31u, 32u, 33u, 63u, 64u, 65u, 127u, 129u, 257u}) {
            add(graph, FactorCase{.rows = 37, .features = n, .decay = 0.75f, .bias = n % 2 == 0}, variant);
            add(graph, FactorCase{.rows = n, .features = 19, .decay = 0.25f, .bias = n % 2 == 1}, variant);
        }
        run(graph);
        check();
    }
}

TEST_P(FactorTest, MatchesFloat64WithEveryOption) {
    for (std::string_view variant : {std::string_view{}, std::string_view{"factor_tiled"}}) {
        Graph graph(device());
        for (DType dtype : {DType::f32, DType::f16, DType::bf16})
            for (std::uint64_t gap : {0u, 3u}) {
                // Each dtype is a pipeline more, and SwiftShader compiles for long.
                if (dtype == DType::bf16 && !variant.empty()) continue;
                add(graph,
                    FactorCase{
                        .rows = 70, .features = 41, .items = 3, .decay = 0.9f, .dtype = dtype, .gap = gap},
                    variant);
                add(graph,
                    FactorCase{
                        .rows = 33, .features = 20, .scale = 2.0f, .bias = true, .dtype = dtype, .gap = gap},
                    variant);
            }
        add(graph, FactorCase{.rows = 9, .features = 5, .decay = 1.0f}, variant);
        for (MatrixKind kind : finite_matrix_kinds())
            if (kind != MatrixKind::huge && kind != MatrixKind::tiny)
                add(graph, FactorCase{.rows = 40, .features = 24, .decay = 0.5f, .kind = kind}, variant);
        run(graph);
        check();
    }
}

TEST_P(FactorTest, LongBatchesAreSplitOverWorkgroups) {
    for (std::string_view variant : {std::string_view{}, std::string_view{"factor_tiled"}}) {
        Graph graph(device());
        for (std::uint64_t rows : {511u, 512u, 513u, 4000u, 10007u}) {
            add(graph, FactorCase{.rows = rows, .features = 8, .decay = 0.5f, .bias = true}, variant);
            add(graph, FactorCase{.rows = rows, .features = 5, .items = 2}, variant);
        }
        EXPECT_EQ(graph.compile({}).level_count(), 2u);
        run(graph);
        check();
    }
    // More rows than one round of splits takes.
    Graph graph(device());
    add(graph, FactorCase{.rows = 600000, .features = 1, .decay = 0.5f, .bias = true});
    run(graph);
    check();
}

// Saturated activations: in a plain sum the roundings of equal products add up.
TEST_P(FactorTest, LongSumsOfOneSignKeepToTheBound) {
    for (std::string_view variant : variants(device())) {
        if (variant == "factor_cpu_large" && device().capabilities().subgroup_size == 4) continue;
        Graph graph(device());
        for (double value : {0.1, 0.7, 1.3}) {
            for (std::uint64_t rows : {256u, 4096u, 32768u})
                add(graph, FactorCase{.rows = rows, .features = 9, .bias = true, .constant = value}, variant);
            // As many tiles as processors: rows are not split.
            add(graph, FactorCase{.rows = 4096, .features = 130, .constant = value}, variant);
        }
        run(graph);
        check();
    }
}

TEST_P(FactorTest, SharedWeightsAreExpandedOrReduced) {
    for (std::string_view variant : {std::string_view{}, std::string_view{"factor_tiled"}}) {
        Graph graph(device());
        for (WeightSharing sharing : {WeightSharing::expand, WeightSharing::mean, WeightSharing::sum})
            for (std::uint32_t positions : {1u, 5u, 70u})
                add(graph,
                    FactorCase{.rows = 6 * positions,
                               .features = 23,
                               .items = 2,
                               .decay = 0.5f,
                               .bias = true,
                               .sharing = sharing,
                               .positions = positions,
                               .gap = 1},
                    variant);
        run(graph);
        check();
    }
    Graph graph(device());
    add(graph, FactorCase{.rows = 140000,
                          .features = 2,
                          .decay = 0.5f,
                          .sharing = WeightSharing::mean,
                          .positions = 70000});
    run(graph);
    check();
}

// Without features the bias is all there is: a 1 for each sample, not for each position.
TEST_P(FactorTest, BiasAloneCountsSamples) {
    for (std::string_view variant : {std::string_view{}, std::string_view{"factor_tiled"}}) {
        Graph graph(device());
        for (WeightSharing sharing : {WeightSharing::expand, WeightSharing::mean, WeightSharing::sum})
            add(graph,
                FactorCase{.rows = 12,
                           .features = 0,
                           .scale = 1.0f,
                           .bias = true,
                           .sharing = sharing,
                           .positions = 4},
                variant);
        run(graph);
        std::vector<double> counts;
        for (const Pending& p : pending_) counts.push_back(p.factor.read()[0](0, 0));
        EXPECT_EQ(counts, (std::vector<double>{12, 3, 3})) << variant;
        pending_.clear();
    }
}

std::vector<ImageCase> image_cases() {
    return {
        {.images = 3, .channels = 2, .height = 5, .width = 7, .patches = {.kernel = {3, 3}}},
        {.images = 2,
         .channels = 3,
         .height = 6,
         .width = 5,
         .patches = {.kernel = {3, 3}, .padding = {1, 1}},
         .bias = true},
        {.images = 2,
         .channels = 3,
         .height = 9,
         .width = 8,
         .patches = {.kernel = {3, 2}, .stride = {2, 3}, .padding = {2, 1}, .dilation = {2, 1}},
         .bias = true},
        {.images = 5, .channels = 8, .height = 4, .width = 4, .patches = {}},
        {.images = 4,
         .channels = 6,
         .height = 7,
         .width = 7,
         .patches = {.kernel = {2, 3}, .padding = {0, 1}, .groups = 3},
         .bias = true},
        {.images = 2,
         .channels = 9,
         .height = 12,
         .width = 13,
         .patches = {.kernel = {3, 3}, .padding = {1, 1}},
         .bias = true},
        {.images = 3,
         .channels = 4,
         .height = 8,
         .width = 1,
         .patches = {.kernel = {5, 1}, .padding = {2, 0}}},
    };
}

TEST_P(FactorTest, PatchesOfImagesMatchFloat64) {
    for (std::string_view variant : {std::string_view{}, std::string_view{"factor_tiled"}}) {
        Graph graph(device());
        for (ImageCase x : image_cases())
            for (WeightSharing sharing : {WeightSharing::expand, WeightSharing::mean, WeightSharing::sum})
                for (DType dtype : {DType::f32, DType::f16}) {
                    if (dtype == DType::f16 && !variant.empty())
                        continue;  // compiles for long on SwiftShader
                    x.sharing = sharing;
                    x.dtype = dtype;
                    add(graph, x, variant);
                }
        run(graph);
        check();
    }
}

TEST_P(FactorTest, SmallestGpuMatchesFloat64) {
    Graph graph(smallest_gpu());
    for (std::uint64_t n : {3u, 64u, 130u})
        add(graph, FactorCase{.rows = 600, .features = n, .decay = 0.5f, .bias = true});
    run(graph);
    check();
}

TEST_P(FactorTest, OneBadMatrixLeavesTheOthersAlone) {
    Graph graph(device());
    std::vector<Matrix> a{random_matrix(30, 20, 1), random_matrix(30, 20, 2), random_matrix(30, 20, 3)};
    a[1](7, 11) = kNan;
    const Placed placed = place(graph, a), factor = blank(graph, 3, 20, 20);
    accumulate_factor(graph, placed.tensor, factor.tensor, {.decay = 0.0f});
    run(graph);
    const std::vector<Matrix> is = factor.read();
    EXPECT_TRUE(is[0].allFinite() && is[2].allFinite());
    for (Eigen::Index r = 0; r < 20; ++r)
        for (Eigen::Index c = 0; c < 20; ++c) EXPECT_EQ(std::isnan(is[1](r, c)), r == 11 || c == 11);
}

TEST_P(FactorTest, BitsAreTheSameTwiceAndSplit) {
    expect_same_bits(5e6, 1, [&](Graph& graph) -> std::vector<GuardedBuffer*> {
        const Placed a = place(graph, {random_matrix(900, 130, 1)});
        const Placed factor = place(graph, {symmetric(130, 2)});
        accumulate_factor(graph, a.tensor, factor.tensor);
        return {factor.buffer};
    });
}

// Patches are read from the images: there is no matrix of them whose elements could be too many.
TEST_P(FactorTest, TakesMorePatchesThanAMatrixHasElements) {
    Graph graph(device());
    const Tensor images = graph.temporary(DType::f16, {512, 64, 224, 224}),
                 factor = graph.temporary(DType::f32, {576, 576});
    const ConvPatches patches{.kernel = {3, 3}, .padding = {1, 1}};
    EXPECT_NO_THROW(accumulate_factor(graph, images, factor, {.decay = 0, .patches = patches}));
}

TEST_P(FactorTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const Tensor a = graph.temporary(DType::f32, {6, 5}), factor = graph.temporary(DType::f32, {5, 5}),
                 images = graph.temporary(DType::f32, {2, 4, 6, 5}),
                 four = graph.temporary(DType::f32, {4, 4}), half = graph.temporary(DType::f16, {5, 5});
    const auto with = [&](const FactorOptions& options) { accumulate_factor(graph, a, factor, options); };
    const auto patches = [&](const ConvPatches& x) {
        accumulate_factor(graph, images, four, {.patches = x});
    };
    const Tensor pixel = graph.temporary(DType::f32, {1, 1, 1, 1});
    expect_refusals(
        graph, {{"activations is empty", [&] { accumulate_factor(graph, {}, factor); }},
                {"factor is empty", [&] { accumulate_factor(graph, a, {}); }},
                {"with 5 rows and columns", [&] { accumulate_factor(graph, a, four); }},
                {"with 6 rows and columns", [&] { with({.bias = true}); }},
                {"must be f32", [&] { accumulate_factor(graph, a, half); }},
                {"overlaps activations", [&] { accumulate_factor(graph, factor, factor); }},
                {"decay is", [&] { with({.decay = 1.5f}); }},
                {"decay is", [&] { with({.decay = std::numeric_limits<float>::quiet_NaN()}); }},
                {"scale is", [&] { with({.scale = std::numeric_limits<float>::infinity()}); }},
                {"must divide the rows", [&] { with({.sharing = WeightSharing::mean, .positions = 4}); }},
                {"must divide the rows", [&] { with({.sharing = WeightSharing::mean, .positions = 0}); }},
                {"one for all rows",
                 [&] {
                     accumulate_factor(graph, a, graph.temporary(DType::f32, {2, 5, 5}));
                 }},
                {"no variant", [&] { with({.variant = "fast"}); }},
                {"contiguous images", [&] { with({.patches = ConvPatches{}}); }},
                {"must divide the channels", [&] { patches({.groups = 3}); }},
                {"must divide the channels", [&] { patches({.groups = 0}); }},
                {"each of the 2 groups", [&] { patches({.groups = 2}); }},
                {"does not fit the height",
                 [&] {
                     patches({.kernel = {7, 1}});
                 }},
                {"does not fit the width",
                 [&] {
                     patches({.kernel = {1, 3}, .dilation = {1, 3}});
                 }},
                {"more than 2^32 features",
                 [&] {
                     accumulate_factor(
                         graph, pixel, four,
                         {.patches = ConvPatches{.kernel = {65536, 65536}, .padding = {32768, 32768}}});
                 }},
                {"at least 1 along the width", [&] {
                     patches({.stride = {1, 0}});
                 }}});
}

HERON_DEVICE_TESTS(FactorTest);

}  // namespace
}  // namespace heron::test
