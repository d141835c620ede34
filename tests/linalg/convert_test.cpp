// SPDX-License-Identifier: MIT
// convert() and, through it, the 16-bit conversions of every shader (shaders/core/half.glsl), bit for bit
// against the host's.
#include <bit>
#include <cmath>

#include "linalg/linalg_test.hpp"

namespace heron::test {
namespace {

class ConvertTest : public LinalgTest {
protected:
    template <typename To, typename From>
    std::vector<To> converted(const std::vector<From>& values, DType from, DType to, float scale = 1.0f) {
        Graph graph(device());
        const GuardedBuffer& source = guarded(values);
        const GuardedBuffer& result = guarded(values.size() * sizeof(To));
        convert(graph, graph.external("from", source.view(from, {values.size()})),
                graph.external("to", result.view(to, {values.size()})), scale);
        Plan plan = graph.compile({});
        plan.allocate();
        plan.run();
        return result.read<To>();
    }
};

std::vector<std::uint16_t> all_halves() {
    std::vector<std::uint16_t> bits(65536);
    for (std::size_t i = 0; i < bits.size(); ++i) bits[i] = static_cast<std::uint16_t>(i);
    return bits;
}

bool is_nan(float value) { return (std::bit_cast<std::uint32_t>(value) & 0x7fffffffu) > 0x7f800000u; }

TEST_P(ConvertTest, Every16BitNumberBecomesItsFloat) {
    for (DType dtype : {DType::f16, DType::bf16}) {
        const std::vector<float> results = converted<float>(all_halves(), dtype, DType::f32);
        for (std::uint32_t i = 0; i < 65536; ++i) {
            const auto bits = static_cast<std::uint16_t>(i);
            const float expected = dtype == DType::f16 ? f16_to_f32(bits) : bf16_to_f32(bits);
            if (is_nan(expected))
                ASSERT_TRUE(is_nan(results[i])) << to_string(dtype) << " " << i;
            else
                ASSERT_EQ(std::bit_cast<std::uint32_t>(results[i]), std::bit_cast<std::uint32_t>(expected))
                    << to_string(dtype) << " " << i;
        }
    }
}

// Each 16-bit number, its neighbours in f32, and the ties between two of them, with both signs.
TEST_P(ConvertTest, FloatsRoundToNearestEvenAsOnTheHost) {
    std::vector<float> values;
    for (std::uint32_t i = 0; i < 65536; ++i)
        for (bool half : {false, true}) {
            const auto bits = static_cast<std::uint16_t>(i);
            const auto base = std::bit_cast<std::uint32_t>(half ? f16_to_f32(bits) : bf16_to_f32(bits));
            const std::uint32_t tie = base + (half ? 0x1000u : 0x8000u);
            for (std::uint32_t near : {base - 1, base, base + 1, tie - 1, tie, tie + 1})
                values.push_back(std::bit_cast<float>(near));
        }
    Random random(1);
    for (int i = 0; i < 100000; ++i)
        values.push_back(std::bit_cast<float>(static_cast<std::uint32_t>(random.bits())));
    if (values.size() % 2 == 0) values.push_back(65519.99f);  // an odd tail
    for (DType dtype : {DType::f16, DType::bf16}) {
        const auto results = converted<std::uint16_t>(values, DType::f32, dtype);
        for (std::size_t i = 0; i < values.size(); ++i) {
            const std::uint16_t expected =
                dtype == DType::f16 ? f32_to_f16(values[i]) : f32_to_bf16(values[i]);
            if (is_nan(values[i]))  // that it stays one is promised, its payload is not
                ASSERT_TRUE(is_nan(dtype == DType::f16 ? f16_to_f32(results[i]) : bf16_to_f32(results[i])));
            else
                ASSERT_EQ(results[i], expected) << GetParam().name << ": " << to_string(dtype) << " of bits "
                                                << std::bit_cast<std::uint32_t>(values[i]);
        }
    }
}

TEST_P(ConvertTest, ScalesAndTakesEveryShapeStrideAndType) {
    struct Item {
        Matrix from;
        GuardedBuffer* to;
        DType from_type, to_type;
        std::uint64_t rows, cols, gap, items;
    };
    Graph graph(device());
    std::vector<Item> all;
    for (DType from_type : {DType::f32, DType::f16, DType::bf16})
        for (DType to_type : {DType::f32, DType::f16, DType::bf16})
            for (std::uint64_t cols : {1u, 2u, 3u, 17u, 64u, 255u})
                for (std::uint64_t gap : {0u, 1u, 2u}) {
                    const std::uint64_t rows = 7;
                    const Matrix from = rounded(random_matrix(rows, cols, cols), from_type);
                    GuardedBuffer& source = guarded(encode({from}, from_type, cols + 2 - gap));
                    GuardedBuffer& to = guarded(
                        encode({Matrix::Zero(7, static_cast<Eigen::Index>(cols))}, to_type, cols + gap));
                    const std::string name = std::to_string(all.size());
                    convert(graph,
                            graph.external("from" + name,
                                           {source.address(), from_type, {rows, cols}, cols + 2 - gap}),
                            graph.external("to" + name, {to.address(), to_type, {rows, cols}, cols + gap}),
                            -0.75f);
                    all.push_back({from, &to, from_type, to_type, rows, cols, gap, 1});
                }
    Plan plan = graph.compile({});
    plan.allocate();
    plan.run();
    for (const Item& item : all) {
        const auto bytes = item.to->read<std::byte>();
        EXPECT_TRUE(gaps_intact(bytes, item.to_type, 1, item.rows, item.cols, item.cols + item.gap));
        const Matrix is = decode(bytes, item.to_type, 1, item.rows, item.cols, item.cols + item.gap)[0];
        const Matrix expected = rounded(Matrix(item.from * -0.75), item.to_type);
        EXPECT_TRUE(is == expected) << to_string(item.from_type) << " to " << to_string(item.to_type) << ", "
                                    << item.cols << " columns, gap " << item.gap;
    }
}

TEST_P(ConvertTest, WorksInPlace) {
    Graph graph(device());
    const std::vector<float> values{1, -2, 3, 0.5f, 8};
    const GuardedBuffer& buffer = guarded(values);
    const Tensor x = graph.external("x", buffer.view(DType::f32, {5}));
    convert(graph, x, x, 2.0f);
    Plan plan = graph.compile({});
    plan.allocate();
    plan.run();
    EXPECT_EQ(buffer.floats(), (std::vector<float>{2, -4, 6, 1, 16}));
}

TEST_P(ConvertTest, RefusesWhatDoesNotFit) {
    Graph graph(device());
    const Tensor x = graph.temporary(DType::f32, {6, 4});
    expect_refusals(graph,
                    {
                        {"`from` is empty", [&] { convert(graph, {}, x); }},
                        {"`to` is empty", [&] { convert(graph, x, {}); }},
                        {"scale is nan", [&] { convert(graph, x, x, std::nanf("")); }},
                        {"scale is inf", [&] { convert(graph, x, x, INFINITY); }},
                        {"shapes must agree",
                         [&] {
                             convert(graph, x, graph.temporary(DType::f16, {4, 6}));
                         }},
                        {"f32, f16 or bf16",
                         [&] {
                             convert(graph, x, graph.temporary(DType::u32, {6, 4}));
                         }},
                        {"overlaps `from`", [&] { convert(graph, x.row_range(0, 4), x.row_range(2, 4)); }},
                    });
}

HERON_DEVICE_TESTS(ConvertTest);

}  // namespace
}  // namespace heron::test
