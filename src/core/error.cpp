// SPDX-License-Identifier: MIT
// The exception type, and Vulkan results as text and as error codes.
#include "heron/error.hpp"

#include <cstdio>

#include "core/check.hpp"

namespace heron {

const char* to_string(ErrorCode code) {
    switch (code) {
        case ErrorCode::invalid_argument:
            return "invalid_argument";
        case ErrorCode::unsupported:
            return "unsupported";
        case ErrorCode::out_of_host_memory:
            return "out_of_host_memory";
        case ErrorCode::out_of_device_memory:
            return "out_of_device_memory";
        case ErrorCode::device_lost:
            return "device_lost";
        case ErrorCode::timeout:
            return "timeout";
        case ErrorCode::io:
            return "io";
        case ErrorCode::corrupt_file:
            return "corrupt_file";
        case ErrorCode::version_mismatch:
            return "version_mismatch";
        case ErrorCode::internal:
            return "internal";
    }
    return "unknown";
}

Error::Error(ErrorCode code, const std::string& message, VkResult vk_result)
    : std::runtime_error(message), code_(code), vk_result_(vk_result) {}

// Here, so that the class has one type information in the whole program, also across a plug-in's border.
Error::~Error() = default;

const char* to_text(VkResult result) {
#define HERON_RESULT(name) \
    case name:             \
        return #name
    switch (result) {
        HERON_RESULT(VK_SUCCESS);
        HERON_RESULT(VK_NOT_READY);
        HERON_RESULT(VK_TIMEOUT);
        HERON_RESULT(VK_INCOMPLETE);
        HERON_RESULT(VK_ERROR_OUT_OF_HOST_MEMORY);
        HERON_RESULT(VK_ERROR_OUT_OF_DEVICE_MEMORY);
        HERON_RESULT(VK_ERROR_INITIALIZATION_FAILED);
        HERON_RESULT(VK_ERROR_DEVICE_LOST);
        HERON_RESULT(VK_ERROR_MEMORY_MAP_FAILED);
        HERON_RESULT(VK_ERROR_LAYER_NOT_PRESENT);
        HERON_RESULT(VK_ERROR_EXTENSION_NOT_PRESENT);
        HERON_RESULT(VK_ERROR_FEATURE_NOT_PRESENT);
        HERON_RESULT(VK_ERROR_INCOMPATIBLE_DRIVER);
        HERON_RESULT(VK_ERROR_TOO_MANY_OBJECTS);
        HERON_RESULT(VK_ERROR_FRAGMENTED_POOL);
        HERON_RESULT(VK_ERROR_UNKNOWN);
        HERON_RESULT(VK_ERROR_OUT_OF_POOL_MEMORY);
        HERON_RESULT(VK_ERROR_FRAGMENTATION);
        HERON_RESULT(VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS);
        HERON_RESULT(VK_ERROR_VALIDATION_FAILED_EXT);
        HERON_RESULT(VK_ERROR_INVALID_SHADER_NV);
        HERON_RESULT(VK_PIPELINE_COMPILE_REQUIRED);
        default:
            return "VkResult";
    }
#undef HERON_RESULT
}

ErrorCode code_of(VkResult result) {
    switch (result) {
        case VK_TIMEOUT:
            return ErrorCode::timeout;
        case VK_ERROR_OUT_OF_HOST_MEMORY:
            return ErrorCode::out_of_host_memory;
        case VK_ERROR_OUT_OF_DEVICE_MEMORY:
        case VK_ERROR_TOO_MANY_OBJECTS:
        case VK_ERROR_FRAGMENTED_POOL:
        case VK_ERROR_OUT_OF_POOL_MEMORY:
        case VK_ERROR_FRAGMENTATION:
        case VK_ERROR_MEMORY_MAP_FAILED:
        case VK_ERROR_INVALID_OPAQUE_CAPTURE_ADDRESS:
            return ErrorCode::out_of_device_memory;
        case VK_ERROR_DEVICE_LOST:
            return ErrorCode::device_lost;
        case VK_ERROR_INITIALIZATION_FAILED:
        case VK_ERROR_LAYER_NOT_PRESENT:
        case VK_ERROR_EXTENSION_NOT_PRESENT:
        case VK_ERROR_FEATURE_NOT_PRESENT:
        case VK_ERROR_INCOMPATIBLE_DRIVER:
            return ErrorCode::unsupported;
        default:
            return ErrorCode::internal;
    }
}

std::string bytes_text(std::uint64_t bytes) {
    if (bytes < 65536) return std::to_string(bytes) + " bytes";
    char text[48];
    const double value = static_cast<double>(bytes);
    if (bytes < (1ull << 30))
        std::snprintf(text, sizeof text, "%.1f MiB", value / double(1 << 20));
    else
        std::snprintf(text, sizeof text, "%.2f GiB", value / double(1 << 30));
    return text;
}

std::string version_text(std::uint32_t value) {
    return std::to_string(VK_API_VERSION_MAJOR(value)) + "." + std::to_string(VK_API_VERSION_MINOR(value)) +
           "." + std::to_string(VK_API_VERSION_PATCH(value));
}

void throw_result(VkResult result, const char* call, std::string_view what) {
    std::string text =
        std::string(call) + " failed with " + to_text(result) + " (" + std::to_string(int(result)) + ")";
    if (!what.empty()) text.append(": ").append(what);
    throw Error(code_of(result), text, result);
}

}  // namespace heron
