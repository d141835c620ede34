// SPDX-License-Identifier: MIT
#include "curve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "support/chart.hpp"

using namespace samples;

double Curve::psnr_after(double time) const {
    for (std::size_t i = 1; i < points.size(); ++i) {
        const At& before = points[i - 1];
        const At& after = points[i];
        if (time <= after.seconds && after.seconds > before.seconds)
            return std::lerp(before.psnr, after.psnr,
                             (time - before.seconds) / (after.seconds - before.seconds));
    }
    return points.back().psnr;
}

double equal_time(std::span<const Curve> curves) {
    double least = curves.front().seconds();
    for (const Curve& curve : curves) least = std::min(least, curve.seconds());
    return least;
}

void write_psnr_svg(const std::filesystem::path& path, std::span<const Curve> curves,
                    const std::string& title, const std::string& subtitle) {
    double last_step = 1, last_second = 1e-3, highest = 0, lowest = 1e9;
    for (const Curve& curve : curves) {
        last_step = std::max(last_step, double(curve.points.back().step));
        last_second = std::max(last_second, curve.seconds());
        for (const Curve::At& at : curve.points)
            if (std::isfinite(at.psnr)) {
                highest = std::max(highest, at.psnr);
                lowest = std::min(lowest, at.psnr);
            }
    }
    const Axis decibels = Axis::around(std::min(lowest, highest), highest, 6);
    const Panel by_step(70, 126, 430, 290, Axis::around(0, last_step, 5), decibels);
    const Panel by_time(600, 126, 430, 290, Axis::around(0, last_second, 6), decibels);
    const double time = equal_time(curves);
    std::string svg;
    double legend_x = 70;
    for (std::size_t r = 0; r < curves.size(); ++r) {
        const Curve& curve = curves[r];
        const std::string text = fmt::format("{} {:.1f} dB; {:.1f} dB after {:.1f} s", curve.name,
                                             curve.points.back().psnr, curve.psnr_after(time), time);
        svg += fmt::format(
            "<line x1='{0}' y1='78' x2='{1}' y2='78' stroke='{2}' stroke-width='3'/><text x='{3}' "
            "y='82'>{4}</text>\n",
            legend_x, legend_x + 18, chart_colour(r), legend_x + 23, svg_text(text));
        legend_x += 40 + 5.9 * static_cast<double>(text.size());
    }
    svg += by_step.frame("PSNR at equal steps", "step", " dB");
    svg += by_time.frame("PSNR at equal time", "seconds of training", " dB");
    for (std::size_t r = 0; r < curves.size(); ++r) {
        Line steps{chart_colour(r), {}, {}}, seconds{chart_colour(r), {}, {}};
        for (const Curve::At& at : curves[r].points) {
            steps.points.push_back({double(at.step), at.psnr});
            seconds.points.push_back({at.seconds, at.psnr});
        }
        svg += by_step.draw(steps) + by_time.draw(seconds);
    }
    write_text_file(path, svg_picture(1080, 490, title, subtitle, svg));
}

void write_psnr_csv(const std::filesystem::path& path, std::span<const Curve> curves) {
    std::string text = "optimizer,lr,step,seconds,psnr\n";
    for (const Curve& curve : curves)
        for (const Curve::At& at : curve.points)
            text +=
                fmt::format("{},{},{},{:.3f},{:.3f}\n", curve.name, curve.lr, at.step, at.seconds, at.psnr);
    write_text_file(path, text);
}
