// SPDX-License-Identifier: MIT
// The quantiser of 4-bit Shampoo against the authors' scalar code: codes, scales and values bit for bit.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "heron/heron.hpp"
#include "support/device_fixture.hpp"
#include "support/golden.hpp"

namespace heron::test {
namespace {

class QuantizeGoldenTest : public DeviceTest {
protected:
    // Elements that differ.
    template <class Values>
    static double differences(const Values& computed, const std::vector<double>& expected) {
        if (computed.size() != expected.size()) return 1e9;
        double count = 0;
        for (std::size_t i = 0; i < expected.size(); ++i)
            count += static_cast<double>(computed[i]) == expected[i] ? 0 : 1;
        return count;
    }
    static std::vector<double> levels(std::uint32_t bits) {
        std::vector<double> result;
        for (std::uint32_t k = 0; k < 1u << bits; ++k)
            result.push_back(static_cast<double>(quantized_level(k, bits)));
        return result;
    }

    struct Result {
        std::vector<std::uint32_t> codes;  // element by element
        std::vector<float> absmax, values;
    };
    Result quantized(const std::vector<float>& x, const Shape& shape, const QuantizeOptions& options) {
        const std::uint64_t rows = shape[0], cols = shape[1], words = quantized_words(cols, options.bits);
        const std::uint64_t blocks = (cols + options.block - 1) / options.block;
        GuardedBuffer& from = guarded(x);
        GuardedBuffer &codes = guarded(4 * rows * words), &absmax = guarded(4 * rows * blocks),
                      &values = guarded(4 * rows * cols);
        Graph graph(device());
        const QuantizedMatrix to{graph.external("codes", codes.view(DType::u32, {rows, words})),
                                 graph.external("absmax", absmax.view(DType::f32, {rows, blocks})),
                                 {}};
        quantize(graph, graph.external("x", from.view(DType::f32, shape)), to, options);
        dequantize(graph, to, graph.external("values", values.view(DType::f32, shape)), options);
        Plan plan = graph.compile({.name = "quantize golden"});
        plan.allocate();
        plan.run();
        Result result{{}, absmax.floats(), values.floats()};
        const std::vector<std::uint32_t> packed = codes.read<std::uint32_t>();
        for (std::uint64_t i = 0; i < rows * cols; ++i) {
            const std::uint64_t bit = i % cols * options.bits;
            result.codes.push_back(packed[i / cols * words + bit / 32] >> bit % 32 &
                                   ((1u << options.bits) - 1));
        }
        return result;
    }

    void check_matrix(const GoldenCase& golden, GoldenResult& result) {
        const GoldenTensor input = golden.tensor("input");
        for (const double asked : golden.numbers("bits")) {
            const auto bits = static_cast<std::uint32_t>(asked);
            const std::string end = std::to_string(bits);
            result.add("map" + end, differences(levels(bits), golden.tensor("map" + end).values), 0);
            const Result computed =
                quantized(input.floats(), input.shape,
                          {.bits = bits, .block = static_cast<std::uint32_t>(golden.number("block"))});
            // Bytes of the file: rows one after another, the element that comes first in the lowest bits.
            const std::vector<double> bytes = golden.tensor("codes" + end).values;
            std::vector<double> codes;
            for (std::size_t i = 0; i < computed.codes.size(); ++i)
                codes.push_back(static_cast<double>(
                    static_cast<std::uint32_t>(bytes[i * bits / 8]) >> i * bits % 8 & ((1u << bits) - 1)));
            result.add("codes" + end, differences(computed.codes, codes), 0);
            result.add("absmax" + end, differences(computed.absmax, golden.tensor("absmax" + end).values), 0);
            if (golden.has_tensor("dequantised" + end))
                result.add("dequantised" + end,
                           differences(computed.values, golden.tensor("dequantised" + end).values), 0);
        }
        if (golden.text("map", "") != "linear-2") throw std::runtime_error("another map");
    }

    // Numbers in [-1, 1], each beside a 1 that scales it by 1.
    void check_scalars(const GoldenCase& golden, GoldenResult& result) {
        const auto bits = static_cast<std::uint32_t>(golden.number("bits"));
        const std::vector<float> x = golden.tensor("x").floats();
        std::vector<float> pairs;
        for (const float value : x) pairs.insert(pairs.end(), {value, 1.0f});
        const Result computed = quantized(pairs, Shape{x.size(), 2}, {.bits = bits});
        std::vector<std::uint32_t> codes;
        for (std::size_t i = 0; i < x.size(); ++i) codes.push_back(computed.codes[2 * i]);
        result.add("code_map", differences(levels(bits), golden.tensor("code_map").values), 0);
        result.add("codes", differences(codes, golden.tensor("codes").values), 0);
    }
};

TEST_P(QuantizeGoldenTest, EveryFile) {
    run_golden("shampoo4bit_quantiser", GetParam().name, [&](const GoldenCase& golden, GoldenResult& result) {
        if (golden.has_tensor("input"))
            check_matrix(golden, result);
        else
            check_scalars(golden, result);
    });
}

HERON_DEVICE_TESTS(QuantizeGoldenTest);

}  // namespace
}  // namespace heron::test
