// SPDX-License-Identifier: MIT
// The picture of a comparison: however many optimizers there are, each is named in it, once, and within it.
#include "compare_optimizers/curves.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <limits>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "sample_program.hpp"

namespace heron::test {
namespace {

class NoTask : public samples::Task {
public:
    NoTask() : Task("none", "a network on data", "small", 72, 0.1f) {}
    std::unique_ptr<samples::Training> begin(std::uint32_t, bool) const override { return nullptr; }
};

struct Label {
    std::string name;
    double x, y;

    // 0.65 em a character: wider than the mean of the fonts that the picture asks for.
    double end() const { return x + 0.65 * 12 * static_cast<double>((name + ": 0.500").size()); }
};

class CurvesTest : public testing::Test {
protected:
    void SetUp() override {
        file_ = std::filesystem::temp_directory_path() /
                ("heron_curves_test_" + std::to_string(getpid()) + ".svg");
    }
    void TearDown() override { std::filesystem::remove(file_); }

    // The first `count` optimizers of the table, each worse than the one before.
    std::string picture(std::size_t count) const {
        samples::TaskResult result;
        result.task = &task_;
        result.steps = 72;
        result.target = 0.52;
        for (const samples::NamedOptimizer& optimizer : samples::named_optimizers()) {
            if (result.standings.size() == count) break;
            samples::Standing standing;
            standing.optimizer = &optimizer;
            standing.step_seconds = 1e-3;
            standing.validation_loss = 0.5 + 0.01 * static_cast<double>(result.standings.size());
            for (std::uint32_t step = 0; step <= 72; step += 6)
                standing.curve.push_back({step, standing.validation_loss + 1.0 / (1 + step)});
            result.standings.push_back(standing);
        }
        samples::write_curves(file_, result, "a device");
        return text_of(file_);
    }

    static std::vector<Label> legend(const std::string& svg) {
        const std::regex label("<text x='([0-9.]+)' y='([0-9.]+)'>([a-z0-9_]+): [0-9.]+</text>");
        std::vector<Label> labels;
        for (std::sregex_iterator it(svg.begin(), svg.end(), label), end; it != end; ++it)
            labels.push_back({(*it)[3], std::stod((*it)[1]), std::stod((*it)[2])});
        return labels;
    }

    NoTask task_;
    std::filesystem::path file_;
};

TEST_F(CurvesTest, NameEveryCurveWithinThePicture) {
    const std::size_t all = samples::named_optimizers().size();
    ASSERT_GE(all, 40u);
    for (const std::size_t count : {std::size_t{1}, std::size_t{3}, std::size_t{31}, all}) {
        SCOPED_TRACE(count);
        const std::string svg = picture(count);
        std::smatch size;
        ASSERT_TRUE(std::regex_search(svg, size, std::regex("viewBox='0 0 ([0-9.]+) ([0-9.]+)'")));
        const double width = std::stod(size[1]), height = std::stod(size[2]);
        const std::vector<Label> labels = legend(svg);
        std::set<std::string> names;
        for (std::size_t i = 0; i < labels.size(); ++i) {
            EXPECT_TRUE(names.insert(labels[i].name).second) << labels[i].name;
            EXPECT_LE(labels[i].end(), width);
            EXPECT_LE(labels[i].y + 6, height);
            for (std::size_t other = 0; other < i; ++other)
                EXPECT_TRUE(std::abs(labels[i].y - labels[other].y) >= 15 ||
                            labels[i].x >= labels[other].end() || labels[other].x >= labels[i].end())
                    << labels[i].name << " and " << labels[other].name;
        }
        EXPECT_EQ(names.size(), count + 1);  // and the target
        EXPECT_TRUE(names.contains("target"));
    }
}

TEST_F(CurvesTest, TellTheBestApartFromTheRest) {
    const auto styles = [](const std::string& svg) {
        const std::regex line(
            "<polyline [^>]*stroke='(#[0-9a-f]+)' stroke-width='[0-9.]+'[^>]*?"
            "(stroke-dasharray='[^']*')?/>");
        std::multiset<std::string> found;
        for (std::sregex_iterator it(svg.begin(), svg.end(), line), end; it != end; ++it)
            found.insert(it->str(1) + " " + it->str(2));
        return found;
    };
    const auto found = styles(picture(31));
    const std::set<std::string> distinct(found.begin(), found.end());
    EXPECT_EQ(distinct.size(), 14u);  // twelve, the others, the target
    std::size_t single = 0;
    for (const std::string& style : distinct) single += found.count(style) == 2;  // in both panels
    EXPECT_EQ(single, 13u);
}

TEST_F(CurvesTest, LeaveOutWhatDivergedOrWasRefused) {
    samples::TaskResult result;
    result.task = &task_;
    result.steps = 8;
    samples::Standing standing;
    standing.optimizer = &samples::named_optimizers()[0];
    standing.validation_loss = std::numeric_limits<double>::infinity();
    result.standings.push_back(standing);
    standing.validation_loss = 0;
    standing.refusal = "cannot";
    result.standings.push_back(standing);
    samples::write_curves(file_, result, "a device");
    EXPECT_TRUE(legend(text_of(file_)).empty());
}

}  // namespace
}  // namespace heron::test
