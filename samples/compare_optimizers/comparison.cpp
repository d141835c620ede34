// SPDX-License-Identifier: MIT
#include "comparison.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>

#include "support/bad_input.hpp"
#include "support/program.hpp"

namespace samples {

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::uint32_t kCalibrationSteps = 10;
constexpr std::uint32_t kFewestSteps = 20;  // that a budget leaves
constexpr int kExtensions = 8;              // of the grid, beyond its ends, at most
constexpr double kReserve = 0.85;           // of a budget is planned; the rest is for extensions
constexpr double kSetUpSeconds = 0.1;       // of a trial

double seconds_since(Clock::time_point start) {
    return std::chrono::duration<double>(Clock::now() - start).count();
}

// What a trial is expected to cost, and how far the whole is.
class Meter {
public:
    explicit Meter(Progress& progress) : progress_(progress) {}

    void expect(double seconds) { expected_ += seconds; }
    void start(double seconds) {
        current_ = seconds;
        expected_ = std::max(expected_, done_ + current_);
    }
    void show(double share, const std::string& before, const std::string& after) {
        const double done = done_ + share * current_;
        const double left = (expected_ - done) * (seconds_since(start_) / std::max(done, 1e-9));
        progress_.show(done / expected_, before, after + ", " + clock_text(left) + " left");
    }
    void finish() {
        done_ += current_;
        current_ = 0;
    }

private:
    Progress& progress_;
    Clock::time_point start_ = Clock::now();
    double expected_ = 0, done_ = 0, current_ = 0;
};

struct Cost {
    double step = 0;
    double evaluation = 0;
    double fixed() const { return kSetUpSeconds + (TrialSettings{}.evaluations + 1) * evaluation; }
    double trial(std::uint32_t steps) const { return fixed() + steps * step; }
};

std::string rate_text(float lr) { return fmt::format("{:.3g}", lr); }

// One optimizer on one task.
class Tuning {
public:
    Tuning(const heron::Device& device, const Task& task, const ComparisonSettings& settings,
           const NamedOptimizer& optimizer, Journal& journal)
        : device_(device), task_(task), settings_(settings), journal_(journal) {
        standing_.optimizer = &optimizer;
        const auto fixed = settings.rates.find(std::string(optimizer.name));
        standing_.swept = fixed == settings.rates.end() && settings.factors.size() > 1;
        if (fixed != settings.rates.end())
            rates_ = {fixed->second};
        else
            for (const double factor : settings.factors)
                rates_.push_back(static_cast<float>(factor * double(optimizer.lr)));
    }

    // A few steps: compiles the pipelines, and measures.
    void calibrate() {
        if (const Trial* known = journal_.find(task_, *standing_.optimizer)) {
            cost_ = {known->step_seconds, known->evaluation_seconds};
            return;
        }
        try {
            const Trial trial = run_trial(device_, task_,
                                          {.optimizer = standing_.optimizer,
                                           .lr = rates_.front(),
                                           .seed = settings_.first_seed,
                                           .steps = task_.steps,
                                           .stop_after = kCalibrationSteps,
                                           .evaluations = 1},
                                          [](std::uint32_t, double) {});
            cost_ = {trial.step_seconds, trial.evaluation_seconds};
        } catch (const heron::Error& error) {
            if (error.code() != heron::ErrorCode::invalid_argument &&
                error.code() != heron::ErrorCode::unsupported)
                throw;
            standing_.refusal = error.what();
        }
    }

    const Cost& cost() const { return cost_; }
    // Of the trials that are still to be run; extensions not counted.
    double expected_seconds(std::uint32_t steps) const {
        const std::uint32_t known = std::min(expected_trials(), known_trials());
        return (expected_trials() - known) * cost_.trial(steps);
    }
    const Standing& standing() const { return standing_; }
    // Extensions not counted.
    std::uint32_t expected_trials() const {
        if (!standing_.refusal.empty()) return 0;
        const auto count = static_cast<std::uint32_t>(rates_.size());
        return count + std::min(count, 2u) * (settings_.seeds - 1);
    }

