// SPDX-License-Identifier: MIT
// libFuzzer harness: any bytes at all through the safetensors reader, with sanitizers watching.
#include <cstddef>
#include <cstdint>
#include <span>

#include "state/seed_files.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* bytes, std::size_t count) {
    heron::test::read_everything(std::as_bytes(std::span(bytes, count)));
    return 0;
}
