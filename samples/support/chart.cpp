// SPDX-License-Identifier: MIT
// Text of SVG elements.
#include "chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>

#include "heron/error.hpp"

namespace samples {

namespace {

// A step of 1, 2 or 5 times a power of ten that divides `span` into about `parts`.
double nice_step(double span, int parts) {
    const double rough = std::max(span, 1e-12) / parts;
    const double power = std::pow(10.0, std::floor(std::log10(rough)));
    for (const double factor : {1.0, 2.0, 5.0})
        if (rough <= factor * power * 1.0001) return factor * power;
    return 10 * power;
}

}  // namespace

const char* chart_colour(std::size_t line) {
    constexpr const char* kColours[] = {"#0b6fa4", "#d1495b", "#2e8b57", "#8a5fbf", "#c77d0a", "#46525e"};
    return kColours[line % std::size(kColours)];
}

Axis Axis::around(double low, double high, int parts) {
    if (!(high > low)) high = low + 1;
    const double step = nice_step(high - low, parts);
    return {std::floor(low / step + 1e-9) * step, std::ceil(high / step - 1e-9) * step, step};
}

double Panel::at_x(double x) const { return left_ + width_ * (x - x_.low) / (x_.high - x_.low); }

double Panel::at_y(double y) const {
    return top_ + height_ * (1 - (std::clamp(y, y_.low, y_.high) - y_.low) / (y_.high - y_.low));
}

std::string Panel::frame(const std::string& title, const std::string& x_name,
                         const std::string& y_unit) const {
    std::string svg =
        fmt::format("<text x='{}' y='{}' class='panel'>{}</text>\n", left_, top_ - 14, svg_text(title));
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
    svg += fmt::format("<line x1='{0}' y1='{1}' x2='{2}' y2='{1}' class='axis'/>\n", left_, top_ + height_,
                       left_ + width_);
    svg += fmt::format("<text x='{}' y='{}' text-anchor='middle'>{}</text>\n", left_ + width_ / 2,
                       top_ + height_ + 40, svg_text(x_name));
    return svg;
}

std::string Panel::draw(const Line& line) const {
    std::string svg;
    if (!line.raw.empty())
        svg +=
            fmt::format("<polyline points='{}' fill='none' stroke='{}' stroke-width='1' opacity='0.22'/>\n",
                        points(line.raw), line.colour);
    svg += fmt::format(
        "<polyline points='{}' fill='none' stroke='{}' stroke-width='{}' stroke-linejoin='round'{}/>\n",
        points(line.points), line.colour, line.width,
        line.dashes.empty() ? "" : fmt::format(" stroke-dasharray='{}'", line.dashes));
    if (line.markers)
        for (const Point& point : line.points)
            svg += fmt::format("<circle cx='{:.1f}' cy='{:.1f}' r='3.4' fill='{}'/>\n", at_x(point.x),
                               at_y(point.y), line.colour);
    return svg;
}

std::string Panel::points(const std::vector<Point>& list) const {
    std::string text;
    for (const Point& point : list)
        if (std::isfinite(point.y)) text += fmt::format("{:.1f},{:.1f} ", at_x(point.x), at_y(point.y));
    return text;
}

std::string svg_text(const std::string& text) {
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

std::string svg_picture(double width, double height, const std::string& title, const std::string& subtitle,
                        const std::string& body) {
    return fmt::format(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {0} {1}' width='{0}' height='{1}' "
        "font-family='system-ui, \"Segoe UI\", \"DejaVu Sans\", Helvetica, sans-serif' font-size='12' "
        "fill='#3a4048'>\n"
        "<style>.grid{{stroke:#e3e6ea;stroke-width:1}}.axis{{stroke:#6b7480;stroke-width:1}}"
        ".title{{font-size:17px;font-weight:600;fill:#1d2126}}.panel{{font-size:13px;font-weight:600;fill:#"
        "1d2126}}"
        "</style>\n"
        "<rect width='{0}' height='{1}' fill='#ffffff'/>\n"
        "<text x='70' y='32' class='title'>{2}</text>\n"
        "<text x='70' y='53'>{3}</text>\n"
        "{4}</svg>\n",
        width, height, svg_text(title), svg_text(subtitle), body);
}

void write_text_file(const std::filesystem::path& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) throw heron::Error(heron::ErrorCode::io, path.string() + ": cannot be written");
}

}  // namespace samples
