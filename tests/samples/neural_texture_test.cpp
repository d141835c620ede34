// SPDX-License-Identifier: MIT
// neural_texture as its users run it: what it prints, leaves behind, and refuses.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "sample_program.hpp"

using namespace heron::test;

namespace {

namespace fs = std::filesystem;

class NeuralTextureProgram : public testing::Test {
protected:
    void SetUp() override {
        folder_ = fs::temp_directory_path() / ("heron_neural_texture_test_" + std::to_string(getpid()));
        fs::remove_all(folder_);
        fs::create_directories(folder_);
    }
    void TearDown() override { fs::remove_all(folder_); }

    Outcome train(const std::string& arguments, const std::string& out = "out") const {
        return run(std::string(NEURAL_TEXTURE_PROGRAM) + " --out " + (folder_ / out).string() + " " +
                   arguments);
    }

    void expect_refused(const std::string& arguments, const std::string& reason) const {
        const Outcome outcome = train(arguments);
        EXPECT_EQ(outcome.code, 2) << outcome.text;
        EXPECT_NE(outcome.text.find(reason), std::string::npos) << outcome.text;
    }

    fs::path folder_;
};

TEST_F(NeuralTextureProgram, LearnsAndLeavesItsFilesBehind) {
    const std::string arguments = "--size 32 --samples 256 --steps 110 --optimizers muon,kfac";
    const Outcome outcome = train(arguments);
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    for (const char* name : {"psnr.svg", "psnr.csv", "muon-10.png", "muon-100.png", "muon-110.png",
                             "muon-panels.png", "kfac-10.png", "kfac-110.png", "kfac-panels.png"})
        EXPECT_GT(fs::file_size(folder_ / "out" / name), 100u) << name;
    for (const std::string optimizer : {"muon", "kfac"}) {
        const auto lines = lines_with(text_of(folder_ / "out" / "psnr.csv"), optimizer + ",");
        ASSERT_GT(lines.size(), 20u);
        const auto decibels = [](const std::string& line) { return std::atof(&line[line.rfind(',') + 1]); };
        // Of an error that has become a third.
        EXPECT_GT(decibels(lines.back()), decibels(lines.front()) + 5) << optimizer << "\n" << outcome.text;
    }
    const auto weights = lines_with(outcome.text, "weights ");
    ASSERT_EQ(weights.size(), 2u);
    EXPECT_EQ(lines_with(train(arguments).text, "weights "), weights);
    EXPECT_NE(lines_with(train(arguments + " --seed 2").text, "weights "), weights);
}

// On a display without a screen.
TEST_F(NeuralTextureProgram, LearnsTheSameInAWindow) {
    if (run("command -v Xvfb").code != 0) GTEST_SKIP() << "there is no Xvfb (Debian: apt install xvfb)";
    const std::string arguments = "--size 48 --samples 128 --steps 15 --seed 3";
    const std::string display = (folder_ / "display").string();
    const Outcome shown =
        run("sh -c '"
            "Xvfb -displayfd 3 -screen 0 640x640x24 3>" +
            display +
            " 2>/dev/null & server=$!; "
            "for i in $(seq 200); do [ -s " +
            display +
            " ] && break; sleep 0.1; done; "
            "DISPLAY=:$(cat " +
            display + ") " NEURAL_TEXTURE_PROGRAM " --window --close " + arguments +
            "; code=$?; kill $server; exit $code'");
    if (shown.text.find("built without GLFW") != std::string::npos) GTEST_SKIP() << shown.text;
    ASSERT_EQ(shown.code, 0) << shown.text;
    const Outcome drawn = train(arguments);
    const auto hash = [](const Outcome& outcome) {
        const std::size_t at = outcome.text.find("weights ");
        return at == std::string::npos ? outcome.text : outcome.text.substr(at, 24);
    };
    EXPECT_EQ(hash(shown), hash(drawn));
}

TEST_F(NeuralTextureProgram, ReadsPictures) {
    ASSERT_EQ(train("--size 24 --samples 64 --steps 2").code, 0);
    const std::string picture = (folder_ / "out" / "muon-panels.png").string();
    const Outcome outcome =
        train("--samples 64 --steps 2 --optimizer adamw --describe --image " + picture, "own");
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_EQ(lines_with(outcome.text, "Image:   " + picture + " of 752 x ").size(), 1u) << outcome.text;
    EXPECT_NE(outcome.text.find("texture_grid x 8 jobs"), std::string::npos) << outcome.text;
}

TEST_F(NeuralTextureProgram, RefusesBadInput) {
    expect_refused("--image " + (folder_ / "nothing.png").string(), "nothing.png: there is no such file");
    write(folder_ / "text.png", Bytes(100, 'x'));
    expect_refused("--image " + (folder_ / "text.png").string(), "text.png: is no PNG or JPEG");
    ASSERT_EQ(train("--size 24 --samples 64 --steps 1").code, 0);
    const std::string whole = text_of(folder_ / "out" / "muon-1.png");
    write(folder_ / "half.png", Bytes(whole.begin(), whole.begin() + std::ptrdiff_t(whole.size() / 2)));
    expect_refused("--image " + (folder_ / "half.png").string(), "half.png: cannot be read");
    expect_refused("--optimizer nothing", "there is no such optimizer");
    expect_refused("--optimizer muon,muon", "given twice");
    expect_refused("--lr adamw=0.1", "--optimizer does not ask for that optimizer");
    expect_refused("--compare --optimizer muon", "excludes");
    expect_refused("--compare --window", "--window");
    EXPECT_EQ(train("--steps 0").code, 2);
    // No display, or no GLFW in this build.
    const Outcome window = run("env -u DISPLAY -u WAYLAND_DISPLAY " NEURAL_TEXTURE_PROGRAM " --window");
    EXPECT_NE(window.code, 0);
    EXPECT_NE(window.text.find("--window: "), std::string::npos) << window.text;
}

}  // namespace
