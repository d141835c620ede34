// SPDX-License-Identifier: MIT
// A checkpoint survives 200 kills of the process that overwrites it.
#include "state/crash_loop.hpp"

namespace heron {
namespace {

TEST(CrashSlow, CheckpointSurvivesTwoHundredKills) { test::kill_while_overwriting(200); }

}  // namespace
}  // namespace heron
