// SPDX-License-Identifier: MIT
// What tests of the C API on devices share: a device made through C, objects that end by themselves, and
// calls that must succeed.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "c/convert.hpp"
#include "c/handles.hpp"
#include "support/device_fixture.hpp"

#define HERON_C_OK(call) ASSERT_EQ(call, HERON_SUCCESS) << heron_last_error()

namespace heron::test {

// A handle and the function that ends it.
template <class Handle, void (*destroy)(Handle*)>
class Owned {
public:
    Owned() = default;
    Owned(const Owned&) = delete;
    Owned& operator=(const Owned&) = delete;
    ~Owned() { destroy(handle_); }
    operator Handle*() const { return handle_; }  // NOLINT(google-explicit-constructor): stands for it
    Handle** out() { return &handle_; }
    Handle* release() { return std::exchange(handle_, nullptr); }

private:
    Handle* handle_ = nullptr;
};
using OwnedDevice = Owned<heron_device, heron_device_destroy>;
using OwnedDeviceList = Owned<heron_device_list, heron_device_list_destroy>;
using OwnedFeatureChain = Owned<heron_feature_chain, heron_feature_chain_destroy>;
using OwnedBuffer = Owned<heron_buffer, heron_buffer_destroy>;
using OwnedOptimizer = Owned<heron_optimizer, heron_optimizer_destroy>;
using OwnedRouting = Owned<heron_routing, heron_routing_destroy>;
using OwnedPlan = Owned<heron_plan, heron_plan_destroy>;
using OwnedMetadata = Owned<heron_metadata, heron_metadata_destroy>;
using OwnedEvaluationWeights = Owned<heron_evaluation_weights, heron_evaluation_weights_destroy>;

inline bool says(const std::string& text, const std::string& part) {
    return text.find(part) != std::string::npos;
}

// The text that a function of the API hands out.
template <class Ask>
std::string text_of(const Ask& ask) {
    std::size_t bytes = 0;
    EXPECT_EQ(ask(nullptr, &bytes), HERON_SUCCESS) << heron_last_error();
    std::string text(bytes, '#');
    EXPECT_EQ(ask(text.data(), &bytes), HERON_SUCCESS) << heron_last_error();
    EXPECT_EQ(text.back(), '\0');
    text.pop_back();
    return text;
}

// Options for the device of the test, under validation where that is installed.
inline heron_device_options c_device_options(const DeviceInfo& info) {
    static std::deque<std::string> indices;
    const DeviceOptions options = device_options(info);
    heron_device_options c;
    EXPECT_EQ(heron_device_options_init(&c), HERON_SUCCESS);
    c.select = indices.emplace_back(std::to_string(info.index)).c_str();
    c.get_instance_proc_addr = options.get_instance_proc_addr;
    return c;
}

class CDeviceTest : public DeviceTest {
protected:
    void SetUp() override {
        DeviceTest::SetUp();
        const heron_device_options options = c_device_options(GetParam());
        HERON_C_OK(heron_device_create(&options, device_.out()));
    }

    heron_device* c_device() const { return device_; }

    // f32, contiguous, in a buffer that lives as long as the test.
    heron_tensor_view tensor(const std::vector<float>& values, const heron_shape& shape) {
        OwnedBuffer& buffer = buffers_.emplace_back();
        const std::size_t bytes = values.size() * sizeof(float);
        heron_tensor_view view{};
        EXPECT_EQ(heron_buffer_create(device_, bytes, HERON_MEMORY_KIND_DEVICE, "test", buffer.out()),
                  HERON_SUCCESS)
            << heron_last_error();
        EXPECT_EQ(heron_buffer_write(buffer, values.data(), bytes, 0), HERON_SUCCESS) << heron_last_error();
        EXPECT_EQ(heron_buffer_view(buffer, HERON_DTYPE_F32, &shape, 0, 0, &view), HERON_SUCCESS)
            << heron_last_error();
        return view;
    }
    std::vector<float> values(const heron_tensor_view& view) const {
        for (const OwnedBuffer& buffer : buffers_)
            if (heron_buffer_address(buffer) == view.address) {
                std::vector<float> read(heron_buffer_bytes(buffer) / sizeof(float));
                EXPECT_EQ(heron_buffer_read(buffer, read.data(), read.size() * sizeof(float), 0),
                          HERON_SUCCESS);
                return read;
            }
        ADD_FAILURE() << "no such tensor";
        return {};
    }
    void write(const heron_tensor_view& view, const std::vector<float>& values) const {
        for (const OwnedBuffer& buffer : buffers_)
            if (heron_buffer_address(buffer) == view.address)
                EXPECT_EQ(heron_buffer_write(buffer, values.data(), values.size() * sizeof(float), 0),
                          HERON_SUCCESS);
    }
    heron_parameter parameter(const char* name, const std::vector<float>& weight,
                              const std::vector<float>& gradient, const heron_shape& shape) {
        heron_parameter made;
        EXPECT_EQ(heron_parameter_init(&made), HERON_SUCCESS);
        made.name = name;
        made.weight = tensor(weight, shape);
        made.gradient = tensor(gradient, shape);
        return made;
    }

private:
    OwnedDevice device_;  // outlives the buffers
    std::deque<OwnedBuffer> buffers_;
};

// Values between -1 and 1 without a pattern.
inline std::vector<float> noise(std::size_t count, std::uint32_t seed) {
    std::vector<float> values(count);
    std::uint32_t x = seed * 0x9e3779b9u + 1;
    for (float& value : values) {
        x = x * 1664525u + 1013904223u;
        value = static_cast<float>(static_cast<std::int32_t>(x >> 8)) / 8388608.0f - 1.0f;
    }
    return values;
}

}  // namespace heron::test
