// SPDX-License-Identifier: MIT
// How good the picture was when: of each optimizer.
#pragma once

#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

struct Curve {
    struct At {
        std::uint32_t step;
        double seconds;  // of training so far
        double psnr;     // decibels
    };
    std::string name;
    float lr = 0;
    std::vector<At> points;

    double seconds() const { return points.back().seconds; }
    // At that time, between its neighbours by a straight line; what it ends with, later.
    double psnr_after(double seconds) const;
};

// The time in which every run has done its steps but the slowest ones: that of the quickest.
double equal_time(std::span<const Curve> curves);

// Both throw heron::Error (io) naming the file that cannot be written.

// PSNR by step and by time, side by side, a line a run.
void write_psnr_svg(const std::filesystem::path& path, std::span<const Curve> curves,
                    const std::string& title, const std::string& subtitle);
// optimizer,lr,step,seconds,psnr
void write_psnr_csv(const std::filesystem::path& path, std::span<const Curve> curves);
