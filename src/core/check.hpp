// SPDX-License-Identifier: MIT
// Vulkan results as text and as heron::Error.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "heron/error.hpp"

namespace heron {

const char* to_text(VkResult result);         // "VK_ERROR_DEVICE_LOST"; "VkResult" for one that is not known
ErrorCode code_of(VkResult result);           // internal for what no caller can cause
std::string bytes_text(std::uint64_t bytes);  // "1536 bytes", "16.0 MiB"
std::string version_text(std::uint32_t value);  // "1.3.239"

// "vkCreateBuffer failed with VK_ERROR_OUT_OF_HOST_MEMORY: <what>"
[[noreturn]] void throw_result(VkResult result, const char* call, std::string_view what);

// For calls before there is a device. VK_INCOMPLETE passes: enumerate() asks again.
inline void check_result(VkResult result, const char* call, std::string_view what) {
    if (result != VK_SUCCESS && result != VK_INCOMPLETE) throw_result(result, call, what);
}

// What a Vulkan call lists: call(std::uint32_t* count, Item* items) asks for the number, then for the items,
// and again where their number has grown meanwhile.
template <class Item, class Call>
std::vector<Item> enumerate(const char* name, const Call& call) {
    std::vector<Item> items;
    VkResult result;
    do {
        std::uint32_t count = 0;
        check_result(call(&count, nullptr), name, "");
        items.resize(count);
        result = call(&count, items.data());
        check_result(result, name, "");
        items.resize(count);
    } while (result == VK_INCOMPLETE);
    return items;
}

}  // namespace heron
