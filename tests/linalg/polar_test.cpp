// SPDX-License-Identifier: MIT
// polar() on every device against the same polynomials in float64: both forms, all dtypes, awkward shapes and
// inputs.
#include "linalg/polar.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "linalg/split_words.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"
#include "support/polar_reference.hpp"
#include "support/worst_ratios.hpp"

namespace heron::test {
namespace {

constexpr double kF32Bound = 1e-5;  // expectations for a given polynomial, f32
// Two f32 words round the norm (8 u) and the result as one does, and nothing else that shows, small singular
// values included: some 8 u, times slopes of 4 or less.
constexpr double kTwoWordBound = 2e-6;

// Of matrices whose singular values are all equal, as that of a single row or column is: the polynomials of
// some sets are so steep there that the rounding of the norm shows: 8 u times the slope, by differences.
double bound_of_equal(std::uint64_t rows, std::uint64_t cols, const PolarOptions& options,
                      double roundings = 8) {
    const auto map = [&](double x) {
        for (const auto& [a, b, c] : options.coefficients) x = x * (a + x * x * (b + x * x * c));
        return x;
    };
    const double at = 1.0 / (options.norm_factor * std::sqrt(static_cast<double>(std::min(rows, cols))));
    const double slope = at * (map(at + 1e-6) - map(at - 1e-6)) / 2e-6 / map(at);
    return kF32Bound + roundings * 0x1p-24 * std::abs(slope);
}

// In bf16 iterates of 8 bits lose more than 0.02 in any form, and in the published codes: polar_form.cpp. Of
// a product of two, one word of bf16 each loses 2 x 2^-8; two each lose 2 x 2^-17, and the product of the low
// ones 2^-16: 2^-15 together, a 256th. Of f16 that is 2^-21, which is f32's class: of four such roundings one
// is f32's own.
double precision_bound(const PolarOptions& options) {
    if (options.precision == DType::f32) return options.words == 2 ? kTwoWordBound : kF32Bound;
    if (options.precision == DType::f16) return options.words == 2 ? kF32Bound : 0.02;
    return options.words == 2 ? 0.15 / 256 : 0.15;
}

double bound_of(std::uint64_t rows, std::uint64_t cols, const PolarOptions& options) {
    return std::min(rows, cols) == 1 ? bound_of_equal(rows, cols, options) : precision_bound(options);
}

// The same where singular values lie far below the largest, or are zero: what rounding makes of those is
// lifted by the polynomials' slope at 0.
double bound_of_small_values(const PolarOptions& options) {
    if (options.precision == DType::f32) return options.words == 2 ? kTwoWordBound : 1e-4;
    if (options.precision == DType::f16) return options.words == 2 ? 1e-4 : 0.1;
    return options.words == 2 ? 0.8 / 256 : 0.8;
}

// What the iterations can multiply, and where.
struct Way {
    bool one_workgroup;
    DType precision = DType::f32;
    std::uint32_t words = 1;

    void choose(PolarOptions& options) const {
        options.one_workgroup = one_workgroup;
        options.precision = precision;
        options.words = words;
    }
};
// Those of f32's class.
constexpr Way kWays[] = {{true}, {false}, {false, DType::f16, 2}, {false, DType::f32, 2}};

// Elements of a tensor with a row stride, packed; gaps hold a pattern that no result contains.
std::vector<std::uint32_t> pack(const std::vector<double>& values, std::uint64_t cols, DType dtype,
                                std::uint64_t stride) {
    const std::uint64_t rows = cols == 0 ? 0 : values.size() / cols;
    const std::uint64_t elements = rows == 0 ? 0 : (rows - 1) * stride + cols;
    const std::uint64_t bytes = bytes_of(dtype);
    std::vector<std::uint32_t> words((elements * bytes + 3) / 4, 0x7fc57fc5u);  // NaN in every type
    auto* at = reinterpret_cast<unsigned char*>(words.data());
    for (std::uint64_t row = 0; row < rows; ++row)
        for (std::uint64_t col = 0; col < cols; ++col) {
            const auto value = static_cast<float>(values[row * cols + col]);
            const std::uint64_t offset = (row * stride + col) * bytes;
            if (dtype == DType::f32) {
                std::memcpy(at + offset, &value, 4);
            } else {
                const std::uint16_t half = dtype == DType::f16 ? f32_to_f16(value) : f32_to_bf16(value);
                std::memcpy(at + offset, &half, 2);
            }
        }
    return words;
}

std::vector<double> unpack(const std::vector<std::uint32_t>& words, std::uint64_t rows, std::uint64_t cols,
                           DType dtype, std::uint64_t stride) {
    const auto* at = reinterpret_cast<const unsigned char*>(words.data());
    std::vector<double> values;
    for (std::uint64_t row = 0; row < rows; ++row)
        for (std::uint64_t col = 0; col < cols; ++col) {
            const std::uint64_t offset = (row * stride + col) * bytes_of(dtype);
            if (dtype == DType::f32) {
                float value;
                std::memcpy(&value, at + offset, 4);
                values.push_back(value);
            } else {
                std::uint16_t half;
                std::memcpy(&half, at + offset, 2);
                values.push_back(dtype == DType::f16 ? f16_to_f32(half) : bf16_to_f32(half));
            }
        }
    return values;
}

struct Layout {
    DType dtype = DType::f32;
    std::uint64_t padding = 0;  // elements between two rows
};

struct Case {
    std::uint64_t rows = 0, cols = 0, batch = 1;
    PolarOptions options;
    Layout in, out;
    bool in_place = false;
    bool row_squares = false;
    bool status = false;

    Shape shape() const { return batch == 1 ? Shape{rows, cols} : Shape{batch, rows, cols}; }
};

std::string describe(const Case& c) {
    return c.shape().text() + " " + to_string(c.in.dtype) + "+" + std::to_string(c.in.padding) + " -> " +
           to_string(c.out.dtype) + "+" + std::to_string(c.out.padding) + ", precision " +
           to_string(c.options.precision) + (c.options.words == 2 ? " x 2" : "") +
           (c.options.one_workgroup ? ", one workgroup" : ", products") + (c.in_place ? ", in place" : "");
}

// In the standard form: tests of the others ask for them.
PolarOptions named(const char* set, std::uint32_t steps = 0) {
    PolarOptions options;
    options.form = PolarForm::standard;
    options.coefficients = newton_schulz_coefficients(set, steps);
    if (std::string(set).starts_with("pe")) options.norm_factor = 1.01;
    return options;
}

class PolarTest : public DeviceTest {
protected:
    struct Built {
        GuardedBuffer* in;
        GuardedBuffer* out;
        GuardedBuffer* row_squares = nullptr;
        GuardedBuffer* status = nullptr;
    };

