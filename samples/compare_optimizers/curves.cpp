// SPDX-License-Identifier: MIT
// Two panels, and the legend below them: however many optimizers there are, it is whole.
#include "curves.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>
#include <limits>
#include <utility>
#include <vector>

#include "support/chart.hpp"
#include "support/optimizers.hpp"

namespace samples {

namespace {

constexpr std::size_t kInFront = 12;  // the others are pale
constexpr double kWidth = 1120, kLeft = 70, kTop = 106, kHeight = 330, kLegendTop = kTop + kHeight + 78;
constexpr double kMostSeconds = 4;  // of the median, that the axis of time shows

// The highest loss worth drawing: everybody is below it after an eighth of the steps, but for those that are
// far above the others.
double top_of(const TaskResult& result) {
    std::vector<double> losses;
    for (const Standing& standing : result.standings)
        for (const Standing::Point& point : standing.curve)
            if (point.step >= result.steps / 8) {
                losses.push_back(point.loss);
                break;
            }
    if (losses.empty()) return 1;
    const double middle = median(losses);
    return std::min(*std::ranges::max_element(losses), 1.5 * middle);
}

// An optimizer's own, by its place in the table of all, forms of others last: the colours in turn, and after
// each round of them other dashes.
Line style_of(const NamedOptimizer& optimizer) {
    constexpr const char* kDashes[] = {"", "8 4", "2 3", "10 3 2 3", "18 5"};
    const auto before = [&optimizer](const NamedOptimizer& other) {
        return other.form == optimizer.form ? &other < &optimizer : optimizer.form;
    };
    const auto place = static_cast<std::size_t>(std::ranges::count_if(named_optimizers(), before));
    return {.colour = chart_colour(place), .dashes = kDashes[place / kChartColours % std::size(kDashes)]};
}

struct LegendEntry {
    Line style;
    std::string text;
};

// In as many columns as fit the picture, down the first one first.
std::string legend(const std::vector<LegendEntry>& entries, double& bottom) {
    constexpr double kRow = 19, kSample = 30, kGap = 8, kCharacter = 6.8;
    std::size_t longest = 1;
    for (const LegendEntry& entry : entries) longest = std::max(longest, entry.text.size());
    const double width = kSample + 3 * kGap + kCharacter * static_cast<double>(longest);
    const auto columns = static_cast<std::size_t>(std::max(1.0, std::floor((kWidth - kLeft) / width)));
    const std::size_t rows = (entries.size() + columns - 1) / columns;
    bottom = kLegendTop + kRow * static_cast<double>(rows);
    std::string svg;
    for (std::size_t i = 0; i < entries.size(); ++i) {
        const Line& style = entries[i].style;
        const double x = kLeft + width * static_cast<double>(i / rows);
        const double y = kLegendTop + kRow * static_cast<double>(i % rows);
        svg += fmt::format(
            "<line x1='{0:.1f}' y1='{1}' x2='{2:.1f}' y2='{1}' {3}/><text x='{4:.1f}' y='{5}'>{6}</text>\n",
            x, y, x + kSample, stroke_of(style), x + kSample + kGap, y + 4, svg_text(entries[i].text));
    }
    return svg;
}

}  // namespace

void write_curves(const std::filesystem::path& path, const TaskResult& result, const std::string& device) {
    std::string title = result.task->title;
    title.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(title.front())));
    std::vector<const Standing*> shown;
    for (const Standing& standing : result.standings)
        if (standing.refusal.empty() && std::isfinite(standing.validation_loss)) shown.push_back(&standing);

    double low = std::numeric_limits<double>::infinity(), last_second = 0;
    std::vector<double> seconds;
    for (const Standing* standing : shown) {
        low = std::min(low, standing->validation_loss);
        seconds.push_back(standing->seconds(result.steps));
    }
    if (!shown.empty())
        last_second = std::min(*std::ranges::max_element(seconds), kMostSeconds * median(seconds));
    if (shown.empty()) low = 0;
    const double last_step = result.steps;
    const Axis losses = Axis::around(low, top_of(result), 6);
    const Panel by_step(kLeft, kTop, 465, kHeight, Axis::around(0, last_step, 5), losses);
    const Panel by_time(kLeft + 545, kTop, 465, kHeight, Axis::around(0, last_second, 5), losses);

    std::vector<std::string> curves;
    std::vector<LegendEntry> entries;
    std::string on_top;
    for (const Standing* standing : shown) {
        const NamedOptimizer& optimizer = *standing->optimizer;
        const bool reference = optimizer.name == kReference;
        LegendEntry entry{style_of(optimizer),
                          fmt::format("{}: {:.3f}", optimizer.name, standing->validation_loss)};
        if (reference) {
            entry.style.width = 3.4;
        } else if (entries.size() >= kInFront) {
            entry.style.width = 1.2;
            entry.style.opacity = 0.45;
        }
        Line line = entry.style, timed = entry.style;
        for (const Standing::Point& point : standing->curve) {
            line.points.push_back({double(point.step), point.loss});
            if (standing->seconds(point.step) <= last_second)
                timed.points.push_back({standing->seconds(point.step), point.loss});
        }
        // A viewer shows the title of the curve that the mouse is on.
        std::string curve = fmt::format("<g><title>{}</title>\n{}{}</g>\n", svg_text(entry.text),
                                        by_step.draw(line), by_time.draw(timed));
        if (reference)
            on_top = std::move(curve);
        else
            curves.push_back(std::move(curve));
        entries.push_back(std::move(entry));
    }
    std::ranges::reverse(curves);  // the best in front of the others
    curves.push_back(on_top);
    if (result.target > losses.low && result.target < losses.high) {
        Line target{.colour = "#1d2126", .dashes = "1 4", .width = 1.4};
        entries.push_back({target, fmt::format("target: {:.3f}", result.target)});
        target.points = {{0, result.target}, {last_step, result.target}};
        curves.push_back(by_step.draw(target));
        target.points.back().x = last_second;
        curves.push_back(by_time.draw(target));
    }
    double bottom = 0;
    std::string svg =
        by_step.frame("Validation loss", "step", "") + by_time.frame("Validation loss", "seconds", "");
    for (const std::string& curve : curves) svg += curve;
    svg += legend(entries, bottom);
    write_text_file(path,
                    svg_picture(kWidth, bottom + 10, title,
                                fmt::format("{}; {} steps; medians over the seeds at the tuned rates; {}",
                                            result.task->detail, result.steps, device),
                                svg));
}

}  // namespace samples
