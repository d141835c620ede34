// SPDX-License-Identifier: MIT
// MKOR-H's rule (MkorSwitch) on the host: what it remembers, what a loss makes of it, and its text in
// checkpoints.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "heron/optim/mkor.hpp"
#include "optim/step_layout.hpp"

namespace heron {

// Since second order began. A plan keeps it in its step memory, as bytes.
struct MkorSwitchHistory {
    double sum = 0;           // of the losses of the present window, each over the window's length
    double last = 0;          // mean of the window before, where `means` is not 0
    double first_fall = 0;    // 0: none yet
    std::uint32_t count = 0;  // losses of the present window
    std::uint32_t means = 0;  // windows that are complete, up to 2
    std::uint32_t poor = 0;   // falls in a row that were too small
    std::uint32_t reserved = 0;
    bool operator==(const MkorSwitchHistory&) const = default;
};

void check_mkor_switch(const MkorSwitch& rule);
// " switching.window=100 ..." for Optimizer::options_text().
std::string mkor_switch_text(const MkorSwitch& rule);

// Whether second order still pays after this loss.
bool pays_after(MkorSwitchHistory& history, const MkorSwitch& rule, double loss);

// Numbers that read back as the same, with spaces between them; nothing for another text.
std::string history_text(const MkorSwitchHistory& history);
std::optional<MkorSwitchHistory> history_of(std::string_view text);

MkorSwitchHistory read_history(const Plan& plan, const StepLayout::Switch& entry);
void write_history(Plan& plan, const StepLayout::Switch& entry, const MkorSwitchHistory& history);

}  // namespace heron