    // Adds one case to a graph, in memory of its own.
    Built add(Graph& graph, const Device& on, const Case& c, const std::vector<double>& values,
              const std::string& name) {
        const auto in_words = pack(values, c.cols, c.in.dtype, c.cols + c.in.padding);
        GuardedBuffer& in = guarded_on(on, in_words);
        const Tensor a =
            graph.external(name + ".a", in.view(c.in.dtype, c.shape(), 0, c.cols + c.in.padding));
        Built built{&in, &in};
        Tensor squares;
        if (c.row_squares) {
            built.row_squares = &guarded_on(on, std::vector<float>(c.batch * c.rows, -1.0f));
            squares =
                graph.external(name + ".squares", built.row_squares->view(DType::f32, {c.batch * c.rows}));
        }
        PolarOptions options = c.options;
        if (c.status) {
            built.status = &guarded_on(on, std::vector<std::uint32_t>(c.batch, 77));
            options.status = graph.external(name + ".status", built.status->view(DType::u32, {c.batch}));
        }
        if (c.in_place) {
            polar(graph, a, a, options, squares);
            return built;
        }
        const std::vector<double> nothing(values.size(), std::nan(""));
        built.out = &guarded_on(on, pack(nothing, c.cols, c.out.dtype, c.cols + c.out.padding));
        polar(
            graph, a,
            graph.external(name + ".out", built.out->view(c.out.dtype, c.shape(), 0, c.cols + c.out.padding)),
            options, squares);
        return built;
    }

    static void run(const Graph& graph, int times = 1) {
        Plan plan = graph.compile({.name = "polar test"});
        plan.allocate();
        plan.initialize();
        for (int i = 0; i < times; ++i) plan.run();
        EXPECT_TRUE(plan.hazards().empty());
    }

    std::vector<double> result(const Case& c, const Built& built) {
        const Layout& layout = c.in_place ? c.in : c.out;
        const auto words = built.out->read<std::uint32_t>();
        const std::uint64_t stride = c.cols + layout.padding;
        // The gaps between rows are not ours.
        const auto whole = unpack(words, 1, (c.batch * c.rows - 1) * stride + c.cols, layout.dtype, 1);
        for (std::uint64_t i = 0; i < whole.size(); ++i)
            if (i % stride >= c.cols) {
                EXPECT_TRUE(std::isnan(whole[i])) << describe(c) << ": gap written at " << i;
            }
        return unpack(words, c.batch * c.rows, c.cols, layout.dtype, stride);
    }

    std::vector<double> run_one(const Case& c, const std::vector<double>& values,
                                const DisabledCapabilities& disable = {}) {
        Device& on = device(disable);
        Graph graph(on);
        const Built built = add(graph, on, c, values, "x");
        run(graph);
        return result(c, built);
    }

    // The worst relative Frobenius error over the batch. `values` is what the input tensor holds, rounded to
    // its dtype.
    static double error(const Case& c, const std::vector<double>& values,
                        const std::vector<double>& computed) {
        double worst = 0.0;
        const std::size_t item = c.rows * c.cols;
        for (std::size_t at = 0; at < values.size(); at += item) {
            const Matrix expected =
                polar_reference(matrix_of({&values[at], item}, c.rows, c.cols), c.options);
            worst = std::max(worst, frobenius_error({&computed[at], item}, {expected.data(), item}));
        }
        return worst;
    }

    static std::vector<double> round_to(const std::vector<double>& values, DType dtype) {
        std::vector<double> rounded;
        for (const double v : values) {
            const auto f = static_cast<float>(v);
            rounded.push_back(dtype == DType::f32   ? f
                              : dtype == DType::f16 ? f16_to_f32(f32_to_f16(f))
                                                    : bf16_to_f32(f32_to_bf16(f)));
        }
        return rounded;
    }

    std::vector<double> random_batch(const Case& c, double low = 0.1) {
        std::vector<double> values;
        for (std::uint64_t i = 0; i < c.batch; ++i) {
            const Matrix a = well_conditioned(c.rows, c.cols, low, random_);
            values.insert(values.end(), a.data(), a.data() + a.size());
        }
        return round_to(values, c.in.dtype);
    }

    void expect_matches(const Case& c, double bound, const DisabledCapabilities& disable = {},
                        double low = 0.1) {
        const std::vector<double> values = random_batch(c, low);
        expect_within(c, error(c, values, run_one(c, values, disable)), bound);
    }

    void expect_within(const Case& c, double error, double bound) {
        EXPECT_LE(error, bound) << describe(c);
        ratios_.add(std::string("polar factor, products in ") + to_string(c.options.precision) +
                        (c.options.words == 2 ? ", two words" : ""),
                    std::max(c.rows, c.cols), error / bound);
    }

