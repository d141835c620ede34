// SPDX-License-Identifier: MIT
// neural_texture as its users run it: what it prints, leaves behind, and refuses.
#include <gtest/gtest.h>
#include <unistd.h>

#define STB_IMAGE_IMPLEMENTATION
#define STB_IMAGE_STATIC
#define STBI_ONLY_PNG
#include <stb_image.h>
#define STB_IMAGE_WRITE_IMPLEMENTATION
#define STB_IMAGE_WRITE_STATIC
#include <stb_image_write.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "sample_program.hpp"
#include "x_display.hpp"

using namespace heron::test;

namespace {

namespace fs = std::filesystem;

// A PNG file, decoded.
struct Picture {
    std::uint32_t width = 0, height = 0;
    Bytes colours;  // three a pixel, red first

    explicit Picture(const fs::path& path) {
        int cols = 0, rows = 0, channels = 0;
        const std::unique_ptr<stbi_uc, void (*)(void*)> pixels(
            stbi_load(path.c_str(), &cols, &rows, &channels, 3), stbi_image_free);
        if (!pixels) return;
        width = static_cast<std::uint32_t>(cols);
        height = static_cast<std::uint32_t>(rows);
        colours.assign(pixels.get(), pixels.get() + std::size_t{3} * width * height);
    }
    int colour(std::uint32_t x, std::uint32_t y, std::uint32_t c) const {
        return colours[3 * (std::size_t{y} * width + x) + c];
    }
    std::size_t colour_count() const {
        std::set<int> found;
        for (std::size_t i = 0; i < colours.size(); i += 3)
            found.insert(colours[i] << 16 | colours[i + 1] << 8 | colours[i + 2]);
        return found.size();
    }
};

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

// A machine may lack what the window needs; CI installs it.
bool may_skip() { return std::getenv("CI") == nullptr; }

// Where the window does not show the picture, whose pixels are squares of 11 x 11 there; empty: nowhere.
std::string difference(const Screenshot& shown, const Picture& picture) {
    constexpr std::uint32_t kZoom = 11;
    for (std::uint32_t y = 0; y < picture.height; ++y)
        for (std::uint32_t x = 0; x < picture.width; ++x) {
            // The middle of a square lies where the pixel's middle lies, so the network says the same colour
            // there: its coordinates are rounded otherwise, which may take it to the next of 256 values.
            const std::uint32_t col = kZoom * x + kZoom / 2, row = kZoom * y + kZoom / 2;
            if (col >= shown.width || row >= shown.height) return "the screen is too small";
            const std::uint32_t pixel = shown.pixels[std::size_t{row} * shown.width + col];
            for (std::uint32_t c = 0; c < 3; ++c) {
                const int wanted = picture.colour(x, y, c), actual = int(pixel >> (16 - 8 * c) & 0xff);
                if (std::abs(wanted - actual) > 1)
                    return "colour " + std::to_string(c) + " at " + std::to_string(col) + ", " +
                           std::to_string(row) + " is " + std::to_string(actual) + ", not " +
                           std::to_string(wanted);
            }
        }
    return "";
}

TEST_F(NeuralTextureProgram, LearnsTheSameInAWindowAndShowsIt) {
    if (!XDisplay::installed()) {
        ASSERT_TRUE(may_skip()) << "there is no Xvfb";
        GTEST_SKIP() << "there is no Xvfb (Debian: apt install xvfb)";
    }
    const std::string arguments = "--size 48 --samples 128 --steps 12 --seed 3";
    const XDisplay display(folder_);
    const std::string window = display.environment() + NEURAL_TEXTURE_PROGRAM " --window " + arguments;
    const Outcome shown = run(window + " --close");
    if (shown.text.find("built without GLFW") != std::string::npos) {
        ASSERT_TRUE(may_skip()) << shown.text;
        GTEST_SKIP() << shown.text;
    }
    ASSERT_EQ(shown.code, 0) << shown.text;
    const Outcome drawn = train(arguments);
    const auto hash = [](const Outcome& outcome) {
        const std::size_t at = outcome.text.find("weights ");
        return at == std::string::npos ? outcome.text : outcome.text.substr(at, 24);
    };
    EXPECT_EQ(hash(shown), hash(drawn));

    const Picture picture(folder_ / "out" / "muon-12.png");
    ASSERT_EQ(picture.width, 48u);
    ASSERT_GT(picture.colour_count(), 100u);
    const fs::path log = folder_ / "log";
    Process program(window + " >" + log.string() + " 2>&1");  // which stays, with the last step's picture
    std::string wrong;
    wait_until([&] {
        wrong = difference(display.screenshot(), picture);
        return wrong.empty() || !program.running();
    });
    EXPECT_EQ(wrong, "") << text_of(log);
}

// All matrices take part in the same dispatches, those of refreshes too, since so small ones share a turn:
// their number does not grow with the layers'.
TEST_F(NeuralTextureProgram, StepHasFewDispatchesForAnyNumberOfLayers) {
    const std::string arguments =
        "--size 24 --samples 64 --steps 1 --optimizers muon,shampoo,fismo --layers ";
    const auto counts = [&](const std::string& layers) {
        const Outcome outcome = train(arguments + layers);
        EXPECT_EQ(outcome.code, 0) << outcome.text;
        std::vector<int> result;
        for (const std::string& line : lines_with(outcome.text, "a step: passes ")) {
            const std::string before = ", optimizer ";
            result.push_back(std::atoi(&line[line.find(before) + before.size()]));
        }
        EXPECT_EQ(result.size(), 3u) << outcome.text;
        return result;
    };
    const std::vector<int> two = counts("2");
    ASSERT_EQ(two.size(), 3u);
    EXPECT_EQ(two[0], 6) << "Muon, with the AdamW of grid, biases and last layer";
    // 46, and 24 to 31 by device; with turns of their own the matrices had 174 and 42.
    EXPECT_LT(two[1], 64) << "Shampoo";
    EXPECT_LT(two[2], 32) << "FISMO";
    EXPECT_EQ(counts("3"), two);
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

// One that is not square, so that rows and columns cannot change places, nor can red and blue.
TEST_F(NeuralTextureProgram, ReadsJpegFiles) {
    constexpr int kWidth = 40, kHeight = 24;
    Bytes pixels;
    for (int y = 0; y < kHeight; ++y)
        for (int x = 0; x < kWidth; ++x)
            for (const int colour : {200 + x, 100 + 2 * y, 20}) pixels.push_back(std::uint8_t(colour));
    const std::string picture = (folder_ / "orange.jpg").string();
    ASSERT_NE(stbi_write_jpg(picture.c_str(), kWidth, kHeight, 3, pixels.data(), 90), 0);
    const Outcome outcome = train("--samples 256 --steps 60 --image " + picture);
    ASSERT_EQ(outcome.code, 0) << outcome.text;
    EXPECT_EQ(lines_with(outcome.text, "Image:   " + picture + " of 40 x 24 pixels").size(), 1u)
        << outcome.text;
    const Picture learned(folder_ / "out" / "muon-60.png");
    ASSERT_EQ(learned.width, std::uint32_t{kWidth});
    ASSERT_EQ(learned.height, std::uint32_t{kHeight});
    double error = 0;
    for (std::size_t i = 0; i < pixels.size(); ++i) error += std::abs(pixels[i] - learned.colours[i]);
    // The mean is 70 for the grey that the network begins with, and above 120 for red and blue exchanged.
    EXPECT_LT(error / double(pixels.size()), 20);
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
