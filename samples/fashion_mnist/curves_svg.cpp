// SPDX-License-Identifier: MIT
// The curves of all runs, as SVG.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include "pictures.hpp"
#include "support/chart.hpp"

using namespace samples;

namespace {

// Means over windows, at most `count` of them.
std::vector<Point> averaged(const std::vector<Curve::Step>& steps, std::size_t count) {
    std::vector<Point> result;
    const std::size_t window = std::max<std::size_t>(1, (steps.size() + count - 1) / count);
    for (std::size_t begin = 0; begin < steps.size(); begin += window) {
        const std::size_t end = std::min(steps.size(), begin + window);
        double sum = 0;
        for (std::size_t i = begin; i < end; ++i) sum += steps[i].loss;
        result.push_back({0.5 * static_cast<double>(steps[begin].step + steps[end - 1].step),
                          sum / static_cast<double>(end - begin)});
    }
    return result;
}

}  // namespace

void write_curves_svg(const std::filesystem::path& path, std::span<const LabelledCurve> runs,
                      const std::string& title, const std::string& subtitle) {
    constexpr double kWidth = 1080;
    constexpr double kHeight = 490;
    std::vector<Line> losses;
    std::vector<Line> accuracies;
    double last_step = 1;
    double last_epoch = 1;
    double lowest_accuracy = 1;
    double highest_accuracy = 0;
    std::vector<double> loss_values;
    for (std::size_t r = 0; r < runs.size(); ++r) {
        const Curve& curve = runs[r].curve;
        losses.push_back({chart_colour(r), averaged(curve.steps, 60), averaged(curve.steps, 500), false});
        Line accuracy{chart_colour(r), {}, {}, true};
        for (const Curve::Evaluation& evaluation : curve.evaluations) {
            last_epoch = std::max(last_epoch, double(evaluation.epoch));
            if (evaluation.epoch == 0) continue;  // chance level, which would hide everything else
            accuracy.points.push_back({double(evaluation.epoch), 100 * evaluation.accuracy});
            lowest_accuracy = std::min(lowest_accuracy, evaluation.accuracy);
            highest_accuracy = std::max(highest_accuracy, evaluation.accuracy);
        }
        accuracies.push_back(std::move(accuracy));
        if (!curve.steps.empty()) last_step = std::max(last_step, double(curve.steps.back().step));
        for (const Point& point : losses.back().raw)
            if (std::isfinite(point.y)) loss_values.push_back(point.y);
    }
    // The first few steps are much higher than the rest: they may be cut off.
    std::ranges::sort(loss_values);
    const double top_loss = loss_values.empty() ? 1 : loss_values[loss_values.size() * 97 / 100];

    const Panel loss_panel(70, 126, 430, 290, Axis::around(0, last_step, 6), Axis::around(0, top_loss, 5));
    Axis epochs = Axis::around(0, last_epoch, 6);
    epochs = Axis::around(0, last_epoch, epochs.step < 1 ? static_cast<int>(last_epoch) : 6);
    const Panel accuracy_panel(600, 126, 430, 290, epochs,
                               Axis::around(100 * lowest_accuracy, 100 * highest_accuracy, 5));

    std::string svg;
    double legend_x = 70;
    for (std::size_t r = 0; r < runs.size(); ++r) {
        const Curve::Evaluation& last = runs[r].curve.evaluations.back();
        const std::string text =
            fmt::format("{}: {:.2f} % after {:.0f} s", runs[r].label, 100 * last.accuracy, last.seconds);
        svg += fmt::format(
            "<line x1='{0}' y1='78' x2='{1}' y2='78' stroke='{2}' stroke-width='3'/><text x='{3}' "
            "y='82'>{4}</text>\n",
            legend_x, legend_x + 24, chart_colour(r), legend_x + 31, svg_text(text));
        legend_x += 60 + 6.6 * static_cast<double>(text.size());
    }
    svg += loss_panel.frame("Training loss", "step", "");
    for (const Line& line : losses) svg += loss_panel.draw(line);
    svg += accuracy_panel.frame("Test accuracy", "epoch", " %");
    for (const Line& line : accuracies) svg += accuracy_panel.draw(line);
    write_text_file(path, svg_picture(kWidth, kHeight, title, subtitle, svg));
}
