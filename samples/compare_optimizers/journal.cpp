// SPDX-License-Identifier: MIT
#include "journal.hpp"

#include <fmt/format.h>

#include <charconv>
#include <cstdlib>
#include <sstream>
#include <stdexcept>
#include <system_error>
#include <utility>

#include "support/bad_input.hpp"

namespace samples {

namespace {

// Words of a line, each of which must be there.
class Words {
public:
    explicit Words(const std::string& line) : stream_(line) {}

    std::string text() {
        std::string word;
        if (!(stream_ >> word)) throw std::runtime_error("the line is too short");
        return word;
    }
    // A stream would not read the "inf" and "nan" of trials that diverged.
    double number() {
        const std::string word = text();
        char* end = nullptr;
        const double value = std::strtod(word.c_str(), &end);
        if (*end != '\0') throw std::runtime_error("'" + word + "' is no number");
        return value;
    }
    template <class Unsigned>
    Unsigned count() {
        const std::string word = text();
        const char* const last = word.data() + word.size();
        Unsigned value = 0;
        const auto [end, error] = std::from_chars(word.data(), last, value);
        if (error != std::errc() || end != last) throw std::runtime_error("'" + word + "' is no count");
        return value;
    }
    void finish() {
        std::string word;
        if (stream_ >> word) throw std::runtime_error("the line goes on with '" + word + "'");
    }

private:
    std::istringstream stream_;
};

// All numbers so that they are read as they were.
std::string text_of(const std::string& task, const Trial& trial) {
    std::string text =
        fmt::format("trial {} {} {:.9g} {} {} {} {:.17g} {:.17g} {:.17g} {} {} {}", task,
                    trial.settings.optimizer->name, trial.settings.lr, trial.settings.seed,
                    trial.settings.steps, trial.diverged ? 1 : 0, trial.step_seconds, trial.optimizer_seconds,
                    trial.evaluation_seconds, trial.state_bytes, trial.parameters, trial.losses.size());
    for (const float loss : trial.losses) text += fmt::format(" {:.9g}", loss);
    text += fmt::format(" {}", trial.validations.size());
    for (const auto& [step, result] : trial.validations)
        text += fmt::format(" {} {:.17g} {:.17g}", step, result.loss, result.accuracy);
    return text;
}

Trial trial_of(Words& words, const NamedOptimizer& optimizer) {
    Trial trial;
    trial.settings.optimizer = &optimizer;
    trial.settings.lr = static_cast<float>(words.number());
    trial.settings.seed = words.count<std::uint32_t>();
    trial.settings.steps = words.count<std::uint32_t>();
    trial.diverged = words.count<std::uint32_t>() != 0;
    trial.step_seconds = words.number();
    trial.optimizer_seconds = words.number();
    trial.evaluation_seconds = words.number();
    trial.state_bytes = words.count<std::uint64_t>();
    trial.parameters = words.count<std::uint64_t>();
    for (auto left = words.count<std::size_t>(); left > 0; --left)
        trial.losses.push_back(static_cast<float>(words.number()));
    for (auto left = words.count<std::size_t>(); left > 0; --left) {
        Trial::Validation validation{};
        validation.step = words.count<std::uint32_t>();
        validation.result.loss = words.number();
        validation.result.accuracy = words.number();
        trial.validations.push_back(validation);
    }
    if (trial.validations.empty()) throw std::runtime_error("a trial has no evaluation");
    words.finish();
    return trial;
}

}  // namespace

Journal::Journal(const std::filesystem::path& file, bool resume, const std::string& comparison)
    : path_(file) {
    if (!resume) {
        file_.open(file, std::ios::binary | std::ios::trunc);
        write_line("comparison " + comparison);
        return;
    }
    std::ostringstream text;
    text << std::ifstream(file, std::ios::binary).rdbuf();
    const std::size_t whole = read(text.str(), comparison);
    std::error_code failed;
    std::filesystem::resize_file(file, whole, failed);
    file_.open(file, std::ios::binary | std::ios::app);
    if (failed || !file_.good()) refuse_to_write();
}

std::size_t Journal::read(const std::string& text, const std::string& comparison) {
    const auto refuse = [this](const std::string& reason) {
        throw BadInput("--resume: " + path_.string() + ": " + reason);
    };
    std::size_t begin = 0;
    for (std::size_t number = 1; begin < text.size(); ++number) {
        const std::size_t end = text.find('\n', begin);
        if (end == std::string::npos) break;  // cut off
        const std::string line = text.substr(begin, end - begin);
        begin = end + 1;
        if (number == 1) {
            if (line != "comparison " + comparison)
                refuse("holds another comparison (" + line + "), this one is: " + comparison);
            continue;
        }
        try {
            read_line(line);
        } catch (const std::runtime_error& error) {
            refuse(fmt::format("line {}: {}", number, error.what()));
        }
    }
    if (begin == 0) refuse("there is nothing to go on with; leave out --resume");
    return begin;
}

void Journal::read_line(const std::string& line) {
    Words words(line);
    const std::string kind = words.text(), task = words.text();
    if (kind == "steps") {
        const auto steps = words.count<std::uint32_t>();
        words.finish();
        if (steps_.emplace(task, steps).first->second != steps)
            throw std::runtime_error("there are other steps of " + task + " before it");
    } else if (kind == "trial") {
        const NamedOptimizer* optimizer = find_optimizer(words.text());
        if (!optimizer) return;
        Trial trial = trial_of(words, *optimizer);
        if (const auto steps = steps_.find(task);
            steps == steps_.end() || steps->second != trial.settings.steps)
            throw std::runtime_error("the trial has other steps than " + task);
        entries_.push_back({task, std::move(trial)});
    } else {
        throw std::runtime_error("'" + kind + "' is no kind of line");
    }
}

void Journal::refuse_to_write() const { throw BadInput("--out: " + path_.string() + " cannot be written"); }

void Journal::write_line(const std::string& line) {
    file_ << line << "\n";
    file_.flush();
    if (!file_.good()) refuse_to_write();
}

std::optional<std::uint32_t> Journal::steps(const Task& task) const {
    const auto found = steps_.find(task.name);
    return found == steps_.end() ? std::nullopt : std::optional(found->second);
}

void Journal::set_steps(const Task& task, std::uint32_t steps) {
    if (steps_.contains(task.name)) return;
    steps_[task.name] = steps;
    write_line(fmt::format("steps {} {}", task.name, steps));
}

const Trial* Journal::find(const Task& task, const NamedOptimizer& optimizer, float lr,
                           std::uint32_t seed) const {
    for (const Entry& entry : entries_)
        if (entry.task == task.name && entry.trial.settings.optimizer == &optimizer &&
            entry.trial.settings.lr == lr && entry.trial.settings.seed == seed)
            return &entry.trial;
    return nullptr;
}

const Trial* Journal::find(const Task& task, const NamedOptimizer& optimizer) const {
    for (const Entry& entry : entries_)
        if (entry.task == task.name && entry.trial.settings.optimizer == &optimizer) return &entry.trial;
    return nullptr;
}

void Journal::add(const Task& task, const Trial& trial) {
    entries_.push_back({task.name, trial});
    write_line(text_of(task.name, trial));
}

}  // namespace samples
