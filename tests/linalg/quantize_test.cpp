// SPDX-License-Identifier: MIT
// quantize() and dequantize() against the host's search through all levels, bit for bit.
#include <bit>
#include <cmath>
#include <cstring>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

struct Expected {
    std::vector<std::uint32_t> codes;  // words
    std::vector<float> absmax, values;
};

// The nearest level, the even code where two are as near; every operation in f32.
std::uint32_t nearest(float x, std::uint32_t bits) {
    std::uint32_t best = 0;
    for (std::uint32_t k = 0; k + 1 < 1u << bits; ++k) {
        const float border = 0.5f * (quantized_level(k, bits) + quantized_level(k + 1, bits));
        if (x > border || (x == border && k % 2 == 1)) best = k + 1;
    }
    return best;
}

Expected quantized(const Matrix& x, const QuantizeOptions& options, bool keeps) {
    Expected result;
    const auto rows = static_cast<std::uint64_t>(x.rows()), cols = static_cast<std::uint64_t>(x.cols());
    const std::uint64_t words = quantized_words(cols, options.bits), per_word = 32 / options.bits;
    result.codes.assign(rows * words, 0);
    for (std::uint64_t r = 0; r < rows; ++r)
        for (std::uint64_t first = 0; first < cols; first += options.block) {
            const std::uint64_t end = std::min<std::uint64_t>(first + options.block, cols);
            const auto element = [&](std::uint64_t c) {
                return keeps && c == r ? 0.0f
                                       : static_cast<float>(
                                             x(static_cast<Eigen::Index>(r), static_cast<Eigen::Index>(c)));
            };
            float largest = 0;
            for (std::uint64_t c = first; c < end; ++c) largest = std::max(largest, std::abs(element(c)));
            if (largest < 0x1p-126f) largest = 0;
            result.absmax.push_back(largest);
            // Of numbers whose reciprocal is subnormal: both divided by 4.
            const float unit = largest >= 1 ? 0.25f : 1.0f;
            const float inverse = largest > 0 ? 1.0f / (largest * unit) : 0.0f;
            for (std::uint64_t c = first; c < end; ++c) {
                const std::uint32_t code =
                    nearest(largest > 0 ? (element(c) * unit) * inverse : 0.0f, options.bits);
                result.codes[r * words + c / per_word] |= code << (c % per_word * options.bits);
                result.values.push_back(keeps && c == r ? static_cast<float>(x(static_cast<Eigen::Index>(r),
                                                                               static_cast<Eigen::Index>(c)))
                                                        : quantized_level(code, options.bits) * largest);
            }
        }
    return result;
}

class QuantizeTest : public LinalgTest {
protected:
    struct Pending {
        Matrix x;  // whose rows are coded
        QuantizeOptions options;
        Words codes, absmax, diagonal;
        Placed back;
    };

    void add(Graph& graph, const Matrix& x, QuantizeOptions options, bool keeps, std::uint64_t gap) {
        Pending p{x, options, {}, {}, {}, {}};
        const bool turned = options.transpose == Transpose::yes;
        const Placed from = place(graph, {turned ? Matrix(x.transpose()) : x}, DType::f32, gap);
        const auto rows = static_cast<std::uint64_t>(x.rows()), cols = static_cast<std::uint64_t>(x.cols());
        p.codes = words(graph, {rows, quantized_words(cols, options.bits)}, {});
        p.absmax = words(graph, {rows, (cols + options.block - 1) / options.block}, {}, DType::f32);
        if (keeps) p.diagonal = words(graph, std::min(rows, cols), DType::f32);
        p.back = blank(graph, 1, rows, cols, gap);
        const QuantizedMatrix to{p.codes.tensor, p.absmax.tensor, keeps ? p.diagonal.tensor : Tensor()};
        quantize(graph, from.tensor, to, options);
        options.transpose = Transpose::no;
        dequantize(graph, to, p.back.tensor, options);
        pending_.push_back(std::move(p));
    }