    std::mt19937 random_{7};
    WorstRatios ratios_;
};

constexpr std::uint64_t kShapes[][2] = {{1, 1},    {1, 7},    {7, 1},   {2, 3},    {3, 2},    {4, 4},
                                        {5, 5},    {7, 13},   {13, 7},  {16, 16},  {17, 17},  {31, 33},
                                        {33, 31},  {64, 64},  {1, 300}, {300, 1},  {9, 200},  {200, 9},
                                        {3, 1000}, {1000, 5}, {63, 65}, {127, 40}, {100, 129}};

TEST_P(PolarTest, MatchesFloat64ForAwkwardShapes) {
    Graph graph(device());
    std::vector<Case> cases;
    std::vector<std::vector<double>> inputs;
    std::vector<Built> built;
    for (const auto& [rows, cols] : kShapes)
        for (const Way& way : kWays)
            for (const char* set : {"muon", "pe-basic", "cubic5"}) {
                if (way.precision == DType::f16) continue;  // IteratesInSixteenBits
                Case c{.rows = rows, .cols = cols, .options = named(set)};
                way.choose(c.options);
                inputs.push_back(random_batch(c));
                built.push_back(add(graph, device(), c, inputs.back(), "x" + std::to_string(cases.size())));
                cases.push_back(c);
            }
    run(graph);
    for (std::size_t i = 0; i < cases.size(); ++i)
        expect_within(cases[i], error(cases[i], inputs[i], result(cases[i], built[i])),
                      bound_of(cases[i].rows, cases[i].cols, cases[i].options));
}

// Rows of Walsh functions times c: all products of a sum of squares are the same number, so that the
// roundings of a long sum have one sign. All singular values are the largest.
TEST_P(PolarTest, RowsOfOneSizeAreAsAccurateAsTheirLengthAllows) {
    for (const auto& [rows, cols] : {std::pair{4u, 1024u}, std::pair{2u, 1024u}, std::pair{4u, 1900u},
                                     std::pair{1u, 2000u}, std::pair{2000u, 1u}, std::pair{64u, 2048u}})
        for (const char* set : {"muon", "pe-raw"})
            for (const double size : {0.7, 0.9}) {
                const Case c{.rows = rows, .cols = cols, .options = named(set)};
                std::vector<double> values;
                for (unsigned row = 0; row < rows; ++row)
                    for (unsigned col = 0; col < cols; ++col)
                        values.push_back(std::popcount((row + 1) & col) % 2 == 0 ? size : -size);
                values = round_to(values, DType::f32);
                expect_within(c, error(c, values, run_one(c, values)),
                              bound_of_equal(c.rows, c.cols, c.options,
                                             8 + static_cast<double>(std::max(c.rows, c.cols)) / 4));
            }
}

TEST_P(PolarTest, TakesBatchesStridesAndEveryDtype) {
    Graph graph(device());
    std::vector<Case> cases;
    std::vector<std::vector<double>> inputs;
    std::vector<Built> built;
    const auto add_case = [&](const Case& c) {
        inputs.push_back(random_batch(c));
        built.push_back(add(graph, device(), c, inputs.back(), "x" + std::to_string(cases.size())));
        cases.push_back(c);
    };
    for (const DType in : {DType::f32, DType::f16, DType::bf16})
        for (const DType out : {DType::f32, DType::f16, DType::bf16})
            for (const Way& way : {Way{true}, Way{false}, Way{false, DType::f32, 2}})
                for (const auto& [rows, cols] : {std::pair{5, 7}, std::pair{7, 5}, std::pair{12, 8}}) {
                    Case c{.rows = static_cast<std::uint64_t>(rows),
                           .cols = static_cast<std::uint64_t>(cols),
                           .batch = 3,
                           .options = named("you5"),
                           .in = {in, 0},
                           .out = {out, 0}};
                    way.choose(c.options);
                    add_case(c);
                    c.in.padding = 3;
                    c.out.padding = 1;
                    add_case(c);
                }
    run(graph);
    for (std::size_t i = 0; i < cases.size(); ++i) {
        // The result is rounded once more when it is stored.
        const DType stored = cases[i].out.dtype;
        const double bound = kF32Bound + (stored == DType::f32   ? 0.0
                                          : stored == DType::f16 ? 0x1p-11
                                                                 : 0x1p-8);
        expect_within(cases[i], error(cases[i], inputs[i], result(cases[i], built[i])), bound);
    }
}

TEST_P(PolarTest, IteratesInSixteenBits) {
    Graph graph(device());
    std::vector<Case> cases;
    std::vector<std::vector<double>> inputs;
    std::vector<Built> built;
    for (const DType precision : {DType::f16, DType::bf16})
        for (const bool one_workgroup : {true, false})
            for (const auto& [rows, cols] :
                 {std::pair{16, 16}, std::pair{33, 20}, std::pair{20, 70}, std::pair{96, 130}})
                for (const DType out : {DType::f32, precision})
                    for (const std::uint32_t words : {1u, 2u}) {
                        Case c{.rows = static_cast<std::uint64_t>(rows),
                               .cols = static_cast<std::uint64_t>(cols),
                               .options = named("muon"),
                               .out = {out, 0}};
                        Way{one_workgroup, precision, words}.choose(c.options);
                        inputs.push_back(random_batch(c));
                        built.push_back(
                            add(graph, device(), c, inputs.back(), "x" + std::to_string(cases.size())));
                        cases.push_back(c);
                    }
    run(graph);
    for (std::size_t i = 0; i < cases.size(); ++i) {
        const Case& c = cases[i];
        const double rounding = c.options.words == 1 || c.out.dtype == DType::f32 ? 0.0
                                : c.out.dtype == DType::f16                       ? 0x1p-11
                                                                                  : 0x1p-8;
        expect_within(c, error(c, inputs[i], result(c, built[i])), precision_bound(c.options) + rounding);
    }
}

TEST_P(PolarTest, WorksInPlace) {
    for (const Way& way : kWays)
        for (const std::uint32_t steps : {4u, 5u})
            for (const Layout layout :
                 {Layout{DType::f32, 0}, Layout{DType::f32, 2}, Layout{DType::bf16, 0}}) {
                Case c{.rows = 9,
                       .cols = 21,
                       .batch = 2,
                       .options = named("muon", steps),
                       .in = layout,
                       .in_place = true};
                way.choose(c.options);
                expect_matches(c, layout.dtype == DType::f32 ? kF32Bound : 0x1p-8 + kF32Bound);
            }
}

TEST_P(PolarTest, DividesByEveryNormRule) {
    for (const NormRule rule : {NormRule::added, NormRule::clamped})
        for (const double factor : {1.0, 1.02})
            for (const double eps : {0.0, 1e-7, 0.5, 30.0})
                for (const bool one_workgroup : {true, false}) {
                    Case c{.rows = 8, .cols = 11, .options = named("you5")};
                    c.options.norm_rule = rule;
                    c.options.norm_factor = factor;
                    c.options.eps = eps;
                    c.options.one_workgroup = one_workgroup;
                    expect_matches(c, kF32Bound);
                }
}

TEST_P(PolarTest, ZeroStaysExactlyZero) {
    for (const double eps : {0.0, 1e-7})
        for (const Way& way : kWays)
            for (const PolarForm form : {PolarForm::standard, PolarForm::gram}) {
                Case c{.rows = 6, .cols = 9, .batch = 2, .options = named("pe-basic")};
                c.options.eps = eps;
                way.choose(c.options);
                c.options.form = form;
                for (const double value : run_one(c, std::vector<double>(2 * 6 * 9, 0.0)))
                    EXPECT_EQ(value, 0.0) << describe(c);
            }
}

TEST_P(PolarTest, NeitherOverflowsNorUnderflows) {
    // Below 1.2e-38 a driver may take an element for zero, so the smallest scale leaves three digits above
    // that.
    for (const double scale : {3e37, 1e18, 1e-18, 1e-30, 1e-34})
        for (const Way& way : kWays) {
            Case c{.rows = 40, .cols = 24, .options = named("muon")};
            c.options.eps = 0.0;
            way.choose(c.options);
            std::vector<double> values = random_batch(c);
            double largest = 0.0;
            for (const double v : values) largest = std::max(largest, std::abs(v));
            for (double& v : values) v = static_cast<float>(v / largest * scale * 10.0);
            EXPECT_LE(error(c, values, run_one(c, values)), kF32Bound) << describe(c) << " scale " << scale;
        }
}

TEST_P(PolarTest, MixesTinyAndHugeElements) {
    for (const bool one_workgroup : {true, false}) {
        Case c{.rows = 12, .cols = 12, .options = named("muon")};
        c.options.one_workgroup = one_workgroup;
        std::vector<double> values(144, 0.0);
        for (std::size_t i = 0; i < 12; ++i)
            values[i * 13] = std::pow(10.0, 38.0 - 6.5 * static_cast<double>(i));
        values = round_to(values, DType::f32);
        EXPECT_LE(error(c, values, run_one(c, values)), kF32Bound) << describe(c);
    }
}

// Zero singular values stay zero but for rounding noise, which the polynomial amplifies by its slope at 0
// (485).
TEST_P(PolarTest, KeepsTheRank) {
    for (const bool one_workgroup : {true, false})
        for (const auto& [rows, cols] : {std::pair{20, 30}, std::pair{30, 20}}) {
            Case c{.rows = static_cast<std::uint64_t>(rows),
                   .cols = static_cast<std::uint64_t>(cols),
                   .options = named("muon")};
            c.options.one_workgroup = one_workgroup;
            for (const std::size_t rank : {std::size_t{1}, std::size_t{10}}) {
                std::vector<double> sigma(20, 0.0);
                for (std::size_t i = 0; i < rank; ++i) sigma[i] = 1.0 / static_cast<double>(1 + i);
                const Matrix a = with_singular_values(c.rows, c.cols, sigma, random_);
                const std::vector<double> values = round_to({a.data(), a.data() + a.size()}, DType::f32);
                EXPECT_LE(error(c, values, run_one(c, values)), 1e-4) << describe(c) << " rank " << rank;
            }
        }
}

TEST_P(PolarTest, BothFormsAgree) {
    for (const auto& [rows, cols] : {std::pair{64, 64}, std::pair{30, 45}, std::pair{45, 30}}) {
        Case c{.rows = static_cast<std::uint64_t>(rows),
               .cols = static_cast<std::uint64_t>(cols),
               .batch = 2,
               .options = named("muon")};
        const std::vector<double> values = random_batch(c, 0.02);
        const std::vector<double> fused = run_one(c, values);
        c.options.one_workgroup = false;
        EXPECT_LE(frobenius_error(run_one(c, values), fused), kF32Bound) << describe(c);
    }
}

TEST_P(PolarTest, GramFormMatchesThePolynomial) {
    const std::vector<std::uint32_t> restart_lists[] = {{}, {1}, {2}, {2, 4}, {1, 2, 3, 4}};
    for (const auto& restarts : restart_lists)
        for (const char* set : {"muon", "pe-gram", "you5", "cubic5"})
            for (const auto& [rows, cols] : {std::pair{10, 24}, std::pair{24, 10}, std::pair{12, 12}}) {
                Case c{.rows = static_cast<std::uint64_t>(rows),
                       .cols = static_cast<std::uint64_t>(cols),
                       .batch = 2,
                       .options = named(set)};
                c.options.one_workgroup = false;
                c.options.form = PolarForm::gram;
                c.options.restarts = restarts;
                expect_matches(c, 2e-5);  // one product more than the standard form in a row
            }
}

TEST_P(PolarTest, GramFormIteratesInSixteenBits) {
    for (const DType precision : {DType::f16, DType::bf16})
        for (const auto& [rows, cols] : {std::pair{24, 75}, std::pair{75, 24}})
            for (const std::uint32_t words : {1u, 2u}) {
                Case c{.rows = static_cast<std::uint64_t>(rows),
                       .cols = static_cast<std::uint64_t>(cols),
                       .batch = 2,
                       .options = named("pe-gram"),
                       .out = {words == 1 ? precision : DType::f32, 0}};
                c.options.one_workgroup = false;
                c.options.form = PolarForm::gram;
                c.options.precision = precision;
                c.options.words = words;
                expect_matches(c, precision_bound(c.options));
            }
}

// What small singular values cost in accuracy, in both forms: those down to 1e-2 stay in the class of a tenth
// (one word: of half of one), those far below and zeros in one of their own. That is where the Gram form,
// with the restarts that it has by default, is worst.
TEST_P(PolarTest, SmallSingularValuesStayInTheirClass) {
    struct Form {
        PolarForm form;
        DType precision;
        std::uint32_t words;
    };
    std::vector<Form> forms;
    for (const PolarForm form : {PolarForm::standard, PolarForm::automatic})
        for (const DType precision : {DType::f32, DType::f16, DType::bf16})
            for (const std::uint32_t words : {1u, 2u}) forms.push_back({form, precision, words});
    for (const auto& [rows, cols] : {std::pair{32, 160}, std::pair{160, 32}})
        for (const auto& [form, precision, words] : forms)
            for (const auto& [set, smallest] :
                 {std::pair{"muon", 1e-2}, std::pair{"muon", 1e-5}, std::pair{"muon", 0.0},
                  std::pair{"pe-dion", 1e-2}, std::pair{"pe-dion", 1e-5}, std::pair{"pe-dion", 0.0}}) {
                // Of 16 bits one set for each side: they are slow to make, and not different.
                if (precision != DType::f32 && (rows < cols) != (std::string(set) == "muon")) continue;
                Case c{.rows = static_cast<std::uint64_t>(rows),
                       .cols = static_cast<std::uint64_t>(cols),
                       .options = named(set)};
                c.options.norm_factor = 1.02;
                c.options.form = form;
                c.options.precision = precision;
                c.options.words = words;
                c.options.one_workgroup = false;
                if (form == PolarForm::automatic)
                    ASSERT_EQ(choose_polar_form(c.rows, c.cols, c.options).form, PolarForm::gram);
                std::vector<double> sigma(32, 0.0);
                for (std::size_t i = 0; i < 32; ++i)
                    sigma[i] = smallest > 0 ? std::pow(smallest, static_cast<double>(i) / 31)
                               : i < 10     ? 1.0 / static_cast<double>(1 + i)
                                            : 0.0;
                const Matrix a = with_singular_values(c.rows, c.cols, sigma, random_);
                const std::vector<double> values = round_to({a.data(), a.data() + a.size()}, DType::f32);
                const bool small = smallest < 1e-2;
                EXPECT_LE(error(c, values, run_one(c, values)),
                          small ? bound_of_small_values(c.options) : precision_bound(c.options))
                    << describe(c) << ", " << set << ", down to " << smallest;
            }
    for (const DType precision : {DType::f16, DType::bf16})
        for (const std::uint32_t words : {1u, 2u}) {
            Case c{.rows = 75, .cols = 24, .options = named("muon")};
            c.options.form = PolarForm::automatic;
            c.options.one_workgroup = false;
            c.options.precision = precision;
            c.options.words = words;
            expect_matches(c, precision_bound(c.options), {}, 0.01);
        }
}

// Two f32 words do not mind the set, zeros, or how often the Gram form restarts. Where one singular value is
// the norm, that of f32 shows, times the slope there.
TEST_P(PolarTest, TwoF32WordsAreExactForEverySetAndSpectrum) {
    for (const char* set : {"muon", "cubic", "quintic", "you5", "pe-raw", "pe-basic", "pe-gram", "pe-dion",
                            "pe-nv", "cans", "deepseekv4", "cubic5"})
        for (const auto& [form, restarts] : {std::pair{PolarForm::standard, std::vector<std::uint32_t>{}},
                                             {PolarForm::gram, {}},
                                             {PolarForm::gram, {2}},
                                             {PolarForm::automatic, {}}})
            for (const double smallest : {1e-7, 0.0, -1.0}) {
                const bool tall = smallest == 0.0, one = smallest < 0;  // all but one are 0
                Case c{.rows = tall ? 70u : 24u, .cols = tall ? 24u : 70u, .options = named(set)};
                c.options.norm_factor = 1.02;
                Way{false, DType::f32, 2}.choose(c.options);
                c.options.form = form;
                c.options.restarts = restarts;
                std::vector<double> sigma(24, 0.0);
                for (std::size_t i = 0; i < 24; ++i)
                    sigma[i] = one      ? (i == 0 ? 1.0 : 0.0)
                               : !tall  ? std::pow(smallest, static_cast<double>(i) / 23)
                               : i < 12 ? 1.0 / static_cast<double>(1 + i)
                                        : 0.0;
                const Matrix a = with_singular_values(c.rows, c.cols, sigma, random_);
                const std::vector<double> values = round_to({a.data(), a.data() + a.size()}, DType::f32);
                SCOPED_TRACE(set);
                const double bound = one ? bound_of_equal(1, 1, c.options) - kF32Bound : 0.0;
                expect_within(c, error(c, values, run_one(c, values)), kTwoWordBound + bound);
            }
}

TEST_P(PolarTest, TwoF32WordsTakeLongRows) {
    for (const auto& [rows, cols] : {std::pair{2u, 20000u}, std::pair{20000u, 2u}}) {
        Case c{.rows = rows, .cols = cols, .options = named("muon")};
        Way{false, DType::f32, 2}.choose(c.options);
        expect_matches(c, kTwoWordBound);
    }
}

TEST_P(PolarTest, LeavesTheSquaresOfItsRows) {
    for (const bool gpu_variants : {false, true}) {
        if (gpu_variants && !device().capabilities().cpu) continue;
        DisabledCapabilities disable;
        disable.cpu = gpu_variants;
        Device& on = device(disable);
        Graph graph(on);
        std::vector<Case> cases;
        std::vector<std::vector<double>> inputs;
        std::vector<Built> built;
        const auto add_case = [&](const Case& c) {
            inputs.push_back(random_batch(c));
            built.push_back(add(graph, on, c, inputs.back(), "x" + std::to_string(cases.size())));
            cases.push_back(c);
        };
        for (const auto& [rows, cols] :
             {std::pair{9, 9}, std::pair{12, 70}, std::pair{2, 300}, std::pair{150, 40}}) {
            Case c{.rows = static_cast<std::uint64_t>(rows),
                   .cols = static_cast<std::uint64_t>(cols),
                   .batch = 2,
                   .options = named("muon"),
                   .row_squares = true};
            add_case(c);
            c.options.one_workgroup = false;
            add_case(c);
            if (gpu_variants) continue;  // slow to compile, and not these forms' own
            c.options.form = PolarForm::gram;
            c.in_place = true;
            add_case(c);
            c.options.form = PolarForm::standard;
            c.options.precision = DType::bf16;
            c.in_place = false;
            c.out = {DType::bf16, 0};
            add_case(c);
            c.options.words = 2;
            add_case(c);
            c.options.precision = DType::f32;
            add_case(c);
        }
        add_case({.rows = 10,
                  .cols = 7,
                  .options = named("quintic", 17),
                  .out = {DType::f16, 1},
                  .row_squares = true});
        run(graph);
        for (std::size_t i = 0; i < cases.size(); ++i) {
            const Case& c = cases[i];
            const DType stored = c.in_place ? c.in.dtype : c.out.dtype;
            // The result is rounded when it is stored, its squares are those from before.
            const double rounding = stored == DType::f32 ? 0.0 : stored == DType::f16 ? 0x1p-11 : 0x1p-8;
            const std::vector<double> values = result(c, built[i]);
            expect_within(c, error(c, inputs[i], values), 2 * precision_bound(c.options) + rounding);
            const std::vector<float> squares = built[i].row_squares->floats();
            for (std::size_t row = 0; row < squares.size(); ++row) {
                double expected = 0;
                for (std::size_t col = 0; col < c.cols; ++col)
                    expected += values[row * c.cols + col] * values[row * c.cols + col];
                EXPECT_NEAR(static_cast<double>(squares[row]), expected,
                            (0x1p-14 + 2.01 * rounding) * expected)
                    << describe(c) << ", row " << row;
            }
        }
    }
}

TEST_P(PolarTest, ASmallNetworkTakesOneDispatch) {
    Graph graph(device());
    std::vector<Case> cases;
    std::vector<std::vector<double>> inputs;
    std::vector<Built> built;
    const char* sets[] = {"muon", "pe-basic", "cubic5", "deepseekv4"};
    for (std::uint64_t i = 0; i < 40; ++i) {
        Case c{.rows = 1 + 5 * i % 37,
               .cols = 1 + 11 * i % 41,
               .batch = 1 + i % 3,
               .options = named(sets[i % 4])};
        c.in.dtype = i % 5 == 0 ? DType::f16 : DType::f32;
        c.out.dtype = i % 7 == 0 ? DType::f16 : DType::f32;
        ASSERT_TRUE(polar_fits_one_workgroup(device(), c.rows, c.cols, c.options));
        inputs.push_back(random_batch(c));
        built.push_back(add(graph, device(), c, inputs.back(), "x" + std::to_string(i)));
        cases.push_back(c);
    }
    Plan plan = graph.compile({});
    EXPECT_EQ(plan.level_count(), 1u);
    EXPECT_EQ(plan.dispatch_count(), 1u);
    plan.allocate();
    plan.initialize();
    plan.run();
    for (std::size_t i = 0; i < cases.size(); ++i)
        EXPECT_LE(error(cases[i], inputs[i], result(cases[i], built[i])),
                  cases[i].out.dtype == DType::f32 ? kF32Bound : 0x1p-11 + kF32Bound)
            << describe(cases[i]);
}

TEST_P(PolarTest, ProductsTakeThreeLevelsAnIterationAndTwo) {
    for (const std::uint32_t steps : {1u, 5u, 8u}) {
        Graph graph(device());
        for (int i = 0; i < 3; ++i) {
            Case c{
                .rows = 20, .cols = 20 + static_cast<std::uint64_t>(i) * 7, .options = named("muon", steps)};
            c.options.one_workgroup = false;
            add(graph, device(), c, random_batch(c), "x" + std::to_string(i));
        }
        EXPECT_EQ(graph.compile({}).level_count(), 3 * steps + 2);
    }
}

// Of two words a product is three, after each of which there is a split, but after the last.
TEST_P(PolarTest, TwoWordsTakeTwelveLevelsAnIterationAndTwo) {
    for (const std::uint32_t steps : {1u, 5u}) {
        Graph graph(device());
        Case c{.rows = 20, .cols = 27, .options = named("muon", steps)};
        Way{false, DType::bf16, 2}.choose(c.options);
        add(graph, device(), c, random_batch(c), "x");
        EXPECT_EQ(graph.compile({}).level_count(), 12 * steps + 2);
    }
}

// Two f32 words have a product of their own: three an iteration, sixteen in the Gram form, and the plan says
// why.
TEST_P(PolarTest, TwoF32WordsTakeALevelForEachProductAndTwo) {
    for (const auto& [form, products] :
         {std::pair{PolarForm::standard, 3u * 5u}, {PolarForm::automatic, 16u}})
        for (const DType out : {DType::f32, DType::bf16}) {
            Graph graph(device());
            Case c{.rows = 20, .cols = 80, .options = named("muon"), .out = {out, 0}};
            c.options.form = form;
            Way{true, DType::f32, 2}.choose(c.options);
            EXPECT_FALSE(polar_fits_one_workgroup(device(), c.rows, c.cols, c.options));
            add(graph, device(), c, random_batch(c), "x");
            const Plan plan = graph.compile({});
            EXPECT_EQ(plan.level_count(), products + 2u + (out == DType::f32 ? 0u : 1u));
            EXPECT_NE(plan.describe().find("two words an element: one workgroup has one word an element"),
                      std::string::npos)
                << plan.describe();
        }
}

// x is the sum of its words to 2^-17 of itself (bf16), or 2^-22 (f16, of what f16 holds as a normal number),
// exactly what rounding on the host makes of it; zero, NaN and infinity stay what they are.
TEST_P(PolarTest, WordsAddUpToWhatWasSplit) {
    const std::uint64_t rows = 7, cols = 13;
    std::vector<float> values;
    for (std::uint64_t i = 0; i < rows * cols; ++i)
        values.push_back(
            std::ldexp(std::uniform_real_distribution<float>(-1, 1)(random_), static_cast<int>(i % 16) - 13));
    values[3] = 0.0f;
    values[20] = std::numeric_limits<float>::quiet_NaN();
    values[30] = std::numeric_limits<float>::infinity();
    for (const DType dtype : {DType::f16, DType::bf16}) {
        const std::uint64_t stride = 16;
        GuardedBuffer &in = guarded(values), &high = guarded(std::vector<std::uint16_t>(rows * stride)),
                      &low = guarded(std::vector<std::uint16_t>(rows * stride));
        Graph graph(device());
        add_split_words(graph, graph.external("x", in.view(DType::f32, {rows, cols})),
                        graph.external("high", high.view(dtype, {rows, cols}, 0, stride)),
                        graph.external("low", low.view(dtype, {rows, cols}, 0, stride)), true);
        run(graph);
        const std::vector<std::uint16_t> h = high.read<std::uint16_t>(), l = low.read<std::uint16_t>();
        const auto decoded = [&](std::uint16_t bits) {
            return dtype == DType::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
        };
        for (std::uint64_t i = 0; i < values.size(); ++i) {
            const float x = values[i];
            const std::uint64_t at = i / cols * stride + i % cols;
            ASSERT_EQ(h[at], dtype == DType::f16 ? f32_to_f16(x) : f32_to_bf16(x)) << i;
            const double sum = static_cast<double>(decoded(h[at])) +
                               static_cast<double>(decoded(l[at])) / gpu::SPLIT_WORDS_SCALE;
            // Below 2^-14 f16 has subnormal numbers.
            const double size = std::abs(static_cast<double>(x)),
                         left = dtype == DType::f16 ? 0x1p-22 * std::max(size, 0x1p-14) : 0x1p-17 * size;
            if (std::isfinite(x))
                EXPECT_LE(std::abs(sum - static_cast<double>(x)), left) << i << " " << x;
            else
                EXPECT_FALSE(std::isfinite(sum));
        }
    }
}

TEST_P(PolarTest, TakesMoreIterationsThanOneDispatchHolds) {
    for (const DType out : {DType::f32, DType::f16})
        for (const std::uint32_t steps : {16u, 17u, 40u}) {
            Case c{.rows = 12, .cols = 9, .options = named("quintic", steps), .out = {out, 0}};
            ASSERT_TRUE(polar_fits_one_workgroup(device(), c.rows, c.cols, c.options));
            expect_matches(c, out == DType::f32 ? kF32Bound : 0x1p-11 + kF32Bound);
        }
}

TEST_P(PolarTest, RepeatsItsBits) {
    for (const Way& way : kWays)
        for (const auto& [rows, cols] : {std::pair{48, 48}, std::pair{150, 90}}) {
            Case c{.rows = static_cast<std::uint64_t>(rows),
                   .cols = static_cast<std::uint64_t>(cols),
                   .options = named("muon")};
            way.choose(c.options);
            const std::vector<double> values = random_batch(c);
            const std::vector<double> first = run_one(c, values);
            for (int i = 0; i < 3; ++i) EXPECT_EQ(run_one(c, values), first) << describe(c);
        }
}

// In every form, of both kinds of input, next to the largest and the smallest finite numbers.
TEST_P(PolarTest, NamesNonFiniteMatricesAndNobodyElseNotices) {
    const float largest = std::numeric_limits<float>::max();
    struct Form {
        Way way;
        PolarForm form = PolarForm::standard;
        std::uint32_t steps = 5;
    };
    for (const Form& form : {Form{{true}}, Form{.way = {true}, .steps = 17},  // in two dispatches
                             Form{{false}}, Form{{false, DType::bf16}}, Form{{false}, PolarForm::gram},
                             Form{{false, DType::f16, 2}}, Form{{false, DType::bf16, 2}, PolarForm::gram},
                             Form{{false, DType::f32, 2}}, Form{{false, DType::f32, 2}, PolarForm::gram}})
        for (const bool tall : {false, true}) {
            Case c{.rows = tall ? 14u : 10u, .cols = tall ? 10u : 14u, .batch = 6, .status = true};
            c.options = named(form.steps == 17 ? "quintic" : "muon", form.steps);
            form.way.choose(c.options);
            c.options.form = form.form;
            std::vector<double> values = random_batch(c);
            std::fill_n(values.begin() + 3 * 140, 140, static_cast<double>(largest));
            std::fill_n(values.begin() + 4 * 140, 140, 0.0);
            std::vector<double> poisoned = values;
            poisoned[140 + 33] = std::nan("");
            poisoned[2 * 140 + 139] = -static_cast<double>(INFINITY);
            poisoned[5 * 140] = INFINITY;
            poisoned[5 * 140 + 1] = -static_cast<double>(INFINITY);
            Graph graph(device());
            const Built clean = add(graph, device(), c, values, "clean");
            const Built dirty = add(graph, device(), c, poisoned, "dirty");
            run(graph, 2);
            EXPECT_EQ(clean.status->read<std::uint32_t>(), std::vector<std::uint32_t>(6, 0)) << describe(c);
            EXPECT_EQ(dirty.status->read<std::uint32_t>(), (std::vector<std::uint32_t>{0, 1, 1, 0, 0, 1}))
                << describe(c);
            const std::vector<double> good = result(c, clean), bad = result(c, dirty);
            for (std::size_t i = 0; i < good.size(); ++i) {
                const std::size_t item = i / 140;
                ASSERT_TRUE(std::isfinite(good[i])) << describe(c) << ", element " << i;
                if (item == 1 || item == 2 || item == 5)
                    ASSERT_TRUE(std::isnan(bad[i])) << describe(c) << ", element " << i;
                else
                    ASSERT_EQ(bad[i], good[i]) << describe(c) << ", element " << i;
            }
        }
}

TEST_P(PolarTest, FitsEveryLimitOfSharedMemoryAndInvocations) {
    for (const std::uint32_t bytes : {16384u, 32768u, 49152u, 65536u})
        for (const std::uint32_t invocations : {0u, 128u}) {
            if (invocations == 128 && bytes > 16384) continue;  // slow on CPU drivers, and no other limits
            DisabledCapabilities disable;
            disable.max_shared_memory = bytes;
            disable.max_invocations = invocations;
            disable.cpu = invocations == 128;  // the variants of GPUs
            const Capabilities& capabilities = device(disable).capabilities();
            const PolarWorkgroupVariant variant = choose_polar_workgroup(capabilities);
            EXPECT_LE(variant.pool * 16, std::min(bytes, capabilities.shared_memory_bytes));
            EXPECT_LE(variant.threads, capabilities.max_workgroup_invocations);
            std::uint64_t k = 4;
            const PolarOptions options = named("muon");
            const auto fits = [&](std::uint64_t rows, std::uint64_t cols) {
                return polar_fits_one_workgroup(device(disable), rows, cols, options);
            };
            while (fits(k + 1, k + 1)) ++k;
            EXPECT_GE(8 * (k + 4) * (k + 4), std::min(bytes, capabilities.shared_memory_bytes));
            std::uint64_t K = k;
            while (fits(K + 1, 3)) ++K;
            // The largest square and the longest column.
            expect_matches({.rows = k, .cols = k, .options = options}, kF32Bound, disable);
            expect_matches({.rows = K, .cols = 3, .options = options}, kF32Bound, disable);
        }
    // Products with the smallest limits.
    DisabledCapabilities disable;
    disable.max_shared_memory = 16384;
    disable.max_invocations = 128;
    expect_matches({.rows = 70, .cols = 50, .options = named("muon")}, kF32Bound, disable);
}

// The products of GPUs have tests of their own (gemm_test.cpp).
TEST_P(PolarTest, VariantForGpusRunsAnywhere) {
    DisabledCapabilities disable;
    disable.cpu = true;
    for (const auto& [rows, cols] : {std::pair{17, 33}, std::pair{64, 64}, std::pair{200, 6}}) {
        const Case c{.rows = static_cast<std::uint64_t>(rows),
                     .cols = static_cast<std::uint64_t>(cols),
                     .options = named("muon")};
        ASSERT_TRUE(polar_fits_one_workgroup(device(disable), c.rows, c.cols, c.options));
        expect_matches(c, kF32Bound, disable);
    }
}

// What two words are for: products of 16 bits by the kernels for GPUs, on matrix units where there are some.
TEST_P(PolarTest, TwoWordsRunOnTheKernelsForGpus) {
    DisabledCapabilities disable;
    disable.cpu = true;
    for (const DType precision : {DType::f16, DType::bf16})
        for (const PolarForm form : {PolarForm::standard, PolarForm::gram})
            for (const auto& [rows, cols] : {std::pair{40, 72}, std::pair{90, 33}}) {
                Case c{.rows = static_cast<std::uint64_t>(rows),
                       .cols = static_cast<std::uint64_t>(cols),
                       .options = named("muon")};
                Way{false, precision, 2}.choose(c.options);
                c.options.form = form;
                expect_matches(c, 2 * precision_bound(c.options), disable);
            }
    // Not those for bf16, which have to be asked for.
    if (!device(disable).capabilities().cooperative_matrix) return;
    Graph graph(device(disable));
    PolarOptions options;
    Way{false, DType::f16, 2}.choose(options);
    const Tensor x = graph.state("x", DType::f32, {256, 256});
    polar(graph, x, x, options);
    EXPECT_NE(graph.compile({}).describe().find("gemm_coopmat"), std::string::npos);
}

TEST_P(PolarTest, IteratesWhatARecipeNormalised) {
    for (const bool one_workgroup : {true, false})
        for (const PolarForm form : {PolarForm::standard, PolarForm::gram})
            for (const std::uint32_t steps : {4u, 5u})
                for (const auto& [precision, words_an_element] :
                     {std::pair{DType::f32, 1u}, std::pair{DType::f32, 2u}, std::pair{DType::bf16, 1u},
                      std::pair{DType::bf16, 2u}}) {
                    const DType iterates = words_an_element == 2 ? DType::f32 : precision;
                    Case c{.rows = 12, .cols = 20, .options = named("muon", steps), .in = {iterates, 0}};
                    c.options.one_workgroup = one_workgroup;
                    c.options.form = form;
                    c.options.precision = precision;
                    c.options.words = words_an_element;
                    const std::vector<double> values = random_batch(c);
                    const auto words = pack(values, c.cols, iterates, c.cols);
                    GuardedBuffer& in = guarded(words);
                    GuardedBuffer& out = guarded(c.rows * c.cols * sizeof(float));
                    Graph graph(device());
                    const Tensor x = graph.external("x", in.view(iterates, c.shape()));
                    const Tensor end = polar_iterate(graph, x, c.options);
                    EXPECT_TRUE(end.shape == x.shape);
                    convert(graph, end, graph.external("out", out.view(DType::f32, c.shape())));
                    run(graph);
                    const std::vector<float> floats = out.floats();
                    Case reference = c;
                    reference.options.norm_factor = 1e-300;  // nu = 1
                    reference.options.eps = 1.0;
                    EXPECT_LE(error(reference, values, {floats.begin(), floats.end()}),
                              precision_bound(c.options))
                        << describe(c);
                }
}

TEST_P(PolarTest, RefusesWhatItCannotDo) {
    Graph graph(device());
    GuardedBuffer& memory = guarded(64 * 64 * sizeof(float));
    const Tensor a = graph.external("a", memory.view(DType::f32, Shape{8, 12}));
    const Tensor apart = graph.temporary(DType::f32, Shape{8, 12});
    const auto refused = [&](const Tensor& in, const Tensor& out, const PolarOptions& options,
                             const char* culprit, const Tensor& row_squares = {}) {
        try {
            polar(graph, in, out, options, row_squares);
            ADD_FAILURE() << "not refused: " << culprit;
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
            EXPECT_NE(std::string(error.what()).find(culprit), std::string::npos) << error.what();
        }
    };
    refused(Tensor{}, apart, {}, "a is empty");
    refused(a, Tensor{}, {}, "out is empty");
    refused(a, graph.temporary(DType::f32, Shape{12, 8}), {}, "12x8");
    refused(graph.temporary(DType::u32, Shape{8, 12}), apart, {}, "u32");
    Tensor shifted = a;
    shifted.byte_offset += 48;
    refused(a, shifted, {}, "overlaps");
    PolarOptions options;
    options.eps = -1.0;
    refused(a, apart, options, "eps");
    options.eps = std::nan("");
    refused(a, apart, options, "eps");
    options = {};
    options.norm_factor = 0.0;
    refused(a, apart, options, "norm_factor");
    options.norm_factor = INFINITY;
    refused(a, apart, options, "norm_factor");
    options = {};
    options.coefficients = {{1.0, std::nan(""), 0.0}};
    refused(a, apart, options, "coefficient 0");
    options.coefficients = {{1e300, 0.0, 0.0}};
    refused(a, apart, options, "coefficient 0");
    options.coefficients = {{1.0, 0.0, 0.0}, {0.0, -1e29, 0.0}};
    refused(a, apart, options, "coefficient 1");
    for (const double factor : {1e-60, 1e-30, 1e30, 1e300, std::nan("")}) {
        options = {};
        options.norm_factor = factor;
        refused(a, apart, options, "norm_factor");
    }
    options = {};
    options.form = static_cast<PolarForm>(9);
    refused(a, apart, options, "form");
    options = {};
    options.norm_rule = static_cast<NormRule>(2);
    refused(a, apart, options, "norm_rule");
    options = {};
    options.precision = DType::u32;
    refused(a, apart, options, "precision");
    for (const std::uint32_t words : {0u, 3u}) {
        options.precision = DType::f16;
        options.words = words;
        refused(a, apart, options, "must be 1 or 2");
    }
    for (const std::uint32_t restart : {0u, 5u, 99u}) {
        options = {};
        options.form = PolarForm::gram;
        options.restarts = {2, restart};
        refused(a, apart, options, "restarts");
    }
    EXPECT_THROW(polar_iterate(graph, graph.temporary(DType::f16, Shape{4, 4}), {}), Error);
    options.words = 2;
    EXPECT_THROW(polar_iterate(graph, graph.temporary(DType::f16, Shape{4, 4}), options), Error);
    Tensor squares = graph.temporary(DType::f32, Shape{7});
    refused(a, apart, {}, "row_squares is 7 f32; it must be contiguous, with 8 f32", squares);
    EXPECT_THROW(polar_iterate(graph, apart, {}, squares), Error);
    squares = apart;
    squares.shape = Shape{8};
    refused(a, apart, {}, "overlaps", squares);
    EXPECT_THROW(polar_iterate(graph, apart, {}, squares), Error);
    options = {};
    options.status = graph.temporary(DType::u32, Shape{2});
    refused(a, apart, options, "status is 2 u32; it must be a contiguous tensor of 1 u32");
    options.status = graph.temporary(DType::u32, Shape{1});
    EXPECT_THROW(polar_iterate(graph, apart, options), Error);
    options.status = apart;
    options.status.dtype = DType::u32;
    options.status.shape = Shape{1};
    options.status.row_stride = 0;
    refused(a, apart, options, "overlaps out");
    EXPECT_EQ(graph.compile({}).dispatch_count(), 0u);
}

void expect_both_refuse(Graph& graph, const Tensor& x, const PolarOptions& options, const char* needle) {
    for (const bool whole : {false, true}) try {
            if (whole)
                polar(graph, x, x, options);
            else
                polar_iterate(graph, x, options);
            ADD_FAILURE() << "not refused: " << x.shape.text();
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument);
            EXPECT_NE(std::string(error.what()).find(needle), std::string::npos) << error.what();
        }
}

TEST_P(PolarTest, TwoF32WordsRefuseWhatTheyCannotCount) {
    Graph graph(device());
    PolarOptions options;
    options.words = 2;
    for (const Shape& shape : {Shape{1u << 16, 1u << 15}, Shape{2, 1u << 15, 1u << 15}})
        expect_both_refuse(graph, graph.temporary(DType::f32, shape), options,
                           "at most 2^31 - 1 elements, gaps");
}

TEST_P(PolarTest, RefusesIteratesWithMoreElementsThanShadersCount) {
    Graph graph(device());
    PolarOptions half;
    half.precision = DType::f16;
    // Rows of one element take eight; and a side above gemm()'s.
    expect_both_refuse(graph, graph.temporary(DType::f16, {600'000'000, 1}), half, "its iterates");
    expect_both_refuse(graph, graph.temporary(DType::f32, {1, (std::uint64_t{1} << 31) + 1}), {},
                       "its iterates");
}

// More than lavapipe's loops reach in 256 workgroups: it ends them after 65,535 rounds.
TEST_P(PolarTest, NormsCountEveryElementOfEnormousMatrices) {
    constexpr std::uint64_t kRows = 64, kCols = 4'300'001;
    constexpr std::uint16_t kOne = 0x3c00;
    Buffer ones = device().create_buffer(kRows * kCols * sizeof kOne);
    const std::vector<std::uint16_t> row(kCols * 2, kOne);
    for (std::uint64_t i = 0; i < kRows; i += 2)
        ones.write(std::as_bytes(std::span(row)), i * kCols * sizeof kOne);
    Graph graph(device());
    const Tensor partials =
        add_polar_norm(graph, graph.external("a", ones.view(DType::f16, {kRows, kCols})), {});
    Buffer sums = device().create_buffer(partials.shape.count() * sizeof(float));
    convert(graph, partials, graph.external("sums", sums.view(DType::f32, partials.shape)));
    run(graph);
    std::vector<float> is(partials.shape.count());
    sums.read(std::as_writable_bytes(std::span(is)));
    double total = 0;
    for (std::size_t i = 0; i < is.size(); i += 3) total += static_cast<double>(is[i + 1]);
    EXPECT_EQ(total, static_cast<double>(kRows * kCols));
}

TEST_P(PolarTest, EmptyMatricesAddNothing) {
    Graph graph(device());
    GuardedBuffer& memory = guarded(64 * sizeof(float));
    for (const Shape& shape : {Shape{0, 5}, Shape{5, 0}, Shape{0, 3, 3}})
        polar(graph, graph.temporary(DType::f32, shape), graph.temporary(DType::f32, shape));
    EXPECT_EQ(graph.compile({}).dispatch_count(), 0u);
    (void)memory;
}

HERON_DEVICE_TESTS(PolarTest);

// Section 1 of the specification counts these for five steps: T = 5, one restart after two.
TEST(PolarFlops, AreThoseOfTheClosedForms) {
    const double k = 100, K = 700;
    PolarOptions options = named("muon");
    EXPECT_DOUBLE_EQ(polar_standard_flops(k, K, options), 15 * k * k * K + 5 * k * k * k);
    options.form = PolarForm::gram;
    EXPECT_DOUBLE_EQ(polar_gram_flops(k, K, options), 6 * k * k * K + 14 * k * k * k);
    options.restarts.clear();
    EXPECT_DOUBLE_EQ(polar_gram_flops(k, K, options), 3 * k * k * K + 17 * k * k * k);
    options.form = PolarForm::automatic;  // restarts after two and four
    EXPECT_DOUBLE_EQ(polar_gram_flops(k, K, options), 9 * k * k * K + 11 * k * k * k);
    options.words = 2;  // none are needed
    EXPECT_DOUBLE_EQ(polar_gram_flops(k, K, options), 3 * k * k * K + 17 * k * k * k);
    options = named("cubic5");
    EXPECT_DOUBLE_EQ(polar_standard_flops(k, K, options), 15 * k * k * K);
}

TEST(PolarForms, AutomaticTakesAFifthFewerFlops) {
    PolarOptions options;
    EXPECT_EQ(choose_polar_form(300, 699, options).form, PolarForm::standard);
    EXPECT_EQ(choose_polar_form(300, 700, options).form, PolarForm::gram);
    EXPECT_EQ(choose_polar_form(700, 300, options).form, PolarForm::gram);
    EXPECT_EQ(choose_polar_form(100, 100, options).form, PolarForm::standard);
    options.words = 2;  // precision decides, too: in two f32 words the Gram form needs no restarts
    EXPECT_EQ(choose_polar_form(900, 1299, options).form, PolarForm::standard);
    EXPECT_EQ(choose_polar_form(900, 1301, options).form, PolarForm::gram);
    options.words = 1;
    EXPECT_EQ(choose_polar_form(900, 1301, options).form, PolarForm::standard);
    options.coefficients = newton_schulz_coefficients("muon", 2);  // nothing to restart
    EXPECT_EQ(choose_polar_form(100, 800, options).form, PolarForm::gram);
    options.coefficients = newton_schulz_coefficients("muon", 1);  // X X^T and B X in both
    EXPECT_EQ(choose_polar_form(100, 800, options).form, PolarForm::standard);
    options.restarts = {99};  // of form gram
    options.coefficients.clear();
    EXPECT_NO_THROW(check_polar_options("test", options));
    options.form = PolarForm::standard;
    EXPECT_EQ(choose_polar_form(100, 800, options).form, PolarForm::standard);
    options.form = PolarForm::gram;
    EXPECT_EQ(choose_polar_form(100, 101, options).form, PolarForm::gram);
    EXPECT_EQ(choose_polar_form(100, 100, options).form, PolarForm::standard);
}

}  // namespace
}  // namespace heron::test
