// SPDX-License-Identifier: MIT
// The curves of all runs, as SVG drawn by hand.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <string>
#include <vector>

#include "pictures.hpp"

namespace {

// Distinct also for colour-blind eyes; one a run, in order.
constexpr const char* kColours[] = {"#0b6fa4", "#d1495b", "#2e8b57", "#8a5fbf", "#c77d0a", "#46525e"};

const char* colour(std::size_t run) { return kColours[run % std::size(kColours)]; }

void write_file(const std::filesystem::path& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) throw heron::Error(heron::ErrorCode::io, path.string() + ": cannot be written");
}

std::string escape(const std::string& text) {
    std::string result;
    for (const char c : text) {
        if (c == '&')
            result += "&amp;";
        else if (c == '<')
            result += "&lt;";
        else if (c == '>')
            result += "&gt;";
        else
            result += c;
    }
    return result;
}

struct Point {
    double x;
    double y;
};

struct Line {
    const char* colour;
    std::vector<Point> points;
    std::vector<Point> raw;  // drawn pale behind it
    bool markers;
};

// A step of 1, 2 or 5 times a power of ten that divides `span` into about `parts`.
double nice_step(double span, int parts) {
    const double rough = std::max(span, 1e-12) / parts;
    const double power = std::pow(10.0, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (rough <= factor * power * 1.0001) return factor * power;
    return 10 * power;
}

struct Axis {
    double low;
    double high;
    double step;

    static Axis around(double low, double high, int parts) {
        if (!(high > low)) high = low + 1;
        const double step = nice_step(high - low, parts);
        return {std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step, step};
    }
};

class Panel {
public:
    Panel(double left, double top, double width, double height, Axis x, Axis y)
        : left_(left), top_(top), width_(width), height_(height), x_(x), y_(y) {}

    double at_x(double x) const { return left_ + width_ * (x - x_.low) / (x_.high - x_.low); }
    double at_y(double y) const {
        return top_ + height_ * (1 - (std::clamp(y, y_.low, y_.high) - y_.low) / (y_.high - y_.low));
    }

    std::string frame(const std::string& title, const std::string& x_name, const std::string& y_unit) const {
        std::string svg =
            fmt::format("<text x='{}' y='{}' class='panel'>{}</text>\n", left_, top_ - 14, escape(title));
        const double digits = std::max(0.0, std::ceil(-std::log10(y_.step) - 1e-9));
        for (double y = y_.low; y <= y_.high + y_.step / 2; y += y_.step)
            svg += fmt::format(
                "<line x1='{0}' y1='{1:.1f}' x2='{2}' y2='{1:.1f}' class='grid'/>"
                "<text x='{3}' y='{4:.1f}' text-anchor='end'>{5:.{6}f}{7}</text>\n",
                left_, at_y(y), left_ + width_, left_ - 8, at_y(y) + 4, y, static_cast<int>(digits), y_unit);
        for (double x = x_.low; x <= x_.high + x_.step / 2; x += x_.step)
            svg += fmt::format(
                "<line x1='{0:.1f}' y1='{1}' x2='{0:.1f}' y2='{2}' class='axis'/>"
                "<text x='{0:.1f}' y='{3}' text-anchor='middle'>{4:g}</text>\n",
                at_x(x), top_ + height_, top_ + height_ + 5, top_ + height_ + 19, x);
        svg += fmt::format("<line x1='{0}' y1='{1}' x2='{2}' y2='{1}' class='axis'/>\n", left_,
                           top_ + height_, left_ + width_);
        svg += fmt::format("<text x='{}' y='{}' text-anchor='middle'>{}</text>\n", left_ + width_ / 2,
                           top_ + height_ + 40, escape(x_name));
        return svg;
    }

    std::string draw(const Line& line) const {
        std::string svg;
        if (!line.raw.empty())
            svg += fmt::format(
                "<polyline points='{}' fill='none' stroke='{}' stroke-width='1' opacity='0.22'/>\n",
                points(line.raw), line.colour);
        svg += fmt::format(
            "<polyline points='{}' fill='none' stroke='{}' stroke-width='2.2' stroke-linejoin='round'/>\n",
            points(line.points), line.colour);
        if (line.markers)
            for (const Point& point : line.points)
                svg += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='3.4' fill='{}'/>\n", at_x(point.x),
                                   at_y(point.y), line.colour);
        return svg;
    }

private:
    std::string points(const std::vector<Point>& list) const {
        std::string text;
        for (const Point& point : list)
            if (std::isfinite(point.y)) text += fmt::format("{:.1f},{:.1f} ", at_x(point.x), at_y(point.y));
        return text;
    }

    double left_, top_, width_, height_;
    Axis x_, y_;
};

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
        losses.push_back({colour(r), averaged(curve.steps, 60), averaged(curve.steps, 500), false});
        Line accuracy{colour(r), {}, {}, true};
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

    std::string svg = fmt::format(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {0} {1}' width='{0}' height='{1}' "
        "font-family='system-ui, \"Segoe UI\", \"DejaVu Sans\", Helvetica, sans-serif' font-size='12' "
        "fill='#3a4048'>\n"
        "<style>.grid{{stroke:#e3e6ea;stroke-width:1}}.axis{{stroke:#6b7480;stroke-width:1}}"
        ".title{{font-size:17px;font-weight:600;fill:#1d2126}}.panel{{font-size:13px;font-weight:600;fill:#"
        "1d2126}}"
        "</style>\n"
        "<rect width='{0}' height='{1}' fill='#ffffff'/>\n"
        "<text x='70' y='32' class='title'>{2}</text>\n"
        "<text x='70' y='53'>{3}</text>\n",
        kWidth, kHeight, escape(title), escape(subtitle));
    double legend_x = 70;
    for (std::size_t r = 0; r < runs.size(); ++r) {
        const Curve::Evaluation& last = runs[r].curve.evaluations.back();
        const std::string text =
            fmt::format("{}: {:.2f} % after {:.0f} s", runs[r].label, 100 * last.accuracy, last.seconds);
        svg += fmt::format(
            "<line x1='{0}' y1='78' x2='{1}' y2='78' stroke='{2}' stroke-width='3'/><text x='{3}' "
            "y='82'>{4}</text>\n",
            legend_x, legend_x + 24, colour(r), legend_x + 31, escape(text));
        legend_x += 60 + 6.6 * static_cast<double>(text.size());
    }
    svg += loss_panel.frame("Training loss", "step", "");
    for (const Line& line : losses) svg += loss_panel.draw(line);
    svg += accuracy_panel.frame("Test accuracy", "epoch", " %");
    for (const Line& line : accuracies) svg += accuracy_panel.draw(line);
    svg += "</svg>\n";
    write_file(path, svg);
}
