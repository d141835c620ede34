// SPDX-License-Identifier: MIT
// Tunes each optimizer's learning rate on a task, and compares what they reach.
//
// The sweep: with the first seed every factor on the optimizer's default rate is tried; the two best rates
// get all the seeds, and the lower median of the last validation losses decides. Where that is the smallest
// or largest rate, the grid grows beyond it, one rate after the other, eight at most.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compare_optimizers/journal.hpp"
#include "compare_optimizers/trial.hpp"
#include "support/progress.hpp"

namespace samples {

// Whom the others are compared with: its last loss is the target.
inline constexpr std::string_view kReference = "adamw";

struct ComparisonSettings {
    std::vector<const NamedOptimizer*> optimizers;
    std::map<std::string, float> rates;  // by optimizer: no sweep
    std::vector<double> factors;         // ascending
    std::uint32_t seeds = 0;
    std::uint32_t first_seed = 0;
    double budget_seconds = 0;              // for everything; 0: no limit
    std::map<std::string, double> targets;  // by task
};

// What one optimizer did on one task. Losses are medians over the seeds at the tuned rate. Times are those of
// the least disturbed trials: the passes take as long with every optimizer, so all share the shortest median
// of them, and an optimizer has the shortest of its own.
struct Standing {
    struct Point {
        std::uint32_t step;
        double loss;  // validation
    };

    const NamedOptimizer* optimizer = nullptr;
    std::string refusal;       // why it could not run; empty: it could
    std::deque<Trial> trials;  // all of them
    bool swept = false;
    float lr = 0;
    bool at_edge = false;  // the tuned rate is the smallest or largest one tried
    double train_loss = 0;
    double validation_loss = 0;  // infinite where it diverged
    double spread = 0;           // of that loss: between the best and the worst seed
    double accuracy = 0;
    double step_seconds = 0;
    double optimizer_seconds = 0;
    double state_bytes = 0;  // per parameter
    std::vector<Point> curve;
    std::optional<double> target_step;  // interpolated; none where it does not get there

    bool tuned(const Trial& trial) const { return trial.settings.lr == lr; }
    double seconds(double step) const { return step * step_seconds; }
};

struct TaskResult {
    const Task* task = nullptr;
    std::uint32_t steps = 0;
    std::size_t missing = 0;  // optimizers that have not had their turn
    double target = 0;
    std::string target_reason;
    std::vector<Standing> standings;  // lowest validation loss first; refused ones last
};

// Trials that the journal has are not run again. `report` gets what there is each time that an optimizer is
// done with a task. Throws BadInput for a journal with other steps than the tasks', unless there is a budget:
// then the journal's are taken.
std::vector<TaskResult> compare(const heron::Device& device, const std::vector<const Task*>& tasks,
                                const ComparisonSettings& settings, Journal& journal, Progress& progress,
                                const std::function<void(const std::vector<TaskResult>&)>& report);

}  // namespace samples