    void check() {
        for (const Pending& p : pending_) {
            const std::string what = GetParam().name + ": " + std::to_string(p.x.rows()) + "x" +
                                     std::to_string(p.x.cols()) + ", " + std::to_string(p.options.bits) +
                                     " bits, blocks of " + std::to_string(p.options.block);
            const Expected expected = quantized(p.x, p.options, static_cast<bool>(p.diagonal.tensor));
            EXPECT_EQ(p.codes.words(), expected.codes) << what;
            EXPECT_EQ(p.absmax.floats(), expected.absmax) << what;
            const Matrix back = p.back.read()[0];
            for (Eigen::Index i = 0; i < back.size(); ++i)
                ASSERT_EQ(back(i / back.cols(), i % back.cols()),
                          expected.values[static_cast<std::size_t>(i)])
                    << what << ", element " << i;
        }
        pending_.clear();
    }

    std::vector<Pending> pending_;
    struct Kept {
        Words codes, failures;
        bool failed;
    };
    std::vector<Kept> kept_;
};

TEST_P(QuantizeTest, CodesScalesAndValuesAreTheHostsBitForBit) {
    Graph graph(device());
    std::uint64_t seed = 1;
    for (const std::uint32_t bits : {2u, 4u, 8u})
        for (const auto& [rows, cols] : std::vector<std::pair<std::uint64_t, std::uint64_t>>{
                 {1, 1}, {3, 7}, {17, 65}, {70, 129}, {129, 70}}) {
            Matrix x = rounded(random_matrix(rows, cols, seed), DType::f32);
            if (rows > 10) {
                x.row(1).setZero();
                x.row(2) *= 0x1p125;   // near the end of f32, where 1 / absmax is subnormal
                x.row(3) *= 0x1p-100;  // small, but no product subnormal: some devices flush these
                x.row(4).setConstant(-0.75);
            }
            add(graph, x, {.bits = bits, .block = seed % 2 == 0 ? 64u : 16u}, seed % 3 == 0, seed % 2);
            ++seed;
        }
    add(graph, rounded(random_matrix(40, 33, 99), DType::f32), {.transpose = Transpose::yes}, false, 3);
    add(graph, rounded(random_matrix(40, 40, 98), DType::f32), {.transpose = Transpose::yes}, true, 0);
    run(graph);
    check();
}

// Every level of 8 bits, what lies in the middle between two, and its neighbours; each row has absmax 1.
TEST_P(QuantizeTest, TiesGoToTheEvenCode) {
    for (const std::uint32_t bits : {2u, 4u, 8u}) {
        std::vector<float> values;
        for (std::uint32_t k = 0; k + 1 < 1u << bits; ++k) {
            const float border = 0.5f * (quantized_level(k, bits) + quantized_level(k + 1, bits));
            for (const float x : {quantized_level(k, bits), std::nextafter(border, -2.0f), border,
                                  std::nextafter(border, 2.0f)})
                values.push_back(x);
        }
        Matrix x = Matrix::Zero(static_cast<Eigen::Index>(values.size() / 3 + 1), 4);
        for (std::size_t i = 0; i < values.size(); ++i)
            x(static_cast<Eigen::Index>(i / 3), static_cast<Eigen::Index>(1 + i % 3)) = values[i];
        x.col(0).setOnes();
        Graph graph(device());
        add(graph, x, {.bits = bits}, false, 0);
        run(graph);
        check();
    }
}

