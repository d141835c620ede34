// SPDX-License-Identifier: MIT
// The smallest thing that needs a working device: bytes to device memory and back.
#pragma once

#include <array>
#include <cstdio>
#include <heron/device.hpp>

inline bool round_trip(const heron::Device& device) {
    std::array<float, 1000> sent;
    std::array<float, 1000> received{};
    for (std::size_t i = 0; i < sent.size(); ++i) sent[i] = static_cast<float>(i);
    heron::Buffer buffer = device.create_buffer(sizeof sent);
    buffer.write(std::as_bytes(std::span(sent)));
    buffer.read(std::as_writable_bytes(std::span(received)));
    return sent == received;
}
