// SPDX-License-Identifier: MIT
// The kernels on matrix units with emulated matrices (emulated_matrices.glsl): on every device, for shapes
// and types that none at hand has, and for matrices of a whole workgroup. All of their lines run but those of
// matrix_units.glsl.
#include <set>

#include "linalg/gemm_fixture.hpp"

namespace heron::test {
namespace {

class EmulatedMatricesTest : public GemmTest {
protected:
    void SetUp() override {
        GemmTest::SetUp();
        if (GetParam().name.find("SwiftShader") != std::string::npos)
            GTEST_SKIP() << "SwiftShader crashes when it compiles the emulation";
        if (device().capabilities().subgroup_size < 4)
            GTEST_SKIP() << "more sums an invocation than the emulation has room for";
    }

    // From here on the device seems to have matrices of that shape.
    Device& pretend(const MatrixShape& unit) {
        auto& has = const_cast<Capabilities&>(device().capabilities());  // the device itself is not const
        has.cooperative_matrix = has.cooperative_matrix2 = true;
        has.cooperative_f16 = has.cooperative_bf16 = has.cooperative_workgroup_f16 = unit;
        has.cooperative_workgroup_bytes = 0;
        return device();
    }

    void run_all(const std::vector<GemmCase>& cases, const std::string& variant, bool squares = false) {
        Graph graph(device());
        for (GemmCase x : cases) {
            x.variant = variant;
            x.squares = squares;
            add(graph, x);
        }
        run(graph);
        check(variant);
    }
};

// Of NVIDIA and AMD, and others: Intel's; squares with shallow k; wide and deep.
constexpr MatrixShape kUnit{16, 16, 16}, kOthers[] = {{8, 16, 16}, {16, 16, 8}, {8, 32, 32}};

TEST_P(EmulatedMatricesTest, EveryVariantRuns) {
    if (!device().capabilities().cpu) GTEST_SKIP() << "a GPU's limits may leave some out";
    std::set<std::string> names;
    for (const std::string& name : variants(pretend(kUnit), true)) names.insert(name);
    EXPECT_TRUE(names.contains("gemm_coopmat2"));
    for (const char* name :
         {"gemm_coopmat", "gemm_coopmat_large", "gemm_coopmat_bf16", "gemm_coopmat_bf16_large"})
        EXPECT_EQ(names.contains(name), device().capabilities().subgroup_size_control) << name;
}

// Each variant, shape and type is a pipeline of its own, which takes a CPU driver many seconds to compile:
// the other shapes run with one variant, results of 16 bits and squares with the one that no driver at hand
// has.
TEST_P(EmulatedMatricesTest, AwkwardSizesMatchFloat64) {
    for (const std::string& variant : variants(pretend(kUnit), true)) {
        run_all(awkward_gemm_cases(), variant);
        run_all(gemm_option_cases(), variant);
        run_all(symmetric_gemm_cases(), variant);
        if (variant == "gemm_coopmat2") run_all(gemm_squares_cases(), variant, true);
    }
}

TEST_P(EmulatedMatricesTest, OtherShapesMatchFloat64) {
    for (const MatrixShape& unit : kOthers) {
        if (!pretend(unit).capabilities().subgroup_size_control) GTEST_SKIP() << "no full subgroups";
        run_all(awkward_gemm_cases(), "gemm_coopmat");
        run_all(symmetric_gemm_cases(), "gemm_coopmat");
    }
}

TEST_P(EmulatedMatricesTest, EveryLayoutMatchesFloat64) {
    for (const std::string& variant : variants(pretend(kUnit), true)) {
        std::vector<GemmCase> cases = gemm_layout_cases();
        std::erase_if(cases, [&](const GemmCase& x) {
            return x.d != DType::f32 && (x.d != DType::f16 || variant != "gemm_coopmat2");
        });
        run_all(cases, variant);
    }
}

TEST_P(EmulatedMatricesTest, EveryKindOfMatrixMatchesFloat64) {
    for (const std::string& variant : variants(pretend(kUnit), true)) {
        std::vector<GemmCase> cases;
        for (MatrixKind kind : finite_matrix_kinds()) {
            const bool extreme = kind == MatrixKind::huge || kind == MatrixKind::tiny;
            if (extreme && operand_type(variant) == DType::f16) continue;  // infinite, or zero
            cases.push_back({.m = 37, .n = 29, .k = 31, .kind = kind});
            if (kind != MatrixKind::huge)  // its squares' sums are out of range
                cases.push_back({.m = 37, .n = 37, .k = 100, .symmetric = true, .kind = kind});
        }
        run_all(cases, variant);
    }
}

TEST_P(EmulatedMatricesTest, InactiveMatricesStayAsTheyAre) {
    for (const std::string& variant : variants(pretend(kUnit), true))
        run_all({{.m = 70, .n = 30, .k = 40, .batch = 5, .active = {1, 0, 1, 0, 0}},
                 {.m = 70, .n = 70, .k = 40, .batch = 3, .symmetric = true, .beta = 1, .active = {0, 1, 1}},
                 {.m = 5, .n = 3, .k = 5000, .batch = 2, .active = {0, 1}}},
                variant);
}

TEST_P(EmulatedMatricesTest, NonfiniteElementsStayInTheirRowAndColumn) {
    const float infinity = std::numeric_limits<float>::infinity();
    for (const std::string& variant : variants(pretend(kUnit), true))
        for (const float value : {infinity, std::numeric_limits<float>::quiet_NaN()}) {
            Graph graph(device());
            const std::uint64_t m = 71, n = 67, k = 45;
            Matrix a = random_matrix(m, k, 1), b = random_matrix(k, n, 2);
            a(3, 40) = static_cast<double>(value);
            b(44, 66) = static_cast<double>(value);
            const DType type = operand_type(variant);
            const Placed pa = place(graph, {a}, type, 0), pb = place(graph, {b}, type, 0),
                         pd = place(graph, {Matrix::Zero(71, 67)}, DType::f32, 0);
            gemm(graph, pa.tensor, pb.tensor, {}, pd.tensor, {.variant = variant});
            run(graph);
            const std::vector<float> d = pd.buffer->floats();
            for (std::uint64_t i = 0; i < m; ++i)
                for (std::uint64_t j = 0; j < n; ++j)
                    EXPECT_EQ(std::isfinite(d[i * n + j]), i != 3 && j != 66)
                        << variant << " (" << i << ", " << j << ")";
        }
}

HERON_DEVICE_TESTS(EmulatedMatricesTest);

}  // namespace
}  // namespace heron::test
