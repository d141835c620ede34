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
    // With `keep_others`, what the file has of other runs than the first one appended stays in it.
    CurveFile(std::filesystem::path path, bool keep_others)
        : path_(std::move(path)), keep_others_(keep_others) {}

    // Writes what `curve` has up to its last evaluation and the file has not. The first call begins the file
    // anew: until then it can be read. Throws heron::Error (io).
    void append(const std::string& run, const Curve& curve);

    // Of both: nothing where the file is not there or is not one of these.
    // The names of the runs, in the file's order.
    static std::vector<std::string> runs(const std::filesystem::path& path);
    // The lines of one run.
    static Curve read(const std::filesystem::path& path, const std::string& run);

private:
    std::filesystem::path path_;
    bool keep_others_;
    bool begun_ = false;
    std::string run_;        // the last one
    std::size_t steps_ = 0;  // of it that are in the file
    std::size_t evaluations_ = 0;
};
