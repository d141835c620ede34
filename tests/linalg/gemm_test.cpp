// SPDX-License-Identifier: MIT
// gemm() and syrk() against float64, on every device and with every variant that it can run.
#include <cstdlib>
#include <cstring>
#include <deque>
#include <functional>
#include <set>

#include "graph/graph.hpp"
#include "linalg/gemm_fixture.hpp"
#include "support/vulkan_proxy.hpp"

namespace heron::test {
namespace {

constexpr double kInfinite = std::numeric_limits<double>::infinity();

TEST_P(GemmTest, MatchesFloat64ForAwkwardSizesWithEveryVariant) {
    for (const std::string& variant : all_variants(device())) {
        Graph graph(device());
        for (GemmCase x : awkward_gemm_cases()) {
            x.variant = variant;
            add(graph, x);
        }
        run(graph);
        check(variant);
    }
}

TEST_P(GemmTest, MatchesFloat64WithEveryOption) {
    for (const std::string& variant : all_variants(device())) {
        Graph graph(device());
        for (GemmCase x : gemm_option_cases()) {
            x.variant = variant;
            add(graph, x);
        }
        run(graph);
        check();
    }
}

TEST_P(GemmTest, LeavesSquaresOfItsResult) {
    for (const std::string& variant : all_variants(device())) {
        Graph graph(device());
        std::vector<GemmCase> cases = gemm_squares_cases();
        // A pipeline more, which takes seconds to compile.
        if (variant == "gemm_cpu_small" || variant == "gemm_tiled")
            cases.push_back({.m = 33, .n = 70, .k = 17, .d = DType::f16});
        for (GemmCase& x : cases) {
            x.variant = variant;
            x.squares = true;
            add(graph, x);
        }
        EXPECT_EQ(graph.compile({}).level_count(), variant == "gemm_packed" ? 3u : 2u) << variant;
        run(graph);
        check(variant);
    }
}

TEST_P(GemmTest, ReadsItsResultAgainForSquaresThatAKernelCannotLeave) {
    Graph graph(device());
    for (GemmCase x : {
             GemmCase{.m = 7, .n = 9, .k = 0, .batch = 2, .beta = 3.0f},
             GemmCase{.m = 40, .n = 40, .k = 9, .batch = 2, .symmetric = true, .d = DType::bf16},
             GemmCase{.m = 5, .n = 3, .k = 4100, .batch = 2},
             GemmCase{.m = 5, .n = 3, .k = 9, .batch = 2, .active = {1, 1}},
             GemmCase{.m = 0, .n = 3, .k = 9, .batch = 2},
         }) {
        x.squares = true;
        add(graph, x);
    }
    run(graph);
    check();
}

TEST_P(GemmTest, SymmetricProductsMatchFloat64) {
    for (const std::string& variant : all_variants(device())) {
        Graph graph(device());
        for (GemmCase x : symmetric_gemm_cases()) {
            x.variant = variant;
            add(graph, x);
        }
        run(graph);
        check();
    }
}

TEST_P(GemmTest, TakesEveryElementTypeWithoutFeaturesOf16Bits) {
    const DType f32 = DType::f32, f16 = DType::f16, bf16 = DType::bf16;
    struct Types {
        DType a, b, c, d;
    };
    DisabledCapabilities without;
    without.shader_float16 = without.storage_16bit = without.storage_8bit = without.bfloat16 = true;
    for (Device* on : {&device(), &device(without)})
        for (const std::string& variant : on == &device() ? variants(*on) : std::vector<std::string>{""}) {
            Graph graph(*on);
            for (const Types& t :
                 {Types{f16, f16, f32, f32}, Types{bf16, f16, bf16, f16}, Types{f32, bf16, f16, bf16}}) {
                // The CPU variants without panels are one source, as the tiled ones are; each combination is
                // a pipeline of its own. Where gemm_packed is never chosen, each takes seconds to compile.
                const bool packed = variant == "gemm_packed" && device().capabilities().cpu_uniform_loads;
                if (t.d != f32 && variant != "gemm_cpu_small" && variant != "gemm_tiled" && !packed) continue;
                for (std::uint64_t gap : {0u, 1u})
                    for (std::uint64_t n : {1u, 2u, 33u, 64u, 77u}) {
                        GemmCase x{
                            .m = 21, .n = n, .k = 19, .a = t.a, .b = t.b, .c = t.c, .d = t.d, .gap = gap};
                        x.variant = variant;
                        add(graph, x);
                        x.transpose_a = x.transpose_b = true;
                        x.batch = 3;
                        x.beta = 0.5f;
                        add(graph, x);
                        GemmCase s{.m = n,
                                   .n = n,
                                   .k = 19,
                                   .symmetric = true,
                                   .a = t.a,
                                   .b = t.a,
                                   .c = t.c,
                                   .d = t.d,
                                   .gap = gap,
                                   .variant = variant};
                        add(graph, s);
                        s.beta = 1;
                        s.in_place = true;
                        add(graph, s);
                    }
            }
            run(graph);
            check();
        }
}

TEST_P(GemmTest, ReadsRowsOfWholeStepsWhereTheyAre) {
    const std::vector<std::string> names = variants(device());
    if (std::find(names.begin(), names.end(), "gemm_packed") == names.end())
        GTEST_SKIP() << "gemm_packed is for CPU drivers with subgroups of 8 or 16";
    struct Case {
        GemmCase gemm;
        bool in_place;
    };
    for (const Case& x : {
             Case{{.m = 1, .n = 1, .k = 16}, true},
             Case{{.m = 13, .n = 33, .k = 48, .batch = 3, .gap = 16}, true},
             Case{{.m = 101, .n = 97, .k = 80, .batch = 3, .shared_a = true, .beta = 0.5f}, true},
             Case{{.m = 35, .n = 35, .k = 144, .batch = 2, .symmetric = true}, true},
             Case{{.m = 25, .n = 17, .k = 48, .batch = 3, .active = {1, 0, 1}}, true},
             Case{{.m = 25, .n = 17, .k = 48, .batch = 2, .d = DType::bf16, .squares = true}, true},
             Case{{.m = 5, .n = 3, .k = 33008, .batch = 2}, true},  // in pieces
             Case{{.m = 2, .n = 3, .k = 1008, .gap = 16}, false},   // 4096 bytes from row to row
             Case{{.m = 35, .n = 35, .k = 40, .symmetric = true}, false},
             Case{{.m = 13, .n = 33, .k = 48, .gap = 8}, false},
             Case{{.m = 13, .n = 33, .k = 48, .transpose_a = true}, false},
             Case{{.m = 13, .n = 33, .k = 48, .a = DType::f16}, false},
         }) {
        Graph graph(device());
        GemmCase gemm = x.gemm;
        gemm.variant = "gemm_packed";
        add(graph, gemm);
        EXPECT_EQ(graph.compile({}).describe().find("PRODUCT_ROWS") != std::string::npos, x.in_place) << gemm;
        run(graph);
        check("gemm_packed");
    }
}

// A long sum is split over workgroups. 100,000 is more than lavapipe 22.3 can loop in one.
TEST_P(GemmTest, SplitsLongSums) {
    Graph graph(device());
    for (bool transpose : {false, true})
        for (std::uint64_t k : {4099u, 33000u, 100000u}) {
            add(graph, {.m = 5, .n = 3, .k = k, .transpose_a = transpose, .transpose_b = !transpose});
            GemmCase s{.m = 7,
                       .n = 7,
                       .k = k,
                       .transpose_a = transpose,
                       .symmetric = true,
                       .alpha = 0.5f,
                       .beta = 2.0f};
            s.gap = 1;
            add(graph, s);
            s.in_place = true;
            s.batch = 2;
            s.a = s.b = s.d = DType::f16;
            add(graph, s);
        }
    add(graph, {.m = 3,
                .n = 4,
                .k = 4100,
                .batch = 3,
                .shared_b = true,
                .shared_c = true,
                .beta = 1.0f,
                .d = DType::bf16});
    // Items of an odd number of 16-bit elements begin in the middle of a word.
    for (bool transpose : {false, true})
        for (DType half : {DType::f16, DType::bf16})
            add(graph, {.m = 5,
                        .n = 3,
                        .k = 4099,
                        .batch = 3,
                        .transpose_a = transpose,
                        .transpose_b = transpose,
                        .a = half,
                        .b = half,
                        .active = {1, 0, 1}});
    Plan plan = graph.compile({});
    EXPECT_EQ(plan.level_count(), 2u);
    plan.allocate();
    EXPECT_TRUE(plan.hazards().empty());
    plan.run();
    check("long sums in pieces");
}

TEST_P(GemmTest, SplitsOnlyWhereNeededWhenAsked) {
    for (const auto& [k, levels] : {std::pair{32768u, 1u}, {32769u, 2u}}) {
        Graph graph(device());
        const Tensor a = graph.state("a", DType::f32, {4, k}), d = graph.state("d", DType::f32, {4, 4});
        syrk(graph, a, {}, d, {.split = SplitK::when_needed});
        EXPECT_EQ(graph.compile({}).level_count(), levels) << k;
    }
}

// The Gram matrix of an iteration whose coefficients are 0, for one.
TEST_P(GemmTest, MultipliesNothingIntoTemporaries) {
    Graph graph(device());
    for (std::uint64_t k : {0u, 5u})
        for (float beta : {0.0f, 2.0f})
            for (bool symmetric : {false, true})
                add(graph, {.m = 7,
                            .n = 7,
                            .k = k,
                            .batch = 2,
                            .symmetric = symmetric,
                            .alpha = 0,
                            .beta = beta,
                            .copied = true});
    run(graph);
    check();
}

TEST_P(GemmTest, LeavesInactiveMatricesAsTheyAre) {
    for (const std::string& variant : all_variants(device())) {
        Graph graph(device());
        const std::vector<std::uint32_t> some{1, 0, 7, 0, 0x80000000};
        for (const bool in_place : {false, true}) {
            GemmCase x{.m = 37, .n = 35, .k = 21, .batch = 5, .beta = 2, .variant = variant, .active = some};
            x.in_place = in_place;
            add(graph, x);
            x.shared_a = x.shared_b = true;
            add(graph, x);
            x.symmetric = true;
            x.shared_a = x.shared_b = false;
            x.n = x.m;
            add(graph, x);
            x.symmetric = false;
            x.k = 0;
            add(graph, x);
            x.k = 5;
            x.alpha = 0;
            add(graph, x);
        }
        add(graph, {.m = 5, .n = 7, .k = 3, .beta = 1, .variant = variant, .active = {0}});
        add(graph, {.m = 5, .n = 7, .k = 3, .variant = variant, .active = {1}});
        add(graph, {.m = 5, .n = 7, .k = 4100, .batch = 5, .variant = variant, .active = some});
        if (!on_matrix_units(variant))
            add(graph,
                {.m = 5, .n = 7, .k = 33, .batch = 5, .d = DType::f16, .variant = variant, .active = some});
        run(graph);
        check(variant);
    }
}

// Panels that end anywhere in a workgroup's tile, many tiles, pieces of k, all in one level.
TEST_P(GemmTest, PanelsOfManyTilesMatchFloat64) {
    const auto names = variants(device());
    if (std::find(names.begin(), names.end(), "gemm_packed") == names.end())
        GTEST_SKIP() << "gemm_packed cannot run";
    Graph graph(device());
    for (std::uint64_t m : {47u, 96u, 109u})
        for (std::uint64_t n : {49u, 96u, 145u}) {
            GemmCase x{.m = m, .n = n, .k = 130, .variant = "gemm_packed"};
            x.transpose_a = m == 96;
            x.transpose_b = n == 96;
            x.shared_a = m == 47;
            x.shared_b = n == 49;
            x.batch = 3;
            add(graph, x);
            x.beta = 0.5f;
            x.gap = 1;
            add(graph, x);
        }
    for (std::uint64_t n : {95u, 97u, 150u})
        add(graph, {.m = n, .n = n, .k = 40, .batch = 2, .symmetric = true, .variant = "gemm_packed"});
    add(graph, {.m = 50, .n = 50, .k = 40000, .variant = "gemm_packed"});
    Plan plan = graph.compile({});
    EXPECT_EQ(plan.level_count(), 3u) << "panels, products, sums of pieces";
    plan.allocate();
    EXPECT_TRUE(plan.hazards().empty());
    plan.run();
    check("gemm_packed");
}

// Rows along k of the graph's own tensors are read sixteen bytes at a time, those of others word by word, as
// transposed ones are; what begins in the middle of a word one by one.
TEST_P(GemmTest, PairsOf16BitsTakeEveryLayout) {
    for (const GemmKernel& kernel : gemm_kernels()) {
        if (!kernel.pairs) continue;
        Graph graph(device());
        for (int transposes = 0; transposes < 4; ++transposes)
            for (std::uint64_t gap : {0u, 1u, 2u})
                for (std::uint64_t k : {72u, 45u}) {
                    GemmCase x{.m = 130, .n = 72, .k = k, .alpha = 0.5f, .beta = 2.0f, .gap = gap};
                    x.transpose_a = (transposes & 1) != 0;
                    x.transpose_b = (transposes & 2) != 0;
                    x.b = DType::bf16;
                    x.copied = gap == 0;
                    x.variant = kernel.info.name;
                    add(graph, x);
                    x.m = x.n = 67;
                    x.b = x.a;
                    x.symmetric = true;
                    x.batch = 2;
                    add(graph, x);
                }
        run(graph);
        check(kernel.info.name);
    }
}

TEST_P(GemmTest, MatrixUnitsTakeEveryLayoutAndResult) {
    const Capabilities& has = device().capabilities();
    EXPECT_EQ(variants(device(), true).empty(),
              !HERON_HAVE_COOPMAT ||
                  (!has.cooperative_matrix && (!HERON_HAVE_BFLOAT16 || has.cooperative_bf16.m == 0)));
    std::set<std::string> ran;
    for (const std::string& variant : variants(device(), true)) {
        Graph graph(device());
        for (GemmCase x : gemm_layout_cases()) {
            x.variant = variant;
            add(graph, x);
        }
        if (!pending_.empty()) ran.insert(variant);
        run(graph);
        check(variant);
    }
    // Set where tools and driver are known to have them (.ci/legs/debian13).
    if (std::getenv("HERON_EXPECT_COOPMAT") != nullptr)
        for (const char* variant : {"gemm_coopmat", "gemm_coopmat_large"})
            EXPECT_TRUE(ran.contains(variant)) << variant << " did not run";
}

TEST_P(GemmTest, MatchesFloat64ForEveryKindOfMatrix) {
    Graph graph(device());
    for (MatrixKind kind : finite_matrix_kinds()) {
        add(graph, {.m = 37, .n = 29, .k = 31, .kind = kind});
        add(graph, {.m = 37, .n = 37, .k = 31, .symmetric = true, .beta = 1, .kind = kind});
    }
    run(graph);
    check();
}

TEST_P(GemmTest, EveryVariantMatchesFloat64ForEveryKindOfMatrix) {
    for (const std::string& variant : all_variants(device())) {
        Graph graph(device());
        for (MatrixKind kind : finite_matrix_kinds()) {
            // Infinite, or zero, in f16.
            if (operand_type(variant) == DType::f16 && (kind == MatrixKind::huge || kind == MatrixKind::tiny))
                continue;
            add(graph, {.m = 37, .n = 29, .k = 31, .kind = kind, .variant = variant});
            if (kind != MatrixKind::huge)  // its squares' sums are out of range
                add(graph,
                    {.m = 37, .n = 37, .k = 1000, .symmetric = true, .kind = kind, .variant = variant});
        }
        run(graph);
        check(variant);
    }
}

// Sums of equal products lose most in the order in which they are added up one by one: up to k / 2 units of
// rounding. Kernels for CPUs close their sums now and then, and keep to the bound for any numbers.
TEST_P(GemmTest, LongSumsOfOneSignKeepToTheBound) {
    for (const std::string& variant : all_variants(device()))
        for (std::uint64_t k : {256u, 4096u, 32768u}) {
            Graph graph(device());
            for (double value : {0.1, 0.7, 1.3}) {
                add(graph, {.m = 5, .n = 3, .k = k, .constant = value, .variant = variant});
                add(graph,
                    {.m = 9, .n = 9, .k = k, .symmetric = true, .constant = value, .variant = variant});
            }
            run(graph);
            const bool closes = variant.starts_with("gemm_cpu") || variant == "gemm_packed";
            const double depth = static_cast<double>(k);
            check(variant, closes ? 1 : depth / 2 / (3 * std::sqrt(depth + 2)));
        }
}

// Of more pieces than partial sums have room for, some are added to those before them.
TEST_P(GemmTest, PiecesShareFewPartialSums) {
    for (const std::string& variant : all_variants(device())) {
        Graph graph(device());
        for (std::uint64_t room : {1u, 2u, 3u, 7u})
            for (bool active : {false, true}) {
                GemmCase x{.m = 5, .n = 3, .k = 5000, .batch = 2, .alpha = 0.5f, .variant = variant};
                x.partial_sums = room * 2 * 5 * 3;
                if (active) x.active = {0, 1};
                add(graph, x);
                x.d = DType::f16;
                add(graph, x);
            }
        run(graph);
        check(variant);
    }
}

// Far more partial sums than 32-bit indices reach; not run.
TEST_P(GemmTest, PartialSumsStayWithinReach) {
    Graph graph(device());
    const Tensor a = graph.temporary(DType::f16, {46000, 90000}),
                 b = graph.temporary(DType::f16, {90000, 46000}),
                 d = graph.temporary(DType::f16, {46000, 46000});
    gemm(graph, a, b, {}, d, {});
    for (const Node& node : graph.impl().nodes)
        for (const Operand& x : node.operation.operands)
            EXPECT_LT(x.tensor.shape.count(), std::uint64_t{1} << 32) << node.operation.kernel->name;
}

// k is in eight pieces, but few tiles keep any device busy: not every piece has a sum of its own. Not run.
TEST_P(GemmTest, LargeResultsOfLongProductsHaveFewPartialSums) {
    Graph graph(device());
    const Tensor a = graph.temporary(DType::f16, {2048, std::uint64_t{1} << 18}),
                 d = graph.temporary(DType::f32, {2048, 2048});
    syrk(graph, a, {}, d, {});
    std::uint64_t sums = 0;  // elements that the last operation adds up
    for (const Node& node : graph.impl().nodes)
        if (std::string_view(node.operation.kernel->name) == "gemm_combine")
            for (const Operand& x : node.operation.operands)
                if (x.access == Access::read) sums = std::max(sums, x.tensor.shape.count());
    EXPECT_GE(sums, d.shape.count());
    EXPECT_LE(sums, 4 * d.shape.count());
}

// Of a C that is not symmetric, what is above the diagonal counts, whether there is something to multiply or
// not.
TEST_P(GemmTest, SymmetricResultsTakeTheUpperHalfOfC) {
    for (const std::uint64_t k : {0u, 3u})
        for (const float alpha : {0.0f, 1.0f}) {
            Graph graph(device());
            const Matrix values = make_matrix(MatrixKind::random, 5, std::max<std::uint64_t>(k, 1), 1);
            const Placed a = place(graph, {Matrix(values.leftCols(static_cast<Eigen::Index>(k)))}, DType::f32,
                                   0),
                         c = place(graph, {make_matrix(MatrixKind::random, 5, 5, 2)}, DType::f32, 1),
                         d = place(graph, {make_matrix(MatrixKind::random, 5, 5, 3)}, DType::f32, 2);
            syrk(graph, a.tensor, c.tensor, d.tensor, {.alpha = alpha, .beta = 2});
            run(graph);
            const Matrix upper = c.items[0].triangularView<Eigen::Upper>(),
                         mirrored = upper.selfadjointView<Eigen::Upper>();
            const Matrix expected =
                2 * mirrored + static_cast<double>(alpha) * a.items[0] * a.items[0].transpose();
            const Matrix result = decode(d.buffer->read<std::byte>(), DType::f32, 1, 5, 5, d.stride)[0];
            EXPECT_LE((result - expected).norm(), 1e-6 * expected.norm()) << "k " << k << ", alpha " << alpha;
            EXPECT_TRUE(result == result.transpose());
        }
}

// An infinity in A is one in the squares of its row, not a NaN of what lies beyond D's edge.
TEST_P(GemmTest, SquaresOfInfiniteRowsAreInfinite) {
    for (const std::string& variant : all_variants(device())) {
        Graph graph(device());
        const DType type = operand_type(variant);
        Matrix values = Matrix::Constant(5, 7, 1.0);
        values(2, 3) = kInfinite;
        const Placed a = place(graph, {values}, type, 0),
                     b = place(graph, {Matrix::Constant(7, 3, 1.0)}, type, 0),
                     d = place(graph, {Matrix::Constant(5, 3, 0.0)}, DType::f32, 0);
        GuardedBuffer& squares = guarded_on(device(), std::vector<float>(5, -1.0f));
        gemm(graph, a.tensor, b.tensor, {}, d.tensor,
             {.variant = variant, .row_squares = graph.external("squares", squares.view(DType::f32, {5}))});
        run(graph);
        const std::vector<float> found = squares.floats();
        for (std::size_t row = 0; row < 5; ++row)
            EXPECT_EQ(found[row], row == 2 ? kInfinite : 147.0) << variant << ", row " << row;
    }
}

TEST_P(GemmTest, SmallestLimitsOfVulkanSuffice) {
    DisabledCapabilities smallest;
    smallest.cpu = true;
    smallest.max_invocations = 128;
    smallest.max_shared_memory = 16384;
    Device& small = device(smallest);
    EXPECT_EQ(variants(small), (std::vector<std::string>{"gemm_small", "gemm_tiled_16bit", "gemm_tiled"}));
    EXPECT_STREQ(choose_gemm(small.capabilities(), {4096, 4096, 4096, 1, false}).kernel->info.name,
                 "gemm_tiled");
    Graph graph(small);
    add(graph, {.m = 130, .n = 70, .k = 45, .beta = 1});
    add(graph, {.m = 130, .n = 130, .k = 45, .symmetric = true});
    add(graph, {.m = 30, .n = 20, .k = 45, .batch = 3, .beta = 1});
    add(graph, {.m = 70, .n = 65, .k = 45, .a = DType::f16, .b = DType::bf16});
    run(graph);
    check();
}

// Workgroups of many matrices, of one, and with a part of them idle; long and short steps of k; all in one
// dispatch.
TEST_P(GemmTest, ManySmallMatricesMatchFloat64) {
    const GemmSize sizes[] = {{1, 1, 9},    {3, 5, 33},   {8, 8, 8},     {16, 16, 16}, {17, 16, 70},
                              {32, 32, 32}, {44, 41, 21}, {33, 44, 130}, {128, 3, 11}, {2, 127, 40}};
    const Capabilities& has = device().capabilities();
    Graph graph(device());
    for (const GemmSize& size : sizes) {
        const std::uint32_t items = small_items(size.m, size.n);
        ASSERT_GT(items, 0u) << size.m << "x" << size.n;
        GemmCase x{.m = size.m, .n = size.n, .k = size.k, .batch = 2 * items + (items + 1) / 2};
        x.variant = "gemm_small";
        add(graph, x);
        x.transpose_a = x.transpose_b = true;
        x.gap = 1;
        x.beta = -0.5f;
        x.in_place = true;
        x.batch = items;
        add(graph, x);
        x.batch = items + 1;
        x.shared_a = size.m % 2 == 1;
        x.shared_b = !x.shared_a;
        x.active.resize(x.batch);
        for (std::uint64_t i = 0; i < x.batch; ++i) x.active[i] = i % 3 != 0;
        add(graph, x);
        if (size.m != size.n) continue;
        GemmCase s{.m = size.m, .n = size.n, .k = size.k, .batch = items + 3, .symmetric = true};
        s.beta = 1;
        s.variant = "gemm_small";
        add(graph, s);
    }
    EXPECT_EQ(pending_.size(), 3 * std::size(sizes) + 4);
    Plan plan = graph.compile({});
    EXPECT_EQ(plan.dispatch_count(), 1u);
    plan.allocate();
    EXPECT_TRUE(plan.hazards().empty());
    plan.run();
    check("gemm_small");

    for (const GemmSize& size : {GemmSize{129, 1, 8}, {1, 129, 8}, {48, 48, 8}, {128, 17, 8}}) try {
            choose_gemm(has, {size.m, size.n, size.k, 1, false}, "gemm_small");
            ADD_FAILURE() << "not refused: " << size.m << "x" << size.n;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::unsupported);
            EXPECT_NE(std::string(error.what()).find("blocks of 4 x 4"), std::string::npos) << error.what();
        }
}

// A device that reports another subgroup size than it has: the CPU variant's workgroups become part of a
// subgroup, or several, and must still be right.
TEST_P(GemmTest, CpuVariantNeedsNoTruthAboutSubgroups) {
    if (!device().capabilities().cpu) GTEST_SKIP() << "not a CPU driver";
    const Matrix a = random_matrix(35, 50, 1), b = random_matrix(50, 70, 2);
    for (std::uint32_t subgroup_size : {4u, 8u, 16u}) {
        Emulation emulation;
        emulation.subgroup_size = subgroup_size;
        VulkanProxy proxy(validated_entry(), emulation);
        DeviceOptions options = device_options(GetParam());
        options.get_instance_proc_addr = proxy.entry();
        Device emulated = Device::create(options);
        ASSERT_EQ(emulated.capabilities().subgroup_size, subgroup_size);
        const auto upload_matrix = [&](const Matrix& matrix) {
            return upload(emulated, encode({matrix}, DType::f32, static_cast<std::uint64_t>(matrix.cols())));
        };
        const Buffer buffer_a = upload_matrix(rounded(a, DType::f32)),
                     buffer_b = upload_matrix(rounded(b, DType::f32));
        const Buffer buffer_d = emulated.create_buffer(35 * 70 * 4),
                     buffer_s = emulated.create_buffer(35 * 35 * 4);
        const std::string_view variant = "gemm_cpu_medium";
        Graph graph(emulated);
        const Tensor ta = graph.external("a", buffer_a.view(DType::f32, {35, 50}));
        const Tensor tb = graph.external("b", buffer_b.view(DType::f32, {50, 70}));
        gemm(graph, ta, tb, {}, graph.external("d", buffer_d.view(DType::f32, {35, 70})),
             {.variant = variant});
        syrk(graph, ta, {}, graph.external("s", buffer_s.view(DType::f32, {35, 35})), {.variant = variant});
        Plan plan = graph.compile({});
        plan.allocate();
        plan.run();
        const auto ratio = [&](const Buffer& result, const Matrix& left, const Matrix& right) {
            const auto cols = static_cast<std::uint64_t>(right.cols());
            const Matrix is = decode(download<std::byte>(result), DType::f32, 1, 35, cols, cols)[0];
            return gemm_error_ratio(is, left * right, 1, left, right, 0, {}, DType::f32);
        };
        const Matrix ra = rounded(a, DType::f32), rb = rounded(b, DType::f32);
        EXPECT_LE(ratio(buffer_d, ra, rb), 1) << subgroup_size;
        EXPECT_LE(ratio(buffer_s, ra, ra.transpose()), 1) << subgroup_size;
    }
}

TEST_P(GemmTest, BetaZeroReadsNoC) {
    Graph graph(device());
    const Matrix nan = Matrix::Constant(20, 30, std::numeric_limits<double>::quiet_NaN());
    const Matrix a = random_matrix(20, 10, 1), b = random_matrix(10, 30, 2);
    const Placed pa = place(graph, {a}, DType::f32, 0), pb = place(graph, {b}, DType::f32, 0);
    const Placed pc = place(graph, {nan}, DType::f32, 0), pd = place(graph, {nan}, DType::f32, 0);
    gemm(graph, pa.tensor, pb.tensor, pc.tensor, pd.tensor, {.beta = 0.0f});
    run(graph);
    const Matrix d = decode(pd.buffer->read<std::byte>(), DType::f32, 1, 20, 30, 30)[0];
    EXPECT_TRUE(d.allFinite());
}

// A NaN of A makes its row of D NaN, an infinity makes it non-finite, and neither touches another row. Rows
// of 32 are those that gemm_packed reads where they are.
TEST_P(GemmTest, NonfiniteElementsStayInTheirRow) {
    for (const std::string& variant : all_variants(device()))
        for (const auto& [kind, k] :
             {std::pair(MatrixKind::one_nan, 21u), std::pair(MatrixKind::one_inf, 21u),
              std::pair(MatrixKind::one_nan, 32u), std::pair(MatrixKind::one_inf, 32u)}) {
            Graph graph(device());
            const Eigen::Index n = whole_matrices(variant) ? 55 : 67;
            const auto cols = static_cast<std::uint64_t>(n);
            const Matrix a = make_matrix(kind, 35, k, 5), b = random_matrix(k, cols, 6);
            const DType type = operand_type(variant);
            const Placed pa = place(graph, {a}, type, 0), pb = place(graph, {b}, type, 0);
            const Placed pd = place(graph, {Matrix::Zero(35, n)}, DType::f32, 0);
            gemm(graph, pa.tensor, pb.tensor, {}, pd.tensor, {.variant = variant});
            run(graph);
            const Matrix d = decode(pd.buffer->read<std::byte>(), DType::f32, 1, 35, cols, cols)[0];
            for (Eigen::Index i = 0; i < 35; ++i)
                for (Eigen::Index j = 0; j < n; ++j) {
                    if (a.row(i).allFinite()) {
                        ASSERT_TRUE(std::isfinite(d(i, j))) << variant << " " << i << " " << j;
                    } else if (kind == MatrixKind::one_nan) {
                        ASSERT_TRUE(std::isnan(d(i, j))) << variant << " " << i << " " << j;
                    } else {
                        ASSERT_TRUE(std::isinf(d(i, j))) << variant << " " << i << " " << j;
                    }
                }
        }
}

// The same bits again, in another plan, and split into many dispatches.
TEST_P(GemmTest, SameBitsWholeOrSplitAndEveryTime) {
    for (const std::string& variant : all_variants(device())) {
        std::vector<std::vector<std::byte>> results;
        for (int round = 0; round < 3; ++round) {
            Graph graph(device());
            const bool whole = whole_matrices(variant);
            const std::uint64_t m = whole ? 30 : 150, n = whole ? 41 : 140;
            std::vector<Matrix> a, b;
            for (std::uint64_t item = 0; item < (whole ? 20u : 1u); ++item) {
                a.push_back(random_matrix(m, 70, 1 + 2 * item));
                b.push_back(random_matrix(70, n, 2 + 2 * item));
            }
            const auto zeros = [&](std::uint64_t rows, std::uint64_t cols) {
                return std::vector<Matrix>(
                    a.size(), Matrix::Zero(static_cast<Eigen::Index>(rows), static_cast<Eigen::Index>(cols)));
            };
            const Placed pa = place(graph, a, operand_type(variant), 0);
            const Placed pb = place(graph, b, operand_type(variant), 0);
            const Placed pd = place(graph, zeros(m, n), DType::f32, 0);
            const Placed ps = place(graph, zeros(m, m), DType::f32, 0);
            gemm(graph, pa.tensor, pb.tensor, {}, pd.tensor, {.variant = variant});
            syrk(graph, pa.tensor, {}, ps.tensor, {.variant = variant});
            PlanOptions options;
            if (round == 2) options.max_dispatch_flops = 5e5;
            Plan plan = graph.compile(options);
            if (round == 2) {
                EXPECT_GT(plan.dispatch_count(), 2u);
            }
            plan.allocate();
            for (int repeat = 0; repeat < 3; ++repeat) {
                plan.run();
                results.push_back(pd.buffer->read<std::byte>());
                const auto symmetric = ps.buffer->read<std::byte>();
                results.back().insert(results.back().end(), symmetric.begin(), symmetric.end());
            }
        }
        for (const auto& result : results) EXPECT_TRUE(result == results[0]) << variant;
    }
}

TEST_P(GemmTest, MergesShapesOfALevelIntoOneDispatch) {
    DisabledCapabilities gpu;
    gpu.cpu = true;
    Graph graph(device(gpu));
    for (std::uint64_t i = 1; i < 20; ++i)
        add(graph, {.m = i * 3, .n = 50 - i, .k = i, .transpose_a = i % 2 == 0, .transpose_b = i % 3 == 0});
    Plan plan = graph.compile({});
    EXPECT_EQ(plan.dispatch_count(), 1u);
    EXPECT_EQ(plan.level_count(), 1u);
    plan.allocate();
    plan.run();
    check();
}

TEST_P(GemmTest, RefusesWhatDoesNotFitAndAddsNothing) {
    Graph graph(device());
    const auto placed = [&](std::uint64_t rows, std::uint64_t cols, DType dtype = DType::f32) {
        return graph.temporary(dtype, Shape{rows, cols});
    };
    const Tensor a = placed(4, 6), b = placed(6, 5), d = placed(4, 5), square = placed(6, 6),
                 tall = placed(5, 5);
    Tensor short_rows = d;
    short_rows.row_stride = 3;
    Tensor shifted = graph.temporary(DType::f16, Shape{5, 5});
    shifted.byte_offset = 10;
    shifted.shape = Shape{4, 5};
    Graph other(device());
    const Tensor foreign = other.temporary(DType::f32, {4, 6});  // its number is one of this graph's, too
    Graph big(device());                                         // of its own: its memory would not fit
    const Tensor huge = big.temporary(DType::f32, {65536, 65536});
    const Refusal refusals[] = {
        {"A is empty", [&] { gemm(graph, {}, b, {}, d); }},
        {"B is empty", [&] { gemm(graph, a, {}, {}, d); }},
        {"D is empty", [&] { gemm(graph, a, b, {}, {}); }},
        {"belongs to another graph", [&] { gemm(graph, foreign, b, {}, d); }},
        {"op(B) must have as many rows", [&] { gemm(graph, a, placed(7, 5), {}, d); }},
        {"op(A) op(B) is 4x5", [&] { gemm(graph, a, b, {}, placed(5, 4)); }},
        {"op(B) must have as many rows", [&] { gemm(graph, a, b, {}, d, {.transpose_a = Transpose::yes}); }},
        {"C is empty", [&] { gemm(graph, a, b, {}, d, {.beta = 1}); }},
        {"alpha is nan", [&] { gemm(graph, a, b, {}, d, {.alpha = std::nanf("")}); }},
        {"beta inf", [&] { gemm(graph, a, b, d, d, {.beta = INFINITY}); }},
        {"transpose_a", [&] { gemm(graph, a, b, {}, d, {.transpose_a = static_cast<Transpose>(7)}); }},
        {"transpose_b", [&] { gemm(graph, a, b, {}, d, {.transpose_b = static_cast<Transpose>(2)}); }},
        {"row_squares is 5 f32",
         [&] { gemm(graph, a, b, {}, d, {.row_squares = graph.temporary(DType::f32, {5})}); }},
        {"split", [&] { gemm(graph, a, b, {}, d, {.split = static_cast<SplitK>(2)}); }},
        {"transpose_a",
         [&] { syrk(graph, a, {}, placed(4, 4), {.transpose_a = static_cast<Transpose>(7)}); }},
        {"C is 5x4", [&] { gemm(graph, a, b, placed(5, 4), d, {.beta = 1}); }},
        {"f32, f16 or bf16", [&] { gemm(graph, placed(4, 6, DType::u32), b, {}, d); }},
        {"rows overlap", [&] { gemm(graph, a, b, {}, short_rows); }},
        {"multiple of 4 bytes", [&] { gemm(graph, a, b, {}, shifted); }},
        {"overlaps A", [&] { gemm(graph, square, placed(6, 6), {}, square); }},
        {"overlaps B", [&] { gemm(graph, placed(6, 6), square, {}, square); }},
        {"overlaps C", [&] { gemm(graph, a, b, tall.row_range(0, 4), tall.row_range(1, 4), {.beta = 1}); }},
        {"square", [&] { gemm(graph, a, b, {}, d, {.symmetric = true}); }},
        {"active is 2", [&] { gemm(graph, a, b, {}, d, {.active = graph.temporary(DType::u32, {2})}); }},
        {"active is 1", [&] { gemm(graph, a, b, {}, d, {.active = graph.temporary(DType::f32, {1})}); }},
        {"active belongs to another graph",
         [&] { gemm(graph, a, b, {}, d, {.active = other.temporary(DType::u32, {1})}); }},
        {"3 matrices",
         [&] {
             gemm(graph, graph.temporary(DType::f32, {3, 4, 6}), b, {}, d);
         }},
        {"no variant \"nonsense\"", [&] { gemm(graph, a, b, {}, d, {.variant = "nonsense"}); }},
        {"overlaps A", [&] { syrk(graph, square, {}, square); }},
        {"2^32",
         [&] {
             gemm(big, huge, big.temporary(DType::f32, {65536, 2}), {},
                  big.temporary(DType::f32, {65536, 2}));
         }},
    };
    for (const Refusal& refusal : refusals) {
        try {
            refusal.call();
            ADD_FAILURE() << "not refused: " << refusal.needle;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.what();
            EXPECT_NE(std::string(error.what()).find(refusal.needle), std::string::npos) << error.what();
        }
    }
    EXPECT_EQ(graph.compile({}).dispatch_count(), 0u);
}

HERON_DEVICE_TESTS(GemmTest);

// The choice itself needs no device.
TEST(GemmChoice, TakesTheFirstKernelThatFits) {
    Capabilities cpu;
    cpu.cpu = true;
    cpu.subgroup_size = 8;
    EXPECT_STREQ(choose_gemm(cpu, {256, 256, 256, 1, false}).kernel->info.name, "gemm_cpu");
    EXPECT_STREQ(choose_gemm(cpu, {64, 64, 256, 1, false}).kernel->info.name, "gemm_cpu_medium");
    EXPECT_STREQ(choose_gemm(cpu, {64, 64, 256, 10, false}).kernel->info.name, "gemm_cpu");
    EXPECT_STREQ(choose_gemm(cpu, {4, 4, 256, 1, false}).kernel->info.name, "gemm_cpu_small");
    cpu.cpu_uniform_loads = cpu.subgroup_size_control = true;
    EXPECT_STREQ(choose_gemm(cpu, {256, 256, 256, 1, false}).kernel->info.name, "gemm_packed");
    EXPECT_STREQ(choose_gemm(cpu, {4, 4, 256, 1, false}).kernel->info.name, "gemm_cpu_small");
    EXPECT_STREQ(choose_gemm(cpu, {48, 512, 256, 1, false}).kernel->info.name, "gemm_packed");
    EXPECT_STREQ(choose_gemm(cpu, {64, 64, 256, 10, false}).kernel->info.name, "gemm_cpu");
    EXPECT_STREQ(choose_gemm(cpu, {1 << 20, 256, 4096, 1, false}).kernel->info.name, "gemm_cpu");
    EXPECT_THROW(choose_gemm(cpu, {1 << 20, 256, 4096, 1, false}, "gemm_packed"), Error);
    cpu.subgroup_size = 4;
    EXPECT_THROW(choose_gemm(cpu, {256, 256, 256, 1, false}, "gemm_packed"), Error);
    EXPECT_STREQ(choose_gemm(cpu, {256, 256, 256, 1, false}).kernel->info.name, "gemm_cpu_medium");
    EXPECT_STREQ(choose_gemm(cpu, {4, 4, 256, 1, false}).kernel->info.name, "gemm_cpu_small");
    cpu.subgroup_size = 128;
    EXPECT_STREQ(choose_gemm(cpu, {256, 256, 256, 1, false}).kernel->info.name, "gemm_tiled");
    Capabilities gpu;
    gpu.subgroup_size = 32;
    gpu.max_workgroup_invocations = gpu.max_workgroup_size_x = 1024;
    gpu.shared_memory_bytes = 49152;
    EXPECT_STREQ(choose_gemm(gpu, {4096, 4096, 4096, 1, false}).kernel->info.name, "gemm_tiled_large");
    EXPECT_STREQ(choose_gemm(gpu, {256, 256, 256, 1, false}).kernel->info.name, "gemm_tiled");
    EXPECT_STREQ(choose_gemm(gpu, {256, 256, 256, 64, false}).kernel->info.name, "gemm_tiled_large");
    EXPECT_STREQ(choose_gemm(gpu, {32, 32, 32, 300, false}).kernel->info.name, "gemm_small");
    EXPECT_STREQ(choose_gemm(gpu, {64, 32, 100, 1, true}).kernel->info.name, "gemm_small");
    EXPECT_STREQ(choose_gemm(gpu, {10, 128, 64, 1, false}).kernel->info.name, "gemm_small");
    EXPECT_STREQ(choose_gemm(gpu, {48, 48, 48, 300, false}).kernel->info.name, "gemm_tiled");
    EXPECT_STREQ(choose_gemm(gpu, {192, 192, 192, 300, false}).kernel->info.name, "gemm_tiled");
    EXPECT_STREQ(choose_gemm(gpu, {192, 250, 192, 300, false}).kernel->info.name, "gemm_tiled");
    EXPECT_STREQ(choose_gemm(gpu, {250, 250, 192, 300, true}).kernel->info.name, "gemm_tiled_large");
    EXPECT_STREQ(choose_gemm(gpu, {1, 129, 48, 1, false}).kernel->info.name, "gemm_tiled");
    const GemmChoice deep = choose_gemm(gpu, {32, 32, 4096, 300, false});
    EXPECT_STREQ(deep.kernel->info.name, "gemm_tiled");
    EXPECT_NE(deep.reason.find("not gemm_small: k is long enough"), std::string::npos) << deep.reason;
    gpu.shared_memory_bytes = 16384;
    EXPECT_STREQ(choose_gemm(gpu, {4096, 4096, 4096, 1, false}).kernel->info.name, "gemm_tiled");
}

// As shared memory has room for: 524 lines of a k, in fours.
TEST(GemmChoice, SmallMatricesShareAWorkgroup) {
    EXPECT_EQ(small_items(32, 32), 2u);
    EXPECT_EQ(small_items(16, 16), 8u);
    EXPECT_EQ(small_items(13, 13), 8u);
    EXPECT_EQ(small_items(8, 8), 32u);
    EXPECT_EQ(small_items(1, 1), 65u);
    EXPECT_EQ(small_items(64, 32), 1u);
    EXPECT_EQ(small_items(44, 44), 1u);
    EXPECT_EQ(small_items(45, 44), 0u);
}

TEST(GemmChoice, TakesMatrixUnitsForF16WhereTheDeviceHasThem) {
    Capabilities gpu;
    gpu.subgroup_size = 32;
    gpu.subgroup_size_control = gpu.cooperative_matrix = true;
    gpu.cooperative_f16 = {16, 16, 16};
    gpu.max_workgroup_invocations = gpu.max_workgroup_size_x = 1024;
    gpu.shared_memory_bytes = 49152;
    GemmShape shape{4096, 4096, 4096, 1, false, DType::f16, DType::f16};
    const std::string large = HERON_HAVE_COOPMAT ? "gemm_coopmat_large" : "gemm_tiled_16bit";
    const std::string small = HERON_HAVE_COOPMAT ? "gemm_coopmat" : "gemm_tiled_16bit";
    EXPECT_EQ(choose_gemm(gpu, shape).kernel->info.name, large);
    shape.m = shape.n = 256;
    EXPECT_EQ(choose_gemm(gpu, shape).kernel->info.name, small);
    shape.b = DType::f32;
    const GemmChoice f32 = choose_gemm(gpu, shape);
    EXPECT_STREQ(f32.kernel->info.name, "gemm_tiled");
    if (HERON_HAVE_COOPMAT) {
        EXPECT_NE(f32.reason.find("not gemm_coopmat: operands are not f16"), std::string::npos) << f32.reason;
    }
    shape.b = DType::f16;
    gpu.cooperative_bf16 = gpu.cooperative_f16;
    gpu.cooperative_f16 = {};
    EXPECT_STREQ(choose_gemm(gpu, shape).kernel->info.name, "gemm_tiled_16bit");
    EXPECT_THROW(choose_gemm(gpu, shape, "gemm_coopmat"), Error);
    shape.a = shape.b = DType::bf16;
    // Those of bf16 no device at hand has: never by itself.
    const GemmChoice bf16 = choose_gemm(gpu, shape);
    EXPECT_STREQ(bf16.kernel->info.name, "gemm_tiled_16bit");
    constexpr bool kBuilt = HERON_HAVE_COOPMAT + HERON_HAVE_BFLOAT16 == 2;
    for (const char* name : {"gemm_coopmat_bf16", "gemm_coopmat_bf16_large"}) {
        const std::string why =
            kBuilt ? ": not measured on any device yet" : ": built with tools that do not know";
        EXPECT_NE(bf16.reason.find(std::string("not ") + name + why), std::string::npos) << bf16.reason;
        if (kBuilt) {
            EXPECT_STREQ(choose_gemm(gpu, shape, name).kernel->info.name, name);
        } else {
            EXPECT_THROW(choose_gemm(gpu, shape, name), Error);
        }
    }
    gpu.cooperative_bf16 = {};
    EXPECT_STREQ(choose_gemm(gpu, shape).kernel->info.name, "gemm_tiled_16bit");
    shape.a = DType::f16;
    EXPECT_STREQ(choose_gemm(gpu, shape).kernel->info.name, "gemm_tiled_16bit");
    shape.m = shape.n = 4096;
    EXPECT_STREQ(choose_gemm(gpu, shape).kernel->info.name, "gemm_tiled_16bit");
    shape.a = DType::f32;
    EXPECT_STREQ(choose_gemm(gpu, shape).kernel->info.name, "gemm_tiled_large");
    EXPECT_THROW(choose_gemm(gpu, shape, "gemm_tiled_16bit"), Error);
}

// No device at hand has them: what a device must offer, and that it is never chosen by itself.
TEST(GemmChoice, TakesMatricesOfAWorkgroupOnlyWhenForced) {
    Capabilities gpu;
    gpu.subgroup_size = 32;
    gpu.subgroup_size_control = gpu.cooperative_matrix = gpu.cooperative_matrix2 = true;
    gpu.cooperative_f16 = {16, 16, 16};
    gpu.cooperative_workgroup_f16 = {32, 64, 16};
    gpu.cooperative_workgroup_bytes = 16384;
    gpu.max_workgroup_invocations = gpu.max_workgroup_size_x = 1024;
    gpu.shared_memory_bytes = 49152;
    const GemmShape f16{4096, 4096, 4096, 1, false, DType::f16, DType::f16};
    const auto refusal_of = [](const Capabilities& device, const GemmShape& shape) -> std::string {
        try {
            const GemmChoice choice = choose_gemm(device, shape, "gemm_coopmat2");
            EXPECT_STREQ(choice.kernel->info.name, "gemm_coopmat2");
            return {};
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::unsupported);
            return error.what();
        }
    };
    constexpr bool kBuilt = HERON_HAVE_COOPMAT + HERON_HAVE_COOPMAT2 == 2;
    if (!kBuilt) {
        EXPECT_NE(refusal_of(gpu, f16).find("built with tools that do not know"), std::string::npos);
        return;
    }
    EXPECT_EQ(refusal_of(gpu, f16), "");
    const GemmChoice chosen = choose_gemm(gpu, f16);
    EXPECT_STREQ(chosen.kernel->info.name, "gemm_coopmat_large");
    EXPECT_NE(chosen.reason.find("not gemm_coopmat2: not measured on any device yet"), std::string::npos)
        << chosen.reason;