    Standing run(std::uint32_t steps, Meter& meter) {
        if (!standing_.refusal.empty()) return std::move(standing_);
        steps_ = steps;
        for (const float lr : rates_) trial(lr, settings_.first_seed, meter);
        standing_.lr = best_rate(meter);
        for (int i = 0; standing_.swept && i < kExtensions; ++i) {
            const float next = beyond(standing_.lr);
            if (!(next > 0) || !std::isfinite(next)) break;
            rates_.push_back(next);
            meter.expect(cost_.trial(steps_));
            trial(next, settings_.first_seed, meter);
            standing_.lr = best_rate(meter);
        }
        const auto [low, high] = std::ranges::minmax(rates_);
        standing_.at_edge = standing_.swept && (standing_.lr == low || standing_.lr == high);
        summarize();
        return std::move(standing_);
    }

private:
    std::uint32_t known_trials() const {
        std::uint32_t count = 0;
        for (const float lr : rates_)
            for (std::uint32_t seed = 0; seed < settings_.seeds; ++seed)
                count += journal_.find(task_, *standing_.optimizer, lr, settings_.first_seed + seed) ? 1 : 0;
        return count;
    }

    void trial(float lr, std::uint32_t seed, Meter& meter) {
        if (const Trial* known = journal_.find(task_, *standing_.optimizer, lr, seed)) {
            standing_.trials.push_back(*known);
            return;
        }
        const double expected = cost_.trial(steps_);
        meter.start(expected);
        const std::string before =
            fmt::format("  {} {} lr {} seed {}", task_.name, standing_.optimizer->name, rate_text(lr), seed);
        standing_.trials.push_back(run_trial(
            device_, task_, {.optimizer = standing_.optimizer, .lr = lr, .seed = seed, .steps = steps_},
            [&](std::uint32_t step, double loss) {
                meter.show(double(step) / steps_, before,
                           fmt::format("step {}/{}  loss {:.4f}", step, steps_, loss));
            }));
        meter.finish();
        journal_.add(task_, standing_.trials.back());
    }

    // The next one on the grid, where `best` is its smallest or largest; else 0.
    float beyond(float best) {
        std::ranges::sort(rates_);
        if (best == rates_.front()) return best * (best / rates_[1]);
        return best == rates_.back() ? best * (best / rates_[rates_.size() - 2]) : 0;
    }

    // By the medians of the two best rates, which have all seeds by then: with them another one may turn out
    // to be better.
    float best_rate(Meter& meter) {
        for (;;) {
            const std::vector<float> best = best_rates();
            const std::size_t before = standing_.trials.size();
            for (const float lr : best)
                for (std::uint32_t seed = 1; seed < settings_.seeds; ++seed)
                    if (trials_of(lr).size() <= seed) trial(lr, settings_.first_seed + seed, meter);
            if (standing_.trials.size() == before) return best.front();
        }
    }

    // The two best so far, or the only one.
    std::vector<float> best_rates() const {
        std::vector<float> rates = rates_;
        std::ranges::stable_sort(rates, {}, [&](float lr) { return median_loss(lr); });
        rates.resize(std::min<std::size_t>(rates.size(), 2));
        return rates;
    }

    std::vector<const Trial*> trials_of(float lr) const {
        std::vector<const Trial*> trials;
        for (const Trial& trial : standing_.trials)
            if (trial.settings.lr == lr) trials.push_back(&trial);
        return trials;
    }

    template <class Figure>
    double median_of(float lr, Figure figure) const {
        std::vector<double> values;
        for (const Trial* trial : trials_of(lr)) values.push_back(figure(*trial));
        return median(std::move(values));
    }
    double median_loss(float lr) const {
        return median_of(lr, [](const Trial& trial) { return trial.validation_loss(); });
    }

