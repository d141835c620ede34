// SPDX-License-Identifier: MIT
// Names of statuses, and the proof that C++ and GLSL number them alike.
#include "heron/linalg/status.hpp"

#include <iterator>

#include "linalg/status.h"

namespace heron {

namespace {
constexpr std::uint32_t number(MatrixStatus status) { return static_cast<std::uint32_t>(status); }
}  // namespace

static_assert(number(MatrixStatus::ok) == gpu::STATUS_OK);
static_assert(number(MatrixStatus::nonfinite) == gpu::STATUS_NONFINITE);
static_assert(number(MatrixStatus::indefinite) == gpu::STATUS_INDEFINITE);
static_assert(number(MatrixStatus::singular) == gpu::STATUS_SINGULAR);
static_assert(number(MatrixStatus::rank_deficient) == gpu::STATUS_RANK_DEFICIENT);
static_assert(number(MatrixStatus::not_converged) == gpu::STATUS_NOT_CONVERGED);
static_assert(number(MatrixStatus::jittered) == gpu::STATUS_JITTERED);

const char* to_string(MatrixStatus status) {
    constexpr const char* kNames[] = {
        "ok", "nonfinite", "indefinite", "singular", "rank_deficient", "not_converged", "jittered"};
    return number(status) < std::size(kNames) ? kNames[number(status)] : "unknown";
}

}  // namespace heron
