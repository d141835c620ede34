// SPDX-License-Identifier: MIT
// The one exception type of the library.
#pragma once

#include <vulkan/vulkan_core.h>

#include <stdexcept>
#include <string>

#include "heron/export.hpp"

namespace heron {

enum class ErrorCode {
    invalid_argument,  // the caller's mistake; nothing was recorded or changed
    unsupported,       // the device, driver or build lacks something; the text names it and the remedy
    out_of_host_memory,
    out_of_device_memory,
    device_lost,  // sticky: every later call on the device fails the same way
    timeout,
    io,                // a file could not be opened, read, written or renamed
    corrupt_file,      // a file's content is not what its format demands
    version_mismatch,  // header against library, or file against reader
    internal,          // a defect of Heron
};

// The enumerator's name, e.g. "invalid_argument".
HERON_API const char* to_string(ErrorCode code);

// What went wrong: which argument or object, what it was, what it should be, what to do.
// Thrown before anything is recorded or changed, unless the function's comment says otherwise.
class HERON_API Error : public std::runtime_error {
public:
    Error(ErrorCode code, const std::string& message, VkResult vk_result = VK_SUCCESS);
    ~Error() override;

    ErrorCode code() const { return code_; }
    // The Vulkan result behind the error, VK_SUCCESS when there is none.
    VkResult vk_result() const { return vk_result_; }

private:
    ErrorCode code_;
    VkResult vk_result_;
};

}  // namespace heron
