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
    constexpr double kLeft[] = {70, 600};
    constexpr double kWidth = 430, kHeight = 290;
    constexpr std::size_t kNames = 4;  // in a row of a legend, so far apart:
    constexpr double kPitch = 120;
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
    const double time = equal_time(curves);
    const std::size_t legend_rows = (curves.size() + kNames - 1) / kNames;
    const double top = 110 + 18 * static_cast<double>(legend_rows);
    const Axis decibels = Axis::around(std::min(lowest, highest), highest, 6);
    const Panel by_step(kLeft[0], top, kWidth, kHeight, Axis::around(0, last_step, 5), decibels);
    const Panel by_time(kLeft[1], top, kWidth, kHeight, Axis::around(0, last_second, 6), decibels);
    std::string svg =
        by_step.frame("PSNR by step, and after the last one", "step", " dB") +
        by_time.frame(fmt::format("PSNR by time, and after {:.0f} s", time), "seconds of training", " dB");
    for (std::size_t r = 0; r < curves.size(); ++r) {
        Line steps{chart_colour(r), {}, {}}, seconds{chart_colour(r), {}, {}};
        for (const Curve::At& at : curves[r].points) {
            steps.points.push_back({double(at.step), at.psnr});
            seconds.points.push_back({at.seconds, at.psnr});
        }
        svg += by_step.draw(steps) + by_time.draw(seconds);
        const double decibels_then[] = {curves[r].points.back().psnr, curves[r].psnr_after(time)};
        const std::size_t row = r / kNames;
        for (std::size_t panel = 0; panel < 2; ++panel) {
            const double x = kLeft[panel] + kPitch * static_cast<double>(r % kNames);
            const double y = 82 + 18 * static_cast<double>(row);
            svg += fmt::format(
                "<line x1='{}' y1='{}' x2='{}' y2='{}' stroke='{}' stroke-width='3'/>"
                "<text x='{}' y='{}'>{} {:.1f}</text>\n",
                x, y - 4, x + 16, y - 4, chart_colour(r), x + 21, y, svg_text(curves[r].name),
                decibels_then[panel]);
        }
    }
    write_text_file(path, svg_picture(1080, top + kHeight + 60, title, subtitle, svg));
}

void write_psnr_csv(const std::filesystem::path& path, std::span<const Curve> curves) {
    std::string text = "optimizer,lr,step,seconds,psnr\n";
    for (const Curve& curve : curves)
        for (const Curve::At& at : curve.points)
            text +=
                fmt::format("{},{},{},{:.3f},{:.3f}\n", curve.name, curve.lr, at.step, at.seconds, at.psnr);
    write_text_file(path, text);
}
