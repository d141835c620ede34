// SPDX-License-Identifier: MIT
// The library's version, and the refusal of headers that do not belong to it.
#include "heron/version.hpp"

#include <string>

#include "heron/error.hpp"

namespace heron {

Version library_version() { return {HERON_VERSION_MAJOR, HERON_VERSION_MINOR, HERON_VERSION_PATCH}; }

void check_version(int header_major, int header_minor) {
    // Before 1.0 every minor version may change the interface.
    if (header_major == HERON_VERSION_MAJOR && header_minor == HERON_VERSION_MINOR) return;
    throw Error(ErrorCode::version_mismatch,
                "the program was compiled with the headers of heron " + std::to_string(header_major) + "." +
                    std::to_string(header_minor) + " but runs with heron " +
                    std::to_string(HERON_VERSION_MAJOR) + "." + std::to_string(HERON_VERSION_MINOR) +
                    "; compile it again, or install that version");
}

}  // namespace heron
