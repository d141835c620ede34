// SPDX-License-Identifier: MIT
#include "optim/mkor_switch.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstring>

#include "graph/plan.hpp"
#include "optim/checks.hpp"
#include "optim/step_access.hpp"

namespace heron {

namespace {

// Sums of losses up to here, and differences of their means, are finite.
constexpr double kLargestLoss = 1e300;

bool read_number(std::string_view& text, auto& number) {
    if (text.starts_with(' ')) text.remove_prefix(1);
    const std::from_chars_result end = std::from_chars(text.data(), text.data() + text.size(), number);
    text.remove_prefix(static_cast<std::size_t>(end.ptr - text.data()));
    return end.ec == std::errc() && (text.empty() || text.front() == ' ');
}

bool is_loss(double value) { return std::isfinite(value) && std::abs(value) <= kLargestLoss; }

const StepLayout::Switch* find_switch(const Plan& plan, const char* who, std::string_view optimizer) {
    for (const StepLayout::Switch& entry : step_layout(plan, who).switches)
        if (entry.rate.optimizer == optimizer) return &entry;
    return nullptr;
}

}  // namespace

void check_mkor_switch(const MkorSwitch& o) {
    check_option("Mkor", "switching.window", o.window, o.window >= 1 && o.window <= 1000000, "1 to 1000000");
    check_option("Mkor", "switching.share", o.share, o.share >= 0 && o.share <= 1, "in [0, 1]");
    check_option("Mkor", "switching.patience", o.patience, o.patience >= 1 && o.patience <= 1000,
                 "1 to 1000");
}

std::string mkor_switch_text(const MkorSwitch& o) {
    return " switching.window=" + std::to_string(o.window) + " switching.share=" + number_text(o.share) +
           " switching.patience=" + std::to_string(o.patience);
}

bool pays_after(MkorSwitchHistory& history, const MkorSwitch& rule, double loss) {
    if (!is_loss(loss)) return true;
    history.sum += loss / rule.window;
    if (++history.count < rule.window) return true;
    const double mean = history.sum, fall = history.last - mean;
    const bool compares = history.means > 0;
    history.sum = 0;
    history.count = 0;
    history.last = mean;
    history.means = std::min(history.means + 1, 2u);
    if (!compares) return true;
    const bool pays = fall > 0 && fall >= static_cast<double>(rule.share) * history.first_fall;
    if (history.first_fall == 0 && pays) history.first_fall = fall;
    history.poor = pays ? 0 : history.poor + 1;
    return history.poor < rule.patience;
}

std::string history_text(const MkorSwitchHistory& history) {
    return number_text(history.sum) + " " + number_text(history.last) + " " +
           number_text(history.first_fall) + " " + std::to_string(history.count) + " " +
           std::to_string(history.means) + " " + std::to_string(history.poor);
}

std::optional<MkorSwitchHistory> history_of(std::string_view text) {
    MkorSwitchHistory history;
    const bool complete = read_number(text, history.sum) && read_number(text, history.last) &&
                          read_number(text, history.first_fall) && read_number(text, history.count) &&
                          read_number(text, history.means) && read_number(text, history.poor);
    const auto finite = [](double value) {
        return std::isfinite(value) && std::abs(value) <= 2 * kLargestLoss;
    };
    if (!complete || !text.empty() || !finite(history.sum) || !finite(history.last) ||
        !finite(history.first_fall) || history.first_fall < 0 || history.means > 2)
        return {};
    return history;
}

MkorSwitchHistory read_history(const Plan& plan, const StepLayout::Switch& entry) {
    MkorSwitchHistory history;
    std::memcpy(&history, plan.impl().graph.step_memory.data() + entry.history, sizeof(history));
    return history;
}

void write_history(Plan& plan, const StepLayout::Switch& entry, const MkorSwitchHistory& history) {
    std::memcpy(plan.impl().graph.step_memory.data() + entry.history, &history, sizeof(history));
}

void set_second_order(Plan& plan, std::string_view optimizer, bool on) {
    const StepLayout::Switch* entry = find_switch(plan, "set_second_order", optimizer);
    if (entry == nullptr)
        refuse("set_second_order: the plan has no optimizer \"" + std::string(optimizer) +
               "\" that can go without its second order (Mkor)");
    if (on) write_history(plan, *entry, {});
    write_learning_rate(plan, entry->rate, on ? 1.0f : 0.0f);
}

bool report_loss(Plan& plan, std::string_view optimizer, double loss) {
    const StepLayout::Switch* entry = find_switch(plan, "report_loss", optimizer);
    if (entry == nullptr || !entry->rule)
        refuse("report_loss: the plan has no optimizer \"" + std::string(optimizer) +
               "\" with a rule for losses (Mkor with MkorOptions::switching)");
    if (read_learning_rate(plan, entry->rate) == 0) return false;
    MkorSwitchHistory history = read_history(plan, *entry);
    const bool pays = pays_after(history, *entry->rule, loss);
    if (!pays) {
        history = {};
        write_learning_rate(plan, entry->rate, 0.0f);
    }
    write_history(plan, *entry, history);
    return pays;
}

}  // namespace heron
