// SPDX-License-Identifier: MIT
// Buffers of every kind: contents, addresses, views, refusals.
#include <gtest/gtest.h>

#include <limits>
#include <numeric>
#include <random>

#include "core/device.hpp"
#include "core/refusal.hpp"
#include "support/device_fixture.hpp"

namespace heron {
namespace {

constexpr MemoryKind kKinds[] = {MemoryKind::device, MemoryKind::upload, MemoryKind::readback};

class BufferTest : public test::DeviceTest {};
HERON_DEVICE_TESTS(BufferTest);

using test::refusal;

TEST_P(BufferTest, GivesBackWhatWasWritten) {
    for (MemoryKind kind : kKinds) {
        for (std::size_t count : {1, 2, 1000, 1 << 20, 6 << 20}) {
            std::vector<std::uint32_t> values(count);
            std::iota(values.begin(), values.end(), 17u);
            auto& buffer = guarded(values, kind);
            EXPECT_EQ(buffer.read<std::uint32_t>(), values) << count;
            EXPECT_EQ(buffer.address() % 256, 0u);
        }
    }
}

TEST_P(BufferTest, WritesAndReadsParts) {
    auto& buffer = guarded(std::vector<std::uint16_t>{1, 2, 3, 4, 5});
    buffer.write(std::vector<std::uint16_t>{30, 40}, 4);
    EXPECT_EQ(buffer.read<std::uint16_t>(), (std::vector<std::uint16_t>{1, 2, 30, 40, 5}));
    EXPECT_EQ(buffer.read<std::uint16_t>(6), (std::vector<std::uint16_t>{40, 5}));
}

TEST_P(BufferTest, HostKindsAreMapped) {
    EXPECT_NE(device().create_buffer(64, MemoryKind::upload).mapped(), nullptr);
    EXPECT_NE(device().create_buffer(64, MemoryKind::readback).mapped(), nullptr);
}

// Copies through the queue, also where the memory is mapped.
TEST_P(BufferTest, QueueCopiesArriveAtTheHost) {
    std::vector<float> values(5000);
    std::iota(values.begin(), values.end(), 0.5f);
    Buffer from = test::upload(device(), values, MemoryKind::upload);
    Buffer to = device().create_buffer(from.bytes(), MemoryKind::readback);
    Buffer unused;
    device().impl().copy(from.range(), to.range(), unused);
    device().impl().invalidate(to.range());
    EXPECT_EQ(test::download(to), values);
}

TEST_P(BufferTest, NeverOverlapsAnotherOne) {
    std::mt19937 random(3);
    struct Item {
        Buffer buffer;
        std::uint32_t value;
    };
    std::vector<Item> items;
    auto check = [](const Item& item) {
        const auto content = test::download<std::uint32_t>(item.buffer);
        for (std::uint32_t word : content) ASSERT_EQ(word, item.value);
    };
    for (std::uint32_t round = 0; round < 600; ++round) {
        if (items.size() > 40 || (!items.empty() && random() % 3 == 0)) {
            const std::size_t victim = random() % items.size();
            check(items[victim]);
            items.erase(items.begin() + static_cast<std::ptrdiff_t>(victim));
            continue;
        }
        const std::size_t words = 1 + random() % (random() % 10 == 0 ? 700000 : 3000);
        std::vector<std::uint32_t> content(words, round);
        items.push_back({test::upload(device(), content, kKinds[random() % 3]), round});
    }
    for (const Item& item : items) check(item);
}

TEST_P(BufferTest, FreesWhatItAllocated) {
    const Memory& memory = *device().impl().memory;
    { Buffer warm_up = device().create_buffer(1024); }  // an empty block stays
    const std::uint64_t before = memory.allocated_bytes();
    {
        std::vector<Buffer> buffers;
        for (int i = 0; i < 50; ++i) buffers.push_back(device().create_buffer(1 << 20));
        Buffer large = device().create_buffer(64 << 20);
        EXPECT_GE(memory.allocated_bytes(), before + (64u << 20));
    }
    EXPECT_EQ(memory.allocated_bytes(), before);
}

TEST_P(BufferTest, MovesLeaveAnEmptyBufferBehind) {
    Buffer first = test::upload(device(), std::vector<float>{1, 2, 3});
    Buffer second = std::move(first);
    EXPECT_FALSE(first);
    EXPECT_EQ(first.address(), 0u);
    EXPECT_EQ(test::download(second), (std::vector<float>{1, 2, 3}));
    second = test::upload(device(), std::vector<float>{4});
    EXPECT_EQ(test::download(second), (std::vector<float>{4}));
    EXPECT_NE(refusal(ErrorCode::invalid_argument, [&] { first.write({}); }), "");
}

TEST_P(BufferTest, RefusesAccessBeyondItsEnd) {
    Buffer buffer = device().create_buffer(64);
    std::vector<std::byte> bytes(65);
    EXPECT_NE(refusal(ErrorCode::invalid_argument, [&] { buffer.write(bytes); }), "");
    EXPECT_NE(refusal(ErrorCode::invalid_argument, [&] { buffer.read(bytes); }), "");
    bytes.resize(1);
    EXPECT_NE(refusal(ErrorCode::invalid_argument, [&] { buffer.write(bytes, 64); }), "");
    EXPECT_NE(refusal(ErrorCode::invalid_argument,
                      [&] { buffer.read(bytes, std::numeric_limits<std::uint64_t>::max()); }),
              "");
}

TEST_P(BufferTest, RefusesSizesThatCannotBe) {
    EXPECT_NE(refusal(ErrorCode::invalid_argument, [&] { device().create_buffer(0); }), "");
    for (std::uint64_t bytes : {std::uint64_t{1} << 50, std::numeric_limits<std::uint64_t>::max(),
                                std::numeric_limits<std::uint64_t>::max() - 100000})
        EXPECT_NE(refusal(ErrorCode::out_of_device_memory, [&] { device().create_buffer(bytes); }), "");
}

TEST_P(BufferTest, ViewsRefuseWhatDoesNotFit) {
    Buffer buffer = device().create_buffer(100);
    EXPECT_EQ(buffer.view(DType::f32, {5, 5}).address, buffer.address());
    EXPECT_EQ(buffer.view(DType::f32, {24}, 4).address, buffer.address() + 4);
    EXPECT_EQ(buffer.view(DType::f32, {0, 7}).span_bytes(), 0u);
    const std::string text = refusal(ErrorCode::invalid_argument, [&] { buffer.view(DType::f32, {26}); });
    EXPECT_NE(text.find("104"), std::string::npos) << text;
    refusal(ErrorCode::invalid_argument, [&] { buffer.view(DType::f32, {25}, 4); });
    refusal(ErrorCode::invalid_argument, [&] { buffer.view(DType::f32, {1}, ~std::uint64_t{3}); });
    refusal(ErrorCode::invalid_argument, [&] { buffer.view(DType::f16, {4}, 2); });
    refusal(ErrorCode::invalid_argument, [&] { buffer.view(static_cast<DType>(9), {4}); });
    refusal(ErrorCode::invalid_argument, [&] { buffer.view(DType::f32, {5, 4}, 0, 3); });
}

TEST_P(BufferTest, ViewsOfTheCallersBufferNeedTheAddressFlag) {
    Buffer buffer = device().create_buffer(256);
    BufferRange range = buffer.range();
    EXPECT_EQ(device().view(range, DType::f32, {64}).address, buffer.address());
    EXPECT_EQ(device().view(range, DType::f32, {8, 4}, 64).address, buffer.address() + 64);
    range.usage = VK_BUFFER_USAGE_STORAGE_BUFFER_BIT;
    EXPECT_NE(refusal(ErrorCode::invalid_argument, [&] { device().view(range, DType::f32, {64}); })
                  .find("VK_BUFFER_USAGE_SHADER_DEVICE_ADDRESS_BIT"),
              std::string::npos);
    range = buffer.range();
    range.buffer = VK_NULL_HANDLE;
    refusal(ErrorCode::invalid_argument, [&] { device().view(range, DType::f32, {64}); });
    range = buffer.range();
    range.offset += 2;
    range.bytes -= 2;
    refusal(ErrorCode::invalid_argument, [&] { device().view(range, DType::f32, {4}); });
    refusal(ErrorCode::invalid_argument, [&] { device().view(buffer.range(), DType::f32, {65}); });
}

}  // namespace
}  // namespace heron
