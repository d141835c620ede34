// SPDX-License-Identifier: MIT
// Writes and reads curves.csv.
#include "curve.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <string_view>

#include "heron/error.hpp"

namespace {

constexpr const char* kHead = "run,epoch,step,train_loss,train_accuracy,test_loss,test_accuracy,seconds";
constexpr std::size_t kColumns = 8;

std::vector<std::string> split(const std::string& line) {
    std::vector<std::string> fields(1);
    for (const char c : line) {
        if (c == ',')
            fields.emplace_back();
        else
            fields.back() += c;
    }
    return fields;
}

std::string_view name_of(std::string_view line) { return line.substr(0, line.find(',')); }

// The lines below the head; none where the file is not there or has another head.
std::vector<std::string> read_lines(const std::filesystem::path& path) {
    std::vector<std::string> lines;
    std::ifstream file(path, std::ios::binary);
    std::string line;
    if (!std::getline(file, line) || line != kHead) return lines;
    while (std::getline(file, line)) lines.push_back(line);
    return lines;
}

// False where the field is no number.
bool parse(const std::string& field, double& value) {
    char* end = nullptr;
    value = std::strtod(field.c_str(), &end);
    return !field.empty() && *end == '\0';
}

}  // namespace

std::string loss_text(double loss) { return fmt::format("{:.6f}", loss); }

void CurveFile::append(const std::string& run, const Curve& curve) {
    if (run != run_) {
        run_ = run;
        steps_ = evaluations_ = 0;
    }
    std::string text;
    if (!begun_) {
        text = std::string(kHead) + "\n";
        if (keep_others_)
            for (const std::string& line : read_lines(path_))
                if (name_of(line) != run) text += line + "\n";
    }
    for (; evaluations_ < curve.evaluations.size(); ++evaluations_) {
        const Curve::Evaluation& evaluation = curve.evaluations[evaluations_];
        for (; steps_ < curve.steps.size() && curve.steps[steps_].step <= evaluation.step; ++steps_) {
            const Curve::Step& step = curve.steps[steps_];
            text += fmt::format("{},{},{},{},{:.6f},,,\n", run, (step.step - 1) / curve.steps_per_epoch + 1,
                                step.step, loss_text(step.loss), step.accuracy);
        }
        text += fmt::format("{},{},{},,,{},{:.6f},{:.3f}\n", run, evaluation.epoch, evaluation.step,
                            loss_text(evaluation.loss), evaluation.accuracy, evaluation.seconds);
    }
    std::ofstream file(path_, std::ios::binary | (begun_ ? std::ios::app : std::ios::trunc));
    file << text;
    file.close();
    if (!file) throw heron::Error(heron::ErrorCode::io, path_.string() + ": cannot be written");
    begun_ = true;
}

std::vector<std::string> CurveFile::runs(const std::filesystem::path& path) {
    std::vector<std::string> names;
    for (const std::string& line : read_lines(path))
        if (std::ranges::find(names, name_of(line)) == names.end()) names.emplace_back(name_of(line));
    return names;
}

Curve CurveFile::read(const std::filesystem::path& path, const std::string& run) {
    Curve curve;
    std::uint64_t last_step = 0;
    for (const std::string& line : read_lines(path)) {
        if (name_of(line) != run) continue;
        const std::vector<std::string> fields = split(line);
        double epoch = 0, step = 0, loss = 0, accuracy = 0, seconds = 0;
        const bool is_step = fields.size() == kColumns && fields[5].empty();
        const std::size_t first = is_step ? 3 : 5;
        if (fields.size() != kColumns || !parse(fields[1], epoch) || !parse(fields[2], step) ||
            !parse(fields[first], loss) || !parse(fields[first + 1], accuracy) ||
            !(is_step || parse(fields[7], seconds)) || !(epoch >= 0 && epoch < 1e9) ||
            !(step >= static_cast<double>(last_step) && step < 1e15))
            return {};
        last_step = static_cast<std::uint64_t>(step);
        if (is_step)
            curve.steps.push_back({last_step, static_cast<float>(loss), static_cast<float>(accuracy)});
        else
            curve.evaluations.push_back(
                {static_cast<std::uint32_t>(epoch), last_step, loss, accuracy, seconds});
    }
    return curve;
}