    void summarize() {
        Standing& s = standing_;
        const auto of = [&](auto figure) { return median_of(s.lr, figure); };
        s.train_loss = of([](const Trial& t) { return t.train_loss(); });
        s.validation_loss = of([](const Trial& t) { return t.validation_loss(); });
        s.accuracy = of([](const Trial& t) { return t.validations.back().result.accuracy; });
        s.optimizer_seconds =
            std::ranges::min_element(s.trials, {}, &Trial::optimizer_seconds)->optimizer_seconds;
        s.step_seconds = std::ranges::min_element(s.trials, {}, &Trial::step_seconds)->step_seconds;
        const Trial& any = s.trials.front();
        s.state_bytes = static_cast<double>(any.state_bytes) / static_cast<double>(any.parameters);
        const auto trials = trials_of(s.lr);
        const auto [best, worst] = std::ranges::minmax(trials, {}, &Trial::validation_loss);
        s.spread = worst->validation_loss() - best->validation_loss();
        const std::size_t points = std::ranges::min(trials, {}, [](const Trial* t) {
                                       return t->validations.size();
                                   })->validations.size();
        for (std::size_t i = 0; i < points; ++i)
            s.curve.push_back({trials.front()->validations[i].step,
                               of([i](const Trial& t) { return t.validations[i].result.loss; })});
    }

    const heron::Device& device_;
    const Task& task_;
    const ComparisonSettings& settings_;
    Journal& journal_;
    Standing standing_;
    std::vector<float> rates_;
    Cost cost_;
    std::uint32_t steps_ = 0;
};

// Gives all the shortest time of the passes; nothing to do where the optimizers' shares are not known.
void share_pass_times(std::vector<Standing>& standings) {
    double passes = std::numeric_limits<double>::infinity();
    for (const Standing& standing : standings)
        for (const Trial& trial : standing.trials)
            if (trial.optimizer_seconds > 0)
                passes = std::min(passes, trial.step_seconds - trial.optimizer_seconds);
    for (Standing& standing : standings)
        if (standing.optimizer_seconds > 0) standing.step_seconds = passes + standing.optimizer_seconds;
}

// Where the curve first passes the loss, between two evaluations by a straight line.
std::optional<double> step_of(const std::vector<Standing::Point>& curve, double loss) {
    for (std::size_t i = 0; i < curve.size(); ++i) {
        if (!(curve[i].loss <= loss)) continue;
        if (i == 0) return 0;
        const double before = curve[i - 1].loss - loss;
        return curve[i - 1].step +
               (curve[i].step - curve[i - 1].step) * before / (before + loss - curve[i].loss);
    }
    return std::nullopt;
}

void set_target(TaskResult& result, const ComparisonSettings& settings) {
    if (const auto given = settings.targets.find(result.task->name); given != settings.targets.end()) {
        result.target = given->second;
        result.target_reason = "as given";
    } else {
        std::vector<double> losses;
        for (const Standing& standing : result.standings) {
            if (!standing.refusal.empty()) continue;
            losses.push_back(standing.validation_loss);
            if (standing.optimizer->name == kReference && std::isfinite(standing.validation_loss)) {
                losses = {standing.validation_loss};
                break;
            }
        }
        result.target = losses.empty() ? 0 : median(losses);
        result.target_reason = losses.size() == 1 ? "AdamW's last one" : "the median of the last ones";
    }
    for (Standing& standing : result.standings) standing.target_step = step_of(standing.curve, result.target);
}

// Every optimizer on every task, compiled and measured.
std::vector<std::vector<Tuning>> calibrated(const heron::Device& device,
                                            const std::vector<const Task*>& tasks,
                                            const ComparisonSettings& settings, Journal& journal) {
    Progress progress;
    std::vector<std::vector<Tuning>> tunings(tasks.size());
    const std::size_t count = settings.optimizers.size();
    for (std::size_t t = 0; t < tasks.size(); ++t)
        for (const NamedOptimizer* optimizer : settings.optimizers) {
            progress.show(double(t * count + tunings[t].size()) / double(tasks.size() * count),
                          "  compiling and measuring", fmt::format("{} {}", tasks[t]->name, optimizer->name));
            tunings[t].emplace_back(device, *tasks[t], settings, *optimizer, journal).calibrate();
            if (const std::string& refusal = tunings[t].back().standing().refusal; !refusal.empty())
                progress.line(fmt::format("  {} {}: {}", tasks[t]->name, optimizer->name, refusal));
        }
    return tunings;
}

// The share of the tasks' steps that fits into the budget.
double fitting_share(const std::vector<std::vector<Tuning>>& tunings, const std::vector<const Task*>& tasks,
                     double seconds) {
    double fixed = 0, steps = 0;
    for (std::size_t t = 0; t < tasks.size(); ++t)
        for (const Tuning& tuning : tunings[t]) {
            fixed += tuning.expected_trials() * tuning.cost().fixed();
            steps += tuning.expected_trials() * tuning.cost().step * tasks[t]->steps;
        }
    return std::clamp((kReserve * seconds - fixed) / std::max(steps, 1e-9), 0.0, 1.0);
}

// What is done so far, in order.
void settle(TaskResult& result, const ComparisonSettings& settings) {
    share_pass_times(result.standings);
    set_target(result, settings);
    std::ranges::stable_sort(result.standings, [](const Standing& a, const Standing& b) {
        if (a.refusal.empty() != b.refusal.empty()) return a.refusal.empty();
        return a.validation_loss < b.validation_loss;
    });
}

}  // namespace

