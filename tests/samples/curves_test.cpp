// SPDX-License-Identifier: MIT
// The picture of a comparison: however many optimizers there are, each is named in it, once, and within it,
// and looks the same in all; so are its settings, however many.
#include "compare_optimizers/curves.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <filesystem>
#include <limits>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include "sample_program.hpp"

namespace heron::test {
namespace {

class NoTask : public samples::Task {
public:
    explicit NoTask(const std::string& network = "a network on data", const std::string& sizes = "small")
        : Task("none", network, sizes, 72, 0.1f) {}
    std::unique_ptr<samples::Training> begin(std::uint32_t, bool) const override { return nullptr; }
};

struct Label {
    std::string name;
    double x, y;

    // 0.65 em a character: wider than the mean of the fonts that the picture asks for.
    double end() const { return x + 0.65 * 12 * static_cast<double>((name + ": 0.500").size()); }
};

// Widths of the characters from 32 to 126, in thousandths of an em: DejaVu Sans and DejaVu Sans Bold 2.37,
// the widest of the fonts that the picture asks for.
using Widths = std::array<int, 95>;
constexpr Widths kRegular = {318,  401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337,
                             636,  636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531,
                             1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 295, 656, 557, 863, 748, 787,
                             603,  787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500,
                             500,  613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612,
                             635,  635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838};
constexpr Widths kBold = {348,  456, 521, 838, 696, 1002, 872, 306,  457, 457, 523, 838, 380, 415,  380, 365,
                          696,  696, 696, 696, 696, 696,  696, 696,  696, 696, 400, 400, 838, 838,  838, 580,
                          1000, 774, 762, 734, 830, 683,  683, 821,  837, 372, 372, 775, 637, 995,  837, 850,
                          733,  850, 770, 720, 682, 812,  774, 1103, 771, 724, 725, 457, 365, 457,  838, 500,
                          500,  675, 716, 593, 716, 678,  435, 716,  712, 343, 343, 665, 343, 1042, 712, 687,
                          716,  716, 493, 595, 478, 712,  652, 924,  645, 652, 582, 712, 365, 712,  838};

double width_of(const std::string& text, const Widths& widths, double size) {
    double sum = 0;
    for (const char c : text) sum += widths.at(static_cast<std::size_t>(c) - 32);
    return 1e-3 * size * sum;
}

std::string without_spaces(std::string text) {
    std::erase(text, ' ');
    return text;
}

// How a curve is drawn.
struct Look {
    std::string attributes;  // of its stroke

    // Colour and dashes.
    std::string style() const {
        return std::regex_replace(attributes, std::regex(" stroke-(width|opacity)='[^']*'"), "");
    }
    bool pale() const { return attributes.find("stroke-opacity") != std::string::npos; }
};

class CurvesTest : public testing::Test {
protected:
    void SetUp() override {
        file_ = std::filesystem::temp_directory_path() /
                ("heron_curves_test_" + std::to_string(getpid()) + ".svg");
    }
    void TearDown() override { std::filesystem::remove(file_); }

    using Order = std::vector<const samples::NamedOptimizer*>;
    // Of the table.
    static Order first(std::size_t count) {
        Order order;
        for (const samples::NamedOptimizer& optimizer : samples::named_optimizers().first(count))
            order.push_back(&optimizer);
        return order;
    }

    // Each optimizer worse than the one before.
    std::string picture(const Order& order, const samples::Task& task = NoTask(),
                        const std::string& device = "a device") const {
        samples::TaskResult result;
        result.task = &task;
        result.steps = 72;
        result.target = 0.52;
        for (const samples::NamedOptimizer* optimizer : order) {
            samples::Standing standing;
            standing.optimizer = optimizer;
            standing.step_seconds = 1e-3;
            standing.validation_loss = 0.5 + 0.01 * static_cast<double>(result.standings.size());
            for (std::uint32_t step = 0; step <= 72; step += 6)
                standing.curve.push_back({step, standing.validation_loss + 1.0 / (1 + step)});
            result.standings.push_back(standing);
        }
        samples::write_curves(file_, result, device);
        return text_of(file_);
    }

