// SPDX-License-Identifier: MIT
// A checkpoint survives 40 kills of the process that overwrites it; crash_slow_test does 200.
#include "state/crash_loop.hpp"

namespace heron {
namespace {

TEST(Crash, CheckpointSurvivesKills) { test::kill_while_overwriting(40); }

// The negative control: the check sees what an overwriting in place would leave.
TEST(Crash, MixedVersionsAreSeen) {
    test::TemporaryDirectory directory;
    const std::filesystem::path old_file = directory / "old", new_file = directory / "new",
                                mixed = directory / "mixed";
    test::write_version(old_file, 11);
    test::write_version(new_file, 12);
    EXPECT_EQ(test::complete_version(old_file), 11u);
    EXPECT_EQ(test::complete_version(new_file), 12u);
    std::string content = test::content_of(new_file);
    const std::string old_content = test::content_of(old_file);
    ASSERT_EQ(content.size(), old_content.size());
    content.replace(content.size() - 8, 8, old_content, old_content.size() - 8, 8);
    test::put_content(mixed, content);
    EXPECT_EQ(test::complete_version(mixed), std::nullopt);
}

}  // namespace
}  // namespace heron
