// SPDX-License-Identifier: MIT
// What tests of linalg operations share: matrices in guarded device memory, running a graph, refusals.
#pragma once

#include <cstring>
#include <functional>
#include <heron/linalg.hpp>
#include <heron/plan.hpp>
#include <limits>
#include <string>
#include <vector>

#include "support/device_fixture.hpp"
#include "support/reference.hpp"

namespace heron::test {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kUnit = 0x1p-24;  // unit roundoff of f32

// A call that must throw invalid_argument, and a part of what it says.
struct Refusal {
    const char* needle;
    std::function<void()> call;
};

class LinalgTest : public DeviceTest {
protected:
    // Matrices of one shape in device memory, `gap` elements between their rows.
    struct Placed {
        std::vector<Matrix> items;  // rounded to the dtype
        DType dtype = DType::f32;
        std::uint64_t rows = 0, cols = 0, stride = 0;
        GuardedBuffer* buffer = nullptr;
        Tensor tensor;

        // What is there now. Fails the test where the gaps have changed.
        std::vector<Matrix> read() const {
            const auto bytes = buffer->read<std::byte>();
            EXPECT_TRUE(gaps_intact(bytes, dtype, items.size(), rows, cols, stride)) << "wrote between rows";
            return decode(bytes, dtype, items.size(), rows, cols, stride);
        }
    };

    Placed place(Graph& graph, const std::vector<Matrix>& items, DType dtype = DType::f32,
                 std::uint64_t gap = 0) {
        Placed placed;
        placed.dtype = dtype;
        placed.rows = static_cast<std::uint64_t>(items[0].rows());
        placed.cols = static_cast<std::uint64_t>(items[0].cols());
        placed.stride = placed.cols + gap;
        for (const Matrix& item : items) placed.items.push_back(rounded(item, dtype));
        std::vector<std::byte> bytes = encode(placed.items, dtype, placed.stride);
        if (bytes.empty()) bytes.resize(4);
        placed.buffer = &guarded_on(graph.device(), bytes);
        const Shape shape = items.size() == 1 ? Shape{placed.rows, placed.cols}
                                              : Shape{items.size(), placed.rows, placed.cols};
        placed.tensor =
            graph.external("tensor" + std::to_string(names_++),
                           {placed.buffer->address(), dtype, shape, gap == 0 ? 0 : placed.stride});
        return placed;
    }
    // For results: what they held at first must not matter.
    Placed place_nan(Graph& graph, std::uint64_t items, std::uint64_t rows, std::uint64_t cols,
                     DType dtype = DType::f32, std::uint64_t gap = 0) {
        return place(graph,
                     std::vector<Matrix>(items, Matrix::Constant(static_cast<Eigen::Index>(rows),
                                                                 static_cast<Eigen::Index>(cols), kNan)),
                     dtype, gap);
    }
    // Words, u32.
    struct PlacedWords {
        GuardedBuffer* buffer;
        Tensor tensor;
        std::vector<std::uint32_t> read() const { return buffer->read<std::uint32_t>(); }
    };
    PlacedWords place_words(Graph& graph, const Shape& shape, std::vector<std::uint32_t> words = {}) {
        words.resize(std::max<std::uint64_t>(1, shape.count()), 0xdeadbeef);
        GuardedBuffer& buffer = guarded_on(graph.device(), words);
        return {&buffer,
                graph.external("words" + std::to_string(names_++), {buffer.address(), DType::u32, shape})};
    }

    // Compiles and runs, once. With a small max_dispatch_flops, something has to be split.
    static void run(const Graph& graph, const PlanOptions& options = {}) {
        Plan plan = graph.compile(options);
        plan.allocate();
        if (!plan.states().empty()) plan.initialize();
        EXPECT_TRUE(plan.hazards().empty());
        if (options.max_dispatch_flops < 1e9) {
            EXPECT_GT(plan.dispatch_count(), graph.compile({}).dispatch_count()) << "nothing was split";
        }
        plan.run();
    }

    // Every call is refused, and nothing is added to the graph.
    static void expect_refusals(const Graph& graph, const std::vector<Refusal>& refusals) {
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

    // The smallest GPU that Vulkan allows, as far as this device can play it.
    Device& smallest_gpu() {
        return device({.cpu = true, .max_shared_memory = 16384, .max_invocations = 128});
    }

    std::uint64_t names_ = 0;
};

}  // namespace heron::test