    // By name; the same in both panels and in the legend.
    static std::map<std::string, Look> looks(const std::string& svg) {
        const std::string line = "<polyline points='[^']*' fill='none' ([^/]*) stroke-linejoin='round'/>\n";
        const std::regex curve("<title>([a-z0-9_]+): [0-9.]+</title>\n" + line + line + "</g>");
        std::map<std::string, Look> found;
        for (std::sregex_iterator it(svg.begin(), svg.end(), curve), end; it != end; ++it) {
            const std::string name = it->str(1), attributes = it->str(2);
            EXPECT_EQ(it->str(3), attributes) << name;
            EXPECT_TRUE(std::regex_search(
                svg, std::regex("<line [^>]*' " + attributes + "/><text [^>]*>" + name + ": ")))
                << name;
            EXPECT_TRUE(found.emplace(name, Look{attributes}).second) << name;
        }
        return found;
    }
    static std::size_t pale_ones(const std::map<std::string, Look>& looks_of_all) {
        return static_cast<std::size_t>(
            std::ranges::count_if(looks_of_all, [](const auto& entry) { return entry.second.pale(); }));
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
        const std::string svg = picture(first(count));
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

// Lines of text at the top: which, and where.
struct Head {
    std::string title, subtitle;  // all lines of each, without spaces
    double right = 0;             // where the longest one ends
    double bottom = 0;            // of the last one
    std::size_t lines = 0;
};

Head head_of(const std::string& svg) {
    const std::regex line("<text x='70' y='([0-9.]+)'( class='title')?>([^<]*)</text>");
    Head head;
    for (std::sregex_iterator it(svg.begin(), svg.end(), line), end; it != end; ++it) {
        const bool title = (*it)[2].matched;
        const std::string text = it->str(3);
        const double baseline = std::stod(it->str(1)), size = title ? 17 : 12;
        EXPECT_GE(baseline - size, head.bottom - 4) << text;  // capitals are lower than an em
        (title ? head.title : head.subtitle) += without_spaces(text);
        head.right = std::max(head.right, 70 + width_of(text, title ? kBold : kRegular, size));
        head.bottom = baseline + 0.25 * size;
        ++head.lines;
    }
    return head;
}

// The legend's last line, the frames' titles and all else move down with what is above them.
TEST_F(CurvesTest, ShowAllSettingsWithinThePicture) {
    std::string widths = "784";
    for (int i = 0; i < 16; ++i) widths += "-32768";
    const std::string rest = "; 72 steps; medians over the seeds at the tuned rates; ";
    struct Settings {
        std::string network, sizes, device;
        std::size_t least_lines, most_lines;
    };
    const Settings all[] = {
        {"A network", "small", "a device", 2, 2},
        {"Transformer on characters of 6 texts (Apache-2.0 to MPL-2.0)",
         "2 blocks of width 32, 2 heads, context 32, 16 sequences a step",
         "llvmpipe (LLVM 15.0.6, 256 bits) (llvmpipe Mesa 22.3.6 (LLVM 15.0.6))", 3, 3},
        {"Perceptron " + widths + "-10 on images", "batch 65536", "A DEVICE OF " + std::string(244, 'W'), 6,
         9},
        {"M" + std::string(200, 'M'), std::string(300, '%'), std::string(256, 'i'), 8, 12},
    };
    const double plain = head_of(picture(first(3))).bottom;
    for (const Settings& settings : all) {
        SCOPED_TRACE(settings.network);
        const std::string svg = picture(first(3), NoTask(settings.network, settings.sizes), settings.device);
        std::smatch found;
        ASSERT_TRUE(std::regex_search(svg, found, std::regex("viewBox='0 0 ([0-9.]+) ([0-9.]+)'")));
        const double width = std::stod(found[1]), height = std::stod(found[2]);
        const Head head = head_of(svg);
        EXPECT_EQ(head.title, without_spaces(settings.network));
        EXPECT_EQ(head.subtitle, without_spaces(settings.sizes + rest + settings.device));
        EXPECT_LE(head.right, width - 20);
        EXPECT_GE(head.lines, settings.least_lines);
        EXPECT_LE(head.lines, settings.most_lines);
        const bool moved =
            std::regex_search(svg, found, std::regex("<g transform='translate\\(0 ([0-9.]+)\\)'>"));
        const double down = moved ? std::stod(found[1]) : 0;
        EXPECT_EQ(down, head.bottom - plain);
        ASSERT_TRUE(std::regex_search(svg, found, std::regex("<text x='70' y='([0-9.]+)' class='panel'>")));
        EXPECT_LE(head.bottom, down + std::stod(found[1]) - 13);
        for (const Label& label : legend(svg)) EXPECT_LE(down + label.y + 6, height) << label.name;
    }
}

TEST_F(CurvesTest, ShowAnOptimizerAlikeWhoeverElseIsThere) {
    const Order all = first(samples::named_optimizers().size());
    const std::map<std::string, Look> whole = looks(picture(all));
    ASSERT_EQ(whole.size(), all.size());
    std::set<std::string> styles;
    for (const auto& [name, look] : whole) EXPECT_TRUE(styles.insert(look.style()).second) << name;

    Order backwards(all.rbegin(), all.rend()), some;
    for (std::size_t i = 0; i < all.size(); i += 3) some.push_back(backwards[i]);
    for (const Order& order : {backwards, some, Order{all[5]}}) {
        const std::map<std::string, Look> part = looks(picture(order));
        EXPECT_EQ(part.size(), order.size());
        for (const auto& [name, look] : part) EXPECT_EQ(look.style(), whole.at(name).style()) << name;
    }
}

TEST_F(CurvesTest, TellTheBestAndTheReferenceApartFromTheRest) {
    Order order = first(31);
    ASSERT_EQ(order.front()->name, samples::kReference);
    std::rotate(order.begin(), order.begin() + 1, order.end());  // the reference is the worst
    const std::string svg = picture(order);
    const std::map<std::string, Look> found = looks(svg);
    for (std::size_t place = 0; place < order.size(); ++place)
        EXPECT_EQ(found.at(std::string(order[place]->name)).pale(), place >= 12 && place + 1 < order.size())
            << order[place]->name;
    // No other curve hides it.
    EXPECT_GT(svg.find("<title>" + std::string(samples::kReference) + ":"),
              svg.find("<title>" + std::string(order.front()->name) + ":"));
    order.pop_back();
    EXPECT_EQ(pale_ones(looks(picture(order))), 18u);
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
