// SPDX-License-Identifier: MIT
// What a run measures, and curves.csv, which keeps it from one program run to the next.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

struct Curve {
    struct Step {
        std::uint64_t step;  // from 1
        float loss;          // mean of the batch
        float accuracy;      // of the batch
    };
    struct Evaluation {
        std::uint32_t epoch;
        std::uint64_t step;
        double loss;
        double accuracy;
        double seconds;  // of training so far, evaluations not counted
    };
    std::uint32_t steps_per_epoch = 1;
    std::vector<Step> steps;
    std::vector<Evaluation> evaluations;
};

// A loss as curves.csv has it.
std::string loss_text(double loss);

// Columns: run, epoch, step, train loss, train accuracy, test loss, test accuracy, seconds; a line for every
// step and evaluation, one run after the other.
class CurveFile {
public:
    explicit CurveFile(std::filesystem::path path) : path_(std::move(path)) {}

    // Writes what `curve` has up to its last evaluation and the file has not. The first call begins the file
    // anew: until then it can be read. Throws heron::Error (io).
    void append(const std::string& run, const Curve& curve);

    // The lines of one run; nothing where the file is not there or is not one of these.
    static Curve read(const std::filesystem::path& path, const std::string& run);

private:
    std::filesystem::path path_;
    bool begun_ = false;
    std::string run_;        // the last one
    std::size_t steps_ = 0;  // of it that are in the file
    std::size_t evaluations_ = 0;
};
