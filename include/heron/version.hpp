// SPDX-License-Identifier: MIT
// Version of the headers and of the library.
#pragma once

#include "heron/export.hpp"

#define HERON_VERSION_MAJOR 0
#define HERON_VERSION_MINOR 1
#define HERON_VERSION_PATCH 0

namespace heron {

struct Version {  // as MAJOR.MINOR.PATCH
    int major, minor, patch;
};

// Of the library that is linked.
HERON_API Version library_version();
// Throws heron::Error (version_mismatch) when these headers do not fit the library.
HERON_API void check_version(int header_major = HERON_VERSION_MAJOR, int header_minor = HERON_VERSION_MINOR);

}  // namespace heron
