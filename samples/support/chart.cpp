// SPDX-License-Identifier: MIT
// Text of SVG elements.
#include "chart.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <fstream>
#include <sstream>
#include <string_view>

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

// Width of a character in em, at most: of DejaVu Sans, the widest of the fonts that pictures ask for.
double em_of(char c) {
    constexpr std::string_view kNarrow = " !'(),-./:;I[\\]fijlrt|", kBroad = "#&+<=>^~", kWide = "%@MWmw";
    const auto code = static_cast<unsigned char>(c);
    if ((code & 0xc0u) == 0x80) return 0;  // goes on with a character of UTF-8
    if (kNarrow.find(c) != std::string_view::npos) return 0.43;
    if (kWide.find(c) != std::string_view::npos || code >= 0x80) return 1;
    if ((c >= 'A' && c <= 'Z') || kBroad.find(c) != std::string_view::npos) return 0.84;
    return 0.64;
}
constexpr double kBold = 1.15;  // times as wide

// Lines of at most `width`, broken between words, and within a word that is longer than a line. At least one.
std::vector<std::string> wrapped(const std::string& text, double em, double width) {
    std::vector<std::string> lines(1);
    double filled = 0;
    const auto break_line = [&] {
        lines.emplace_back();
        filled = 0;
    };
    std::istringstream words(text);
    for (std::string word; words >> word;) {
        double length = 0;
        for (const char c : word) length += em * em_of(c);
        if (!lines.back().empty()) {
            const double gap = em * em_of(' ');
            if (filled + gap + length > width) {
                break_line();
            } else {
                lines.back() += ' ';
                filled += gap;
            }
        }
        for (const char c : word) {
            const double next = em * em_of(c);
            if (filled + next > width && !lines.back().empty()) break_line();
            lines.back() += c;
            filled += next;
        }
    }
    return lines;
}

}  // namespace

const char* chart_colour(std::size_t line) {
    constexpr const char* kColours[kChartColours] = {"#0b6fa4", "#d1495b", "#2e8b57", "#8a5fbf",
                                                     "#c77d0a", "#46525e", "#5a2d0c", "#c98fb9",
                                                     "#9bb04a", "#16357d", "#786414", "#8f9af2"};
    return kColours[line % kChartColours];
}

std::string stroke_of(const Line& line) {
    std::string text = fmt::format("stroke='{}' stroke-width='{}'", line.colour, line.width);
    if (!line.dashes.empty()) text += fmt::format(" stroke-dasharray='{}'", line.dashes);
    if (line.opacity < 1) text += fmt::format(" stroke-opacity='{}'", line.opacity);
    return text;
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
    svg += fmt::format("<polyline points='{}' fill='none' {} stroke-linejoin='round'/>\n",
                       points(line.points), stroke_of(line));
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
    constexpr double kLeft = 70, kRight = 40, kTitle = 17, kText = 12, kTitleRow = 21, kTextRow = 16;
    const double room = width - kLeft - kRight;
    std::string head;
    double y = 32, down = -kTitleRow - kTextRow;
    for (const std::string& line : wrapped(title, kBold * kTitle, room)) {
        head += fmt::format("<text x='{}' y='{}' class='title'>{}</text>\n", kLeft, y, svg_text(line));
        y += kTitleRow;
        down += kTitleRow;
    }
    for (const std::string& line : wrapped(subtitle, kText, room)) {
        head += fmt::format("<text x='{}' y='{}'>{}</text>\n", kLeft, y, svg_text(line));
        y += kTextRow;
        down += kTextRow;
    }
    return fmt::format(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {0} {1}' width='{0}' height='{1}' "
        "font-family='system-ui, \"Segoe UI\", \"DejaVu Sans\", Helvetica, sans-serif' font-size='{2}' "
        "fill='#3a4048'>\n"
        "<style>.grid{{stroke:#e3e6ea;stroke-width:1}}.axis{{stroke:#6b7480;stroke-width:1}}"
        ".title{{font-size:{3}px;font-weight:600;fill:#1d2126}}.panel{{font-size:13px;font-weight:600;fill:#"
        "1d2126}}"
        "</style>\n"
        "<rect width='{0}' height='{1}' fill='#ffffff'/>\n"
        "{4}{5}</svg>\n",
        width, height + down, kText, kTitle, head,
        down > 0 ? fmt::format("<g transform='translate(0 {})'>\n{}</g>\n", down, body) : body);
}

void write_text_file(const std::filesystem::path& path, const std::string& text) {
    std::ofstream file(path, std::ios::binary | std::ios::trunc);
    file << text;
    file.close();
    if (!file) throw heron::Error(heron::ErrorCode::io, path.string() + ": cannot be written");
}

}  // namespace samples
