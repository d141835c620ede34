// SPDX-License-Identifier: MIT
// The pictures that the sample leaves behind: curves as SVG, test images with predictions as PNG.
#pragma once

#include <filesystem>
#include <span>
#include <string>

#include "support/dataset.hpp"
#include "trainer.hpp"

// Both throw heron::Error (io) naming the file that could not be written.

struct LabelledCurve {
    std::string label;
    Curve curve;  // with one evaluation at the least
};

// Training loss by step and test accuracy by epoch, one line a run.
void write_curves_svg(const std::filesystem::path& path, std::span<const LabelledCurve> runs,
                      const std::string& title, const std::string& subtitle);
// The first test images, framed green where the prediction is right, else red with both names.
void write_prediction_grid(const std::filesystem::path& path, const samples::DataSet& data,
                           const RunResult& run);