    struct Lack {
        const char* reason;
        std::function<void(Capabilities&)> take;
    };
    const Lack lacks[] = {
        {"device has no VK_NV_cooperative_matrix2", [](Capabilities& c) { c.cooperative_matrix2 = false; }},
        {"no f16 matrices of a workgroup", [](Capabilities& c) { c.cooperative_workgroup_f16 = {}; }},
        {"no multiples of the device's granularity",
         [](Capabilities& c) { c.cooperative_workgroup_f16.k = 128; }},
        {"workgroups of 256", [](Capabilities& c) { c.max_workgroup_invocations = 128; }},
        {"too little shared memory", [](Capabilities& c) { c.cooperative_workgroup_bytes = 16388; }},
    };
    for (const Lack& lack : lacks) {
        Capabilities less = gpu;
        lack.take(less);
        EXPECT_NE(refusal_of(less, f16).find(lack.reason), std::string::npos) << lack.reason;
    }
    GemmShape f32 = f16;
    f32.b = DType::f32;
    EXPECT_NE(refusal_of(gpu, f32).find("operands are not f16"), std::string::npos);
}

TEST(GemmChoice, ForcedVariantThatCannotRunIsRefusedWithTheReason) {
    try {
        choose_gemm(Capabilities{}, {8, 8, 8, 1, false}, "gemm_cpu");
        ADD_FAILURE() << "not refused";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::unsupported);
        EXPECT_NE(std::string(error.what()).find("not a CPU driver"), std::string::npos) << error.what();
    }
}

}  // namespace
}  // namespace heron::test
