// SPDX-License-Identifier: MIT
#include "c/boundary.hpp"

#include <exception>
#include <new>

#include "heron/heron.h"
#include "heron/version.hpp"

namespace heron::c {

namespace {

// Without a destructor, so that a thread that has called Heron does not pin a plug-in with Heron inside, and
// of a fixed size, so that running out of memory can be reported.
struct LastError {
    char text[2048];
    VkResult vk_result;
};
thread_local constinit LastError last_error{};

heron_result keep(heron_result result, std::string_view text, VkResult vk_result = VK_SUCCESS) {
    const std::size_t copied = bytes_that_fit(text, sizeof last_error.text - 1);
    std::memcpy(last_error.text, text.data(), copied);
    last_error.text[copied] = 0;
    last_error.vk_result = vk_result;
    return result;
}

heron_result result_of(ErrorCode code) {
    switch (code) {
        case ErrorCode::invalid_argument:
            return HERON_ERROR_INVALID_ARGUMENT;
        case ErrorCode::unsupported:
            return HERON_ERROR_UNSUPPORTED;
        case ErrorCode::out_of_host_memory:
            return HERON_ERROR_OUT_OF_HOST_MEMORY;
        case ErrorCode::out_of_device_memory:
            return HERON_ERROR_OUT_OF_DEVICE_MEMORY;
        case ErrorCode::device_lost:
            return HERON_ERROR_DEVICE_LOST;
        case ErrorCode::timeout:
            return HERON_ERROR_TIMEOUT;
        case ErrorCode::io:
            return HERON_ERROR_IO;
        case ErrorCode::corrupt_file:
            return HERON_ERROR_CORRUPT_FILE;
        case ErrorCode::version_mismatch:
            return HERON_ERROR_VERSION_MISMATCH;
        case ErrorCode::internal:
            return HERON_ERROR_INTERNAL;
    }
    return HERON_ERROR_INTERNAL;
}

}  // namespace

heron_result caught() noexcept {
    try {
        throw;
    } catch (const Error& error) {
        return keep(result_of(error.code()), error.what(), error.vk_result());
    } catch (const std::bad_alloc&) {
        return keep(HERON_ERROR_OUT_OF_HOST_MEMORY, "out of host memory");
    } catch (const std::exception& error) {
        return keep(HERON_ERROR_INTERNAL, error.what());
    } catch (...) {
        return keep(HERON_ERROR_INTERNAL, "an exception that is no std::exception, of a callback's");
    }
}

void check_header_version(std::uint32_t version) {
    check_version(static_cast<int>(version >> 22), static_cast<int>(version >> 12 & 0x3ffu));
}

}  // namespace heron::c

using namespace heron::c;

const char* heron_result_text(heron_result result) {
    switch (static_cast<int>(result)) {
        case HERON_SUCCESS:
            return "success";
        case HERON_INCOMPLETE:
            return "incomplete";
        case HERON_ERROR_INVALID_ARGUMENT:
            return "invalid_argument";
        case HERON_ERROR_UNSUPPORTED:
            return "unsupported";
        case HERON_ERROR_OUT_OF_HOST_MEMORY:
            return "out_of_host_memory";
        case HERON_ERROR_OUT_OF_DEVICE_MEMORY:
            return "out_of_device_memory";
        case HERON_ERROR_DEVICE_LOST:
            return "device_lost";
        case HERON_ERROR_TIMEOUT:
            return "timeout";
        case HERON_ERROR_IO:
            return "io";
        case HERON_ERROR_CORRUPT_FILE:
            return "corrupt_file";
        case HERON_ERROR_VERSION_MISMATCH:
            return "version_mismatch";
        case HERON_ERROR_INTERNAL:
            return "internal";
        default:
            return "unknown";
    }
}

const char* heron_last_error(void) { return last_error.text; }
VkResult heron_last_vk_result(void) { return last_error.vk_result; }

uint32_t heron_library_version(void) {
    const heron::Version version = heron::library_version();
    return HERON_MAKE_VERSION(version.major, version.minor, version.patch);
}

heron_result heron_check_version(uint32_t header_version) {
    return guarded([&] { check_header_version(header_version); });
}
