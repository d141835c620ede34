# SPDX-License-Identifier: MIT
# Script: writes the words of the SPIR-V file SPV into the C++ header HEADER as heron::spirv::VARIANT.
file(READ ${SPV} words HEX)
# The file is little-endian, as every host that runs this is.
string(REGEX REPLACE "(..)(..)(..)(..)" "0x\\4\\3\\2\\1," words "${words}")
string(REPEAT "[0-9a-fx]+," 8 eight_words)
string(REGEX REPLACE "(${eight_words})" "\\1\n" words "${words}")
file(WRITE ${HEADER} "// Generated from the GLSL source of ${VARIANT} by cmake/embed_spirv.cmake.
#pragma once

#include <cstdint>

namespace heron::spirv {
inline constexpr std::uint32_t ${VARIANT}[] = {
${words}
};
}  // namespace heron::spirv
")
