// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <vector>

#include "compare_optimizers/curves.hpp"
#include "support/chart.hpp"
#include "support/program.hpp"

namespace samples {

namespace {

using Row = std::vector<std::string>;

std::string number(double value, int digits) {
    return std::isfinite(value) ? fmt::format("{:.{}f}", value, digits) : "-";
}

std::string milliseconds(double seconds) { return seconds > 0 ? fmt::format("{:.3g}", 1e3 * seconds) : "-"; }

Row head_row() {
    return {"optimizer", "lr",    "steps to target", "seconds to target", "train loss",       "validation",
            "spread",    "right", "seconds",         "optimizer ms/step", "state B/parameter"};
}

std::vector<Row> rows_of(const TaskResult& result) {
    std::vector<Row> rows;
    for (const Standing& s : result.standings) {
        if (!s.refusal.empty()) {
            rows.push_back(
                {std::string(s.optimizer->name), "refused", "-", "-", "-", "-", "-", "-", "-", "-", "-"});
            continue;
        }
        rows.push_back({std::string(s.optimizer->name),
                        fmt::format("{:.2g}{}", s.lr, s.at_edge ? " (edge)" : ""),
                        s.target_step ? number(*s.target_step, 0) : "-",
                        s.target_step ? number(s.seconds(*s.target_step), 1) : "-", number(s.train_loss, 4),
                        std::isfinite(s.validation_loss) ? number(s.validation_loss, 4) : "diverged",
                        number(s.spread, 3), fmt::format("{:.1f} %", 100 * s.accuracy),
                        number(s.seconds(result.steps), 1), milliseconds(s.optimizer_seconds),
                        number(s.state_bytes, 2)});
    }
    return rows;
}

std::string target_text(const TaskResult& result) {
    return fmt::format("{} steps; target: a validation loss of {:.4f} ({})", result.steps, result.target,
                       result.target_reason);
}

std::string markdown_table(const Row& head, const std::vector<Row>& rows) {
    std::string text;
    const auto add = [&text](const Row& row) {
        text += "|";
        for (const std::string& cell : row) text += " " + cell + " |";
        text += "\n";
    };
    add(head);
    text += "| --- |";
    for (std::size_t i = 1; i < head.size(); ++i) text += " ---: |";
    text += "\n";
    for (const Row& row : rows) add(row);
    return text;
}

// All tasks in one table, the best at the top: by the sum of their places. Bytes of state, which hang on the
// shapes of the parameters, are the first task's.
std::string summary(std::span<const TaskResult> results) {
    Row head{"optimizer"};
    std::map<std::string, Row> rows;
    std::map<std::string, std::size_t> places;
    for (const TaskResult& result : results) {
        head.push_back(fmt::format("{}: steps to {:.3f}", result.task->name, result.target));
        head.push_back("validation loss");
        head.push_back("optimizer ms/step");
        for (std::size_t place = 0; place < result.standings.size(); ++place) {
            const Standing& s = result.standings[place];
            const std::string name(s.optimizer->name);
            places[name] += place;
            Row& row = rows[name];
            if (row.empty()) row.push_back(name);
            row.resize(head.size() - 3, "-");
            row.push_back(s.target_step ? fmt::format("{:.0f} of {}", *s.target_step, result.steps) : "-");
            row.push_back(s.refusal.empty() ? number(s.validation_loss, 4) : "refused");
            row.push_back(milliseconds(s.optimizer_seconds));
        }
    }
    head.push_back(fmt::format("{}: state B/parameter", results.front().task->name));
    std::vector<Row> ordered;
    for (auto& [name, row] : rows) {
        row.resize(head.size() - 1, "-");
        for (const Standing& s : results.front().standings)
            if (s.optimizer->name == name && s.refusal.empty()) row.push_back(number(s.state_bytes, 2));
        row.resize(head.size(), "-");
        ordered.push_back(row);
    }
    std::ranges::stable_sort(ordered, {}, [&](const Row& row) { return places[row.front()]; });
    return markdown_table(head, ordered);
}

std::string picture_name(const TaskResult& result) { return "compare-" + result.task->name + ".svg"; }

std::string csv(std::span<const TaskResult> results) {
    std::string text =
        "task,optimizer,lr,seed,tuned,step,seconds,train_loss,validation_loss,validation_accuracy\n";
    for (const TaskResult& result : results)
        for (const Standing& standing : result.standings)
            for (const Trial& trial : standing.trials) {
                const std::string run =
                    fmt::format("{},{},{},{},{}", result.task->name, standing.optimizer->name,
                                trial.settings.lr, trial.settings.seed, standing.tuned(trial) ? 1 : 0);
                auto validation = trial.validations.begin();
                for (std::uint32_t step = 0; step <= trial.losses.size(); ++step) {
                    text += fmt::format("{},{},{:.6g},", run, step, standing.seconds(step));
                    if (step > 0) text += fmt::format("{:.6f}", trial.losses[step - 1]);
                    if (validation != trial.validations.end() && validation->step == step) {
                        text += fmt::format(",{:.6f},{:.6f}\n", validation->result.loss,
                                            validation->result.accuracy);
                        ++validation;
                    } else {
                        text += ",,\n";
                    }
                }
            }
    return text;
}

// Of those that ran, the one with the smallest figure; nullptr where there is none.
template <class Figure>
const Standing* least(const TaskResult& result, Figure figure) {
    const Standing* best = nullptr;
    for (const Standing& standing : result.standings)
        if (standing.refusal.empty() && std::isfinite(figure(standing)) &&
            (!best || figure(standing) < figure(*best)))
            best = &standing;
    return best;
}

}  // namespace

std::string table_text(const TaskResult& result) {
    std::vector<Row> rows = rows_of(result);
    rows.insert(rows.begin(), head_row());
    std::vector<std::size_t> widths(rows.front().size(), 0);
    for (const Row& row : rows)
        for (std::size_t i = 0; i < row.size(); ++i) widths[i] = std::max(widths[i], row[i].size());
    std::string text =
        fmt::format("{}: {}\n{}\n", result.task->name, result.task->text(), target_text(result));
    for (const Row& row : rows) {
        text += fmt::format("{:<{}}", row[0], widths[0]);
        for (std::size_t i = 1; i < row.size(); ++i) text += fmt::format("  {:>{}}", row[i], widths[i]);
        text += "\n";
    }
    return text;
}

std::string findings(const TaskResult& result) {
    const double nowhere = std::numeric_limits<double>::infinity();
    const Standing* loss = least(result, [](const Standing& s) { return s.validation_loss; });
    const auto steps = [&](const Standing& s) { return s.target_step.value_or(nowhere); };
    const auto seconds = [&](const Standing& s) { return s.seconds(s.target_step.value_or(nowhere)); };
    if (!loss) return "No optimizer got through.\n";
    std::string text =
        fmt::format("Lowest validation loss: {} ({:.4f}).", loss->optimizer->name, loss->validation_loss);
    if (const Standing* s = least(result, steps))
        text += fmt::format(" Fewest steps to the target: {} ({:.0f}).", s->optimizer->name, steps(*s));
    if (const Standing* s = least(result, seconds))
        text += fmt::format(" Least time to the target: {} ({:.1f} s).", s->optimizer->name, seconds(*s));
    return text + "\n";
}

void write_report(const std::filesystem::path& folder, std::span<const TaskResult> results,
                  const ReportHead& head) {
    create_output_folder(folder / "images");
    std::size_t missing = 0;
    for (const TaskResult& result : results) missing += result.missing;
    std::string page = fmt::format(
        "# Optimizers compared\n\n"
        "`compare_optimizers` trains the same networks with every optimizer, each at a learning rate tuned "
        "for it. This page was\nmade by\n\n    {}\n\non {}.{}\n\n"
        "**Learning rates.** {} A rate that is still the smallest or largest one tried is marked. All rates "
        "warm up, then follow a\ncosine to zero. An optimizer for matrices has AdamW beside it for "
        "everything "
        "else, at the rate that is best for AdamW alone\non the task.\n\n"
        "**Figures.** Losses are mean cross entropies in nats, medians over the seeds at the tuned rate: the "
        "training loss over the\nlast tenth of the steps, the validation loss of data that is not trained "
        "on, but\nby which the rates were chosen; its spread is the distance between the best\nand the worst "
        "seed. Two optimizers that are closer "
        "than "
        "that are not told apart. Steps to the target are interpolated\nbetween evaluations. A step's time "
        "is "
        "that of the passes, which is the same with every optimizer (the shortest median of\nall runs), and "
        "the mean of the optimizer's own, refreshes included.\n\n"
        "Networks are small, trainings short, and one device's times are not another's: nothing here is "
        "about "
        "large models.\n",
        head.command, head.device,
        missing > 0 ? fmt::format(" **It was cut off**: {} runs of an optimizer on a task are missing; "
                                  "`--resume` goes on.",
                                  missing)
                    : "",
        head.method);
    if (results.size() > 1) page += "\n## All tasks\n\n" + summary(results);
    for (const TaskResult& result : results) {
        page += fmt::format(
            "\n## {}\n\n{}; {}.\n\n{}\n{}\n![Validation loss against steps and time](images/{})\n",
            result.task->name, result.task->text(), target_text(result), findings(result),
            markdown_table(head_row(), rows_of(result)), picture_name(result));
        for (const Standing& standing : result.standings)
            if (!standing.refusal.empty())
                page += fmt::format("\n{} refused: {}\n", standing.optimizer->name, standing.refusal);
        write_curves(folder / "images" / picture_name(result), result, head.device);
    }
    write_text_file(folder / "comparison.md", page);
    write_text_file(folder / "comparison.csv", csv(results));
}

}  // namespace samples
