// SPDX-License-Identifier: MIT
// The border between C and C++: the one place where exceptions become results, and the checks that C needs
// and C++ does not (null pointers, room for texts).
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "heron/c/base.h"
#include "heron/error.hpp"

namespace heron::c {

// Of the exception that is being handled: keeps text and Vulkan result for the thread, returns its code.
heron_result caught() noexcept;

// Runs the body of a function of the API.
template <class Body>
heron_result guarded(const Body& body) noexcept {
    try {
        body();
        return HERON_SUCCESS;
    } catch (...) {
        return caught();
    }
}

// The same for bodies that have a result of their own, or return what is asked for: `otherwise` if they
// throw.
template <class Result, class Body>
Result guarded_value(Result otherwise, const Body& body) noexcept {
    try {
        return body();
    } catch (...) {
        caught();
        return otherwise;
    }
}
template <class Body>
heron_result guarded_result(const Body& body) noexcept {
    try {
        return body();
    } catch (...) {
        return caught();
    }
}

[[noreturn]] inline void refuse(const std::string& text) { throw Error(ErrorCode::invalid_argument, text); }

// The object behind a pointer that must not be null.
template <class Object>
Object& need(Object* object, const char* name) {
    if (object == nullptr) refuse(std::string(name) + " is NULL");
    return *object;
}

inline std::string_view need_text(const char* text, const char* name) { return &need(text, name); }

template <class Item>
std::span<Item> need_list(Item* items, std::uint32_t count, const char* name) {
    if (count > 0) need(items, name);
    return {items, count};
}

// Memory of the caller's; NULL only where there is nothing.
inline std::span<const std::byte> need_bytes(const void* data, std::size_t bytes, const char* name) {
    if (bytes > 0 && data == nullptr) refuse(std::string(name) + " is NULL");
    return {static_cast<const std::byte*>(data), bytes};
}
inline std::span<std::byte> need_bytes(void* data, std::size_t bytes, const char* name) {
    if (bytes > 0 && data == nullptr) refuse(std::string(name) + " is NULL");
    return {static_cast<std::byte*>(data), bytes};
}

// Throws (version_mismatch) unless major and minor are the library's.
void check_header_version(std::uint32_t version);

// How many bytes of a text fit into `room` when no character of UTF-8 is cut.
inline std::size_t bytes_that_fit(std::string_view text, std::size_t room) {
    std::size_t fit = std::min(text.size(), room);
    while (fit < text.size() && fit > 0 && (static_cast<unsigned char>(text[fit]) & 0xc0u) == 0x80u) --fit;
    return fit;
}

// A text into the caller's memory, as c/base.h says.
inline heron_result hand_out(std::string_view text, char* to, std::size_t* bytes) {
    const std::size_t room = need(bytes, "bytes");
    *bytes = text.size() + 1;
    if (to == nullptr) return HERON_SUCCESS;
    if (room == 0) return HERON_INCOMPLETE;
    const std::size_t copied = bytes_that_fit(text, room - 1);
    std::memcpy(to, text.data(), copied);
    to[copied] = 0;
    return copied == text.size() ? HERON_SUCCESS : HERON_INCOMPLETE;
}

}  // namespace heron::c