std::vector<TaskResult> compare(const heron::Device& device, const std::vector<const Task*>& tasks,
                                const ComparisonSettings& settings, Journal& journal, Progress& progress,
                                const std::function<void(const std::vector<TaskResult>&)>& report) {
    const Clock::time_point start = Clock::now();
    std::vector<std::vector<Tuning>> tunings = calibrated(device, tasks, settings, journal);

    double share = 1;
    const bool begun =
        std::ranges::all_of(tasks, [&](const Task* task) { return journal.steps(*task).has_value(); });
    if (settings.budget_seconds > 0 && !begun)
        share = fitting_share(tunings, tasks, settings.budget_seconds - seconds_since(start));
    std::vector<TaskResult> results;
    Meter meter(progress);
    double expected = 0;
    for (std::size_t t = 0; t < tasks.size(); ++t) {
        const std::uint32_t fewest = std::min(kFewestSteps, tasks[t]->steps);
        const std::uint32_t planned = std::max(fewest, static_cast<std::uint32_t>(share * tasks[t]->steps));
        const std::uint32_t steps = journal.steps(*tasks[t]).value_or(planned);
        if (settings.budget_seconds <= 0 && steps != tasks[t]->steps)
            throw BadInput(fmt::format("--resume: runs of {} have {} steps there; give --steps or --budget",
                                       tasks[t]->name, steps));
        journal.set_steps(*tasks[t], steps);
        results.push_back({.task = tasks[t], .steps = steps, .missing = tunings[t].size()});
        for (const Tuning& tuning : tunings[t]) expected += tuning.expected_seconds(steps);
    }
    meter.expect(expected);
    if (share < 1) progress.line(fmt::format("  the budget leaves {:.0f} % of the steps", 100 * share));
    if (std::ranges::any_of(
            tasks, [&](const Task* task) { return share < 1 && share * task->steps < kFewestSteps; }))
        progress.line(fmt::format("  which is too few: a run has {} steps all the same", kFewestSteps));
    progress.line(fmt::format("  about {} to go, more where a grid of learning rates has to grow",
                              clock_text(expected)));

    for (std::size_t i = 0; i < settings.optimizers.size(); ++i) {
        for (std::size_t t = 0; t < tasks.size(); ++t) {
            TaskResult& result = results[t];
            result.standings.push_back(tunings[t][i].run(result.steps, meter));
            --result.missing;
            if (const Standing& standing = result.standings.back(); standing.refusal.empty())
                progress.line(fmt::format("  {} {}: lr {}, train loss {:.4f}, validation loss {:.4f}",
                                          tasks[t]->name, standing.optimizer->name, rate_text(standing.lr),
                                          standing.train_loss, standing.validation_loss));
            settle(result, settings);
            report(results);
        }
    }
    return results;
}

}  // namespace samples
