// SPDX-License-Identifier: MIT
// Line charts as SVG, drawn by hand.
#pragma once

#include <cstddef>
#include <filesystem>
#include <string>
#include <vector>

namespace samples {

// So many colours; the first six distinct also for colour-blind eyes. One a line, in order, then from the
// beginning.
inline constexpr std::size_t kChartColours = 12;
const char* chart_colour(std::size_t line);

struct Point {
    double x;
    double y;
};

struct Line {
    std::string colour;
    std::vector<Point> points;
    std::vector<Point> raw;  // drawn pale behind it
    bool markers = false;
    std::string dashes = {};  // as SVG's stroke-dasharray; empty: solid
    double width = 2.2;
    double opacity = 1;
};
// The attributes of its stroke, as Panel::draw() has them; for legends.
std::string stroke_of(const Line& line);

struct Axis {
    double low;
    double high;
    double step;

    // From a nice number at or below `low` to one at or above `high`, in about `parts` steps of 1, 2 or 5
    // times a power of ten.
    static Axis around(double low, double high, int parts);
};

// One diagram. Coordinates are those of the picture.
class Panel {
public:
    Panel(double left, double top, double width, double height, Axis x, Axis y)
        : left_(left), top_(top), width_(width), height_(height), x_(x), y_(y) {}

    std::string frame(const std::string& title, const std::string& x_name, const std::string& y_unit) const;
    // What is above or below the axis is drawn at its end.
    std::string draw(const Line& line) const;

private:
    double at_x(double x) const;
    double at_y(double y) const;
    std::string points(const std::vector<Point>& list) const;

    double left_, top_, width_, height_;
    Axis x_, y_;
};

// Text for use between tags.
std::string svg_text(const std::string& text);
// The whole picture: title and subtitle at the top, `body` below. They take as many lines as they need; by
// those beyond one each, `body` moves down and the picture becomes higher than `height`.
std::string svg_picture(double width, double height, const std::string& title, const std::string& subtitle,
                        const std::string& body);
// Throws heron::Error (io) naming the file that cannot be written.
void write_text_file(const std::filesystem::path& path, const std::string& text);

}  // namespace samples