TEST_P(QuantizeTest, BlocksThatAreNotFiniteBecomeNanAndOthersDoNotNotice) {
    Graph graph(device());
    Matrix x = rounded(random_matrix(4, 40, 5), DType::f32);
    x(0, 3) = kNan;
    x(1, 20) = -kInfinity;
    const Placed from = place(graph, {x});
    const Words codes = words(graph, {4, 5}, {}), absmax = words(graph, {4, 3}, {}, DType::f32);
    const Placed back = blank(graph, 1, 4, 40);
    const QuantizeOptions options{.block = 16};
    quantize(graph, from.tensor, {codes.tensor, absmax.tensor, {}}, options);
    dequantize(graph, {codes.tensor, absmax.tensor, {}}, back.tensor, options);
    run(graph);
    const Matrix read = back.read()[0];
    for (Eigen::Index r = 0; r < 4; ++r)
        for (Eigen::Index c = 0; c < 40; ++c)
            EXPECT_EQ(std::isnan(read(r, c)), (r == 0 && c < 16) || (r == 1 && c >= 16 && c < 32))
                << r << " " << c;
}

TEST_P(QuantizeTest, MatricesThatCouldNotBeDoneLeaveTheirCodesAndAreCounted) {
    Graph graph(device());
    const auto code = [](MatrixStatus status) { return static_cast<std::uint32_t>(status); };
    for (const MatrixStatus status :
         {MatrixStatus::nonfinite, MatrixStatus::singular, MatrixStatus::ok, MatrixStatus::rank_deficient}) {
        const Placed from = place(graph, {Matrix::Ones(8, 8)});
        const Words state = words(graph, {1}, {code(status)}), failures = words(graph, {1}, {6}),
                    codes = words(graph, {8, 1}, {}), absmax = words(graph, {8, 1}, {}, DType::f32);
        quantize(graph, from.tensor, {codes.tensor, absmax.tensor, {}},
                 {.status = state.tensor, .failures = failures.tensor});
        kept_.push_back(
            {codes, failures, status == MatrixStatus::nonfinite || status == MatrixStatus::singular});
    }
    run(graph);
    for (const Kept& kept : kept_) {
        EXPECT_EQ(kept.codes.words(), std::vector<std::uint32_t>(8, kept.failed ? 0xdeadbeefu : 0xffffffffu));
        EXPECT_EQ(kept.failures.words()[0], kept.failed ? 7u : 6u);
    }
}

TEST_P(QuantizeTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const auto tensor = [&](DType dtype, const Shape& shape) { return graph.temporary(dtype, shape); };
    const Tensor x = tensor(DType::f32, {8, 70}), codes = tensor(DType::u32, {8, 9}),
                 absmax = tensor(DType::f32, {8, 2}), diagonal = tensor(DType::f32, {8});
    const QuantizedMatrix to{codes, absmax, diagonal};
    expect_refusals(graph, {{"one matrix of f32",
                             [&] {
                                 quantize(graph, tensor(DType::f16, {8, 70}), to);
                             }},
                            {"one matrix of f32",
                             [&] {
                                 quantize(graph, tensor(DType::f32, {2, 8, 70}), to);
                             }},
                            {"bits is 3", [&] { quantize(graph, x, to, {.bits = 3}); }},
                            {"block is 24", [&] { quantize(graph, x, to, {.block = 24}); }},
                            {"codes is 8x9 u32", [&] { quantize(graph, x, to, {.bits = 8}); }},
                            {"absmax is 8x2 f32", [&] { quantize(graph, x, to, {.block = 16}); }},
                            {"absmax is empty",
                             [&] {
                                 dequantize(graph, {codes, {}, {}}, x);
                             }},
                            {"diagonal is 70 f32",
                             [&] {
                                 dequantize(graph, {codes, absmax, tensor(DType::f32, {70})}, x);
                             }},
                            {"counted by `status`",
                             [&] { quantize(graph, x, to, {.failures = tensor(DType::u32, {1})}); }}});
    EXPECT_THROW(static_cast<void>(quantized_level(16, 4)), Error);
    EXPECT_THROW(static_cast<void>(quantized_level(0, 5)), Error);
}

HERON_DEVICE_TESTS(QuantizeTest);

}  // namespace
}  // namespace heron::test
