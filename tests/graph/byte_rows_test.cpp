// SPDX-License-Identifier: MIT
#include "graph/byte_rows.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

namespace heron {
namespace {

// Tensors in one memory object, with and without gaps, against a map of its bytes.
TEST(ByteRows, OverlapAndCoverAsTheirBytesDo) {
    std::mt19937 random(7);
    const auto below = [&](std::uint64_t n) { return random() % n; };
    int apart = 0, covered = 0, kept_apart = 0;
    for (int repeat = 0; repeat < 20000; ++repeat) {
        const auto draw = [&] {
            Tensor tensor;
            tensor.id = 0;
            tensor.dtype = below(4) == 0 ? DType::f16 : DType::f32;
            tensor.byte_offset = 4 * below(30);
            const std::uint64_t cols = 1 + below(6);
            tensor.shape = below(4) == 0 ? Shape{2, 1 + below(2), cols} : Shape{1 + below(4), cols};
            tensor.row_stride = below(3) == 0 ? 0 : std::max<std::uint64_t>(cols, 6 + below(2));
            return tensor;
        };
        const auto bytes = [](const Tensor& tensor) {
            std::vector<bool> map(1024);
            const std::uint64_t size = bytes_of(tensor.dtype);
            for (std::uint64_t row = 0; row < tensor.batch() * tensor.rows(); ++row)
                for (std::uint64_t i = 0; i < tensor.cols() * size; ++i)
                    map[tensor.byte_offset + row * tensor.stride() * size + i] = true;
            return map;
        };
        const Tensor a = draw(), b = draw();
        const std::vector<bool> of_a = bytes(a), of_b = bytes(b);
        bool common = false, all = true;
        for (std::size_t i = 0; i < of_a.size(); ++i) {
            common |= of_a[i] && of_b[i];
            all &= of_a[i] || !of_b[i];
        }
        const ByteRows x = byte_rows(a, 64), y = byte_rows(b, 64);
        if (x.pitch == 0) all = x.begin <= y.begin && y.end <= x.end;  // rows that share words: one piece
        EXPECT_EQ(overlap(x, y), overlap(y, x));
        if (common) EXPECT_TRUE(overlap(x, y)) << "repeat " << repeat;
        if (covers(x, y)) EXPECT_TRUE(all) << "repeat " << repeat;
        apart += !common;
        kept_apart += !overlap(x, y);
        covered += covers(x, y);
    }
    EXPECT_GT(kept_apart, apart / 2) << apart;
    EXPECT_GT(covered, 500);
}

// All blocks of all rows of one matrix: exactly.
TEST(ByteRows, BlocksOfColumnsOverlapWhereTheirColumnsDo) {
    constexpr std::uint64_t kCols = 7;
    const auto block = [&](std::uint64_t first, std::uint64_t end) {
        Tensor tensor;
        tensor.id = 0;
        tensor.byte_offset = first * sizeof(float);
        tensor.shape = Shape{3, end - first};
        tensor.row_stride = kCols;
        return byte_rows(tensor, 0);
    };
    for (std::uint64_t a = 0; a < kCols; ++a)
        for (std::uint64_t a_end = a + 1; a_end <= kCols; ++a_end)
            for (std::uint64_t b = 0; b < kCols; ++b)
                for (std::uint64_t b_end = b + 1; b_end <= kCols; ++b_end) {
                    EXPECT_EQ(overlap(block(a, a_end), block(b, b_end)), a < b_end && b < a_end);
                    EXPECT_EQ(covers(block(a, a_end), block(b, b_end)), a <= b && b_end <= a_end);
                }
}

TEST(ByteRows, NothingOverlapsWhatIsEmpty) {
    Tensor whole, nothing;
    whole.id = nothing.id = 0;
    whole.shape = Shape{4, 4};
    nothing.shape = Shape{0, 4};
    nothing.byte_offset = 16;
    EXPECT_FALSE(overlap(byte_rows(whole, 0), byte_rows(nothing, 0)));
}

}  // namespace
}  // namespace heron
