// SPDX-License-Identifier: MIT
// Tests on devices: every case runs once for each usable Vulkan device of the machine, under the validation
// layers where they are installed, and fails for each of their messages.
//
//   class GemmTest : public heron::test::DeviceTest {};
//   TEST_P(GemmTest, MatchesFloat64) { auto& a = guarded(values); ... device() ... }
//   HERON_DEVICE_TESTS(GemmTest);
//
// Environment (tests/support/main.cpp reads it): HERON_TEST_DEVICE = index, UUID or part of a name restricts
// the tests to matching devices; HERON_TEST_VALIDATION=0 leaves the layers out.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <cstring>
#include <deque>
#include <heron/device.hpp>
#include <span>
#include <string>
#include <vector>

namespace heron::test {

// Usable devices, in the loader's order. Throws when there is none, so that no test passes by not running.
const std::vector<DeviceInfo>& devices();

// One Device per physical device and set of disabled capabilities, kept until the program ends.
Device& cached_device(const DeviceInfo& info, const DisabledCapabilities& disable = {});

// Options as cached_device uses them (selection by index, validation), for tests that need a Device of their
// own.
DeviceOptions device_options(const DeviceInfo& info, const DisabledCapabilities& disable = {});

// The system's loader, and the same with the validation layer and a messenger added to every instance.
PFN_vkGetInstanceProcAddr plain_entry();
PFN_vkGetInstanceProcAddr validated_entry();
bool validation_enabled();

// Messages of the validation layer (warnings and errors) since the last call.
std::vector<std::string> take_validation_messages();

void drop_cached_devices();  // main() does this at the end

// Device memory between two guard bands. The bands have a pattern; the inside begins as NaN.
class GuardedBuffer {
public:
    GuardedBuffer(const Device& device, std::uint64_t bytes, MemoryKind kind = MemoryKind::device);
    template <typename T>
    GuardedBuffer(const Device& device, const std::vector<T>& values, MemoryKind kind = MemoryKind::device)
        : GuardedBuffer(device, values.size() * sizeof(T), kind) {
        write(values);
    }

    std::uint64_t bytes() const { return bytes_; }
    VkDeviceAddress address() const { return buffer_.address() + kGuardBytes; }
    BufferRange range() const;  // the inside
    TensorView view(DType dtype, const Shape& shape, std::uint64_t byte_offset = 0,
                    std::uint64_t row_stride = 0) const;

    template <typename T>
    void write(const std::vector<T>& values, std::uint64_t byte_offset = 0) {
        write_bytes(std::as_bytes(std::span(values)), byte_offset);
    }
    template <typename T>
    std::vector<T> read(std::uint64_t byte_offset = 0) const {
        std::vector<T> values((bytes_ - byte_offset) / sizeof(T));
        read_bytes(std::as_writable_bytes(std::span(values)), byte_offset);
        return values;
    }
    std::vector<float> floats() const { return read<float>(); }
    void write_bytes(std::span<const std::byte> data, std::uint64_t byte_offset = 0);
    void read_bytes(std::span<std::byte> data, std::uint64_t byte_offset = 0) const;

    // Fails where a byte of the bands has changed.
    ::testing::AssertionResult intact() const;

private:
    static constexpr std::uint64_t kGuardBytes = 1024;
    std::uint64_t bytes_;
    std::uint64_t after_;  // where the second band begins: bytes_, rounded up to 4
    Buffer buffer_;
};

// Plain helpers for buffers without bands.
template <typename T>
Buffer upload(const Device& device, const std::vector<T>& values, MemoryKind kind = MemoryKind::device) {
    Buffer buffer = device.create_buffer(values.size() * sizeof(T), kind, "test");
    buffer.write(std::as_bytes(std::span(values)));
    return buffer;
}
template <typename T = float>
std::vector<T> download(const Buffer& buffer) {
    std::vector<T> values(buffer.bytes() / sizeof(T));
    buffer.read(std::as_writable_bytes(std::span(values)));
    return values;
}

class DeviceTest : public ::testing::TestWithParam<DeviceInfo> {
protected:
    void SetUp() override;
    void TearDown() override;  // checks the bands of guarded(), then the messages of the validation layer

    Device& device(const DisabledCapabilities& disable = {}) { return cached_device(GetParam(), disable); }

    // Buffers that live, and are checked, until the end of the test.
    GuardedBuffer& guarded(std::uint64_t bytes, MemoryKind kind = MemoryKind::device) {
        return guarded_.emplace_back(device(), bytes, kind);
    }
    template <typename T>
    GuardedBuffer& guarded(const std::vector<T>& values, MemoryKind kind = MemoryKind::device) {
        return guarded_.emplace_back(device(), values, kind);
    }
    template <typename T>
    GuardedBuffer& guarded_on(const Device& device, const std::vector<T>& values) {
        return guarded_.emplace_back(device, values);
    }

private:
    std::deque<GuardedBuffer> guarded_;
};

std::string device_test_name(const ::testing::TestParamInfo<DeviceInfo>& info);

#define HERON_DEVICE_TESTS(Suite)                                                         \
    INSTANTIATE_TEST_SUITE_P(Devices, Suite, ::testing::ValuesIn(heron::test::devices()), \
                             heron::test::device_test_name)

}  // namespace heron::test

namespace heron {
inline void PrintTo(const DeviceInfo& info, std::ostream* out) { *out << info.name; }
}  // namespace heron
