// SPDX-License-Identifier: MIT
// Vulkan results as text and as heron::Error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "heron/error.hpp"

namespace heron {

const char* to_text(VkResult result);         // "VK_ERROR_DEVICE_LOST"; "VkResult" for one that is not known
ErrorCode code_of(VkResult result);           // internal for what no caller can cause
std::string bytes_text(std::uint64_t bytes);  // "1536 bytes", "16.0 MiB"
std::string version_text(std::uint32_t value);  // "1.3.239"

// "vkCreateBuffer failed with VK_ERROR_OUT_OF_HOST_MEMORY: <what>"
[[noreturn]] void throw_result(VkResult result, const char* call, std::string_view what);

// For calls before there is a device. VK_INCOMPLETE passes: callers that list things ask again.
inline void check_result(VkResult result, const char* call, std::string_view what) {
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) throw_result(result, call, what);
}

}  // namespace heron
