// SPDX-License-Identifier: MIT
#include "curves.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <iterator>
#include <limits>
#include <vector>

#include "support/chart.hpp"

namespace samples {

namespace {

constexpr std::size_t kColours = 6;
constexpr const char* kDashes[] = {"", "7 4", "2 3", "10 3 2 3", "1 5", "14 4"};  // one a round of colours
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

}  // namespace

void write_curves(const std::filesystem::path& path, const TaskResult& result, const std::string& device) {
    std::string title = result.task->title;
    title.front() = static_cast<char>(std::toupper(static_cast<unsigned char>(title.front())));
    constexpr double kTop = 106, kHeight = 330, kLegendRow = 19;
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
    const Axis losses = Axis::around(low, top_of(result), 6);
    const Panel by_step(70, kTop, 380, kHeight, Axis::around(0, result.steps, 5), losses);
    const Panel by_time(520, kTop, 380, kHeight, Axis::around(0, last_second, 5), losses);

    std::string svg =
        by_step.frame("Validation loss", "step", "") + by_time.frame("Validation loss", "seconds", "");
    for (std::size_t i = 0; i < shown.size(); ++i) {
        const Standing& standing = *shown[i];
        Line line{.colour = chart_colour(i % kColours), .dashes = kDashes[i / kColours % std::size(kDashes)]};
        Line timed = line;
        for (const Standing::Point& point : standing.curve) {
            line.points.push_back({double(point.step), point.loss});
            if (standing.seconds(point.step) <= last_second)
                timed.points.push_back({standing.seconds(point.step), point.loss});
        }
        svg += by_step.draw(line) + by_time.draw(timed);
        const double y = kTop + kLegendRow * static_cast<double>(i);
        svg += fmt::format(
            "<line x1='924' y1='{0}' x2='954' y2='{0}' stroke='{1}' stroke-width='3' stroke-dasharray='{2}'/>"
            "<text x='962' y='{3}'>{4}</text>\n",
            y, line.colour, line.dashes, y + 4,
            svg_text(fmt::format("{}: {:.3f}", standing.optimizer->name, standing.validation_loss)));
    }
    const double height =
        std::max(kTop + kHeight + 60, kTop + kLegendRow * static_cast<double>(shown.size()) + 20);
    write_text_file(path,
                    svg_picture(1120, height, title,
                                fmt::format("{}; {} steps; medians over the seeds at the tuned rates; {}",
                                            result.task->detail, result.steps, device),
                                svg));
}

}  // namespace samples
