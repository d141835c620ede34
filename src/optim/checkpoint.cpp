// SPDX-License-Identifier: MIT
// Checkpoints: a plan's state file with what a training needs beside tensors, as metadata under "heron.":
//
//   heron.plan           what the loading plan has to share (StepLayout::identity)
//   heron.lr.<optimizer> the base learning rate, in the shortest form that reads back as the same float
//   heron.second_order.<optimizer> 1 or 0, where set_second_order() can change it
//   heron.switching.<optimizer>    what MKOR-H's rule has seen (history_text()), where there is one
//   heron.damping.<optimizer>      as the learning rate, where set_damping() can change it
//
// A file's hash shows damage; what the file then holds is checked too, since one bad word (a negative loss
// scale, a NaN) spoils the training that goes on from it.
#include <charconv>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

#include "core/enumerator.hpp"
#include "core/push.h"
#include "graph/plan.hpp"
#include "heron/state.hpp"
#include "heron/train.hpp"
#include "optim/checks.hpp"
#include "optim/mkor_switch.hpp"
#include "optim/step_access.hpp"
#include "optim/step_checks.hpp"

namespace heron {

namespace {

constexpr std::string_view kPrefix = "heron.";
constexpr const char* kIdentity = "heron.plan";

std::string switch_key(const StepLayout::Switch& entry) {
    return "heron.second_order." + entry.rate.optimizer;
}
std::string history_key(const StepLayout::Switch& entry) { return "heron.switching." + entry.rate.optimizer; }
std::string damping_key(const StepLayout::Rate& entry) { return "heron.damping." + entry.optimizer; }
std::string rate_key(const StepLayout::Rate& rate) { return "heron.lr." + rate.optimizer; }

// Cuts off what stands before the first `separator`.
std::string_view take(std::string_view& text, std::string_view separator) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view taken = text.substr(0, end);
    text.remove_prefix(std::min(end + separator.size(), text.size()));
    return taken;
}

// What a state means to its optimizer: nobody can accept another. Names, element types and shapes of the
// tensors themselves are checked as they are read.
bool is_fixed(std::string_view field) {
    return field.starts_with("algorithm=") || field.starts_with("dtype=") || field.starts_with("shape=");
}

// Lines of an identity are "subject: name=value name=value ...". The subjects have to be the same; the values
// too, unless `changed` accepts others, which are then returned as text.
std::vector<std::string> check_identity(const std::string& who, std::string_view stored,
                                        std::string_view wanted, ChangedOptions changed) {
    const auto or_nothing = [](std::string_view text) {
        return text.empty() ? std::string("nothing") : std::string(text);
    };
    const auto refuse_difference = [&](const std::string& what, bool acceptable) {
        refuse(who + "it belongs to another plan: " + what +
               ". Compile the plan as it was when the checkpoint was saved" +
               (acceptable ? ", or load it with ChangedOptions::accept" : ""));
    };
    std::vector<std::string> accepted;
    while (!stored.empty() || !wanted.empty()) {
        std::string_view theirs = take(stored, "\n"), ours = take(wanted, "\n");
        const std::string_view subject = take(theirs, ": "), our_subject = take(ours, ": ");
        if (subject != our_subject)
            refuse_difference(
                "the file has " + or_nothing(subject) + " where this plan has " + or_nothing(our_subject),
                false);
        while (!theirs.empty() || !ours.empty()) {
            const std::string_view field = take(theirs, " "), our_field = take(ours, " ");
            if (field == our_field) continue;
            const std::string what = std::string(subject) + " has " + or_nothing(field) + " in the file, " +
                                     or_nothing(our_field) + " in this plan";
            const bool fixed = is_fixed(field) || is_fixed(our_field);
            if (fixed || changed == ChangedOptions::refuse) refuse_difference(what, !fixed);
            accepted.push_back(what);
        }
    }
    return accepted;
}

// The index of the first element that is infinite or NaN, or `count`.
template <class Word>
std::size_t first_nonfinite(std::span<const std::byte> bytes, Word exponent) {
    const std::size_t count = bytes.size() / sizeof(Word);
    for (std::size_t i = 0; i < count; ++i) {
        Word word;
        std::memcpy(&word, bytes.data() + i * sizeof(Word), sizeof(Word));
        if ((word & exponent) == exponent) return i;
    }
    return count;
}

void check_finite(const std::string& who, const SavedTensor& tensor) {
    if (tensor.dtype == DType::u32) return;
    const std::size_t at =
        tensor.dtype == DType::f32   ? first_nonfinite(tensor.content, std::uint32_t{0x7f800000})
        : tensor.dtype == DType::f16 ? first_nonfinite(tensor.content, std::uint16_t{0x7c00})
                                     : first_nonfinite(tensor.content, std::uint16_t{0x7f80});
    if (at < tensor.shape.count())
        throw Error(ErrorCode::corrupt_file, who + "element " + std::to_string(at) + " of \"" + tensor.name +
                                                 "\" is not finite; load an earlier checkpoint");
}

void check_control(const std::string& who, const gpu::StepControl& c) {
    const auto require = [&](bool holds, const std::string& what) {
        if (!holds)
            throw Error(ErrorCode::corrupt_file,
                        who + "its control block is impossible: " + what + "; load an earlier checkpoint");
    };
    require(c.loss_scale >= kSmallestLossScale && c.loss_scale <= kLargestLossScale,
            "loss_scale is " + number_text(c.loss_scale) + ", must be between 2^-24 and 2^120");
    // The tick wraps round, the others stop at the largest number.
    require(c.step + c.skipped == c.tick, "step " + std::to_string(c.step) + " and " +
                                              std::to_string(c.skipped) + " skipped ones do not add up to " +
                                              std::to_string(c.tick) + " begun");
    require(c.good_steps <= c.step,
            "good_steps is " + std::to_string(c.good_steps) + ", step " + std::to_string(c.step));
    require(c.skip <= 1, "skip is " + std::to_string(c.skip));
    const auto finite = [&](const char* name, float value) {
        require(std::isfinite(value) && value >= 0,
                std::string(name) + " is " + number_text(value) + ", must be finite and not below 0");
    };
    finite("gradient_scale", c.gradient_scale);
    finite("clip_value", c.clip_value);
    finite("gradient_norm", c.gradient_norm);
    finite("unscale", c.unscale);
    require((c.reserved1 | c.reserved2 | c.reserved3) == 0, "a reserved word is not 0");
}

// What a switch's rule had seen when the plan was saved. It begins anew where that plan had no rule, or, with
// ChangedOptions::accept, one of longer windows or more patience.
std::optional<MkorSwitchHistory> saved_history(const std::map<std::string, std::string>& metadata,
                                               const StepLayout::Switch& entry) {
    const auto text = metadata.find(history_key(entry));
    if (!entry.rule || text == metadata.end()) return MkorSwitchHistory();
    std::optional<MkorSwitchHistory> history = history_of(text->second);
    if (history && (history->count >= entry.rule->window || history->poor >= entry.rule->patience))
        history.emplace();
    return history;
}

}  // namespace

void save_checkpoint(const Plan& plan, const std::filesystem::path& path,
                     const std::map<std::string, std::string>& metadata) {
    const StepLayout& layout = step_layout(plan, "save_checkpoint");
    std::map<std::string, std::string> all = metadata;
    for (const auto& [key, value] : metadata)
        if (key.starts_with(kPrefix))
            refuse("save_checkpoint: the metadata key \"" + key +
                   "\" begins with \"heron.\", which Heron keeps for itself");
    all[kIdentity] = layout.identity;
    for (const StepLayout::Rate& rate : layout.rates)
        all[rate_key(rate)] = number_text(read_learning_rate(plan, rate));
    for (const StepLayout::Switch& entry : layout.switches) {
        all[switch_key(entry)] = read_learning_rate(plan, entry.rate) != 0 ? "1" : "0";
        if (entry.rule) all[history_key(entry)] = history_text(read_history(plan, entry));
    }
    for (const StepLayout::Rate& entry : layout.dampings)
        all[damping_key(entry)] = number_text(read_learning_rate(plan, entry));
    plan.save(path, layout.parameters, all);
}

std::map<std::string, std::string> load_checkpoint(Plan& plan, const std::filesystem::path& path,
                                                   ChangedOptions changed) {
    if (!is_enumerator(changed, ChangedOptions::accept))
        refuse("load_checkpoint: changed is not one of ChangedOptions");
    const StepLayout& layout = step_layout(plan, "load_checkpoint");
    const std::string who = "load_checkpoint " + path.string() + ": ";
    plan.impl().require_memory("load_checkpoint");
    plan.impl().require_no_slice("load_checkpoint");
    const SafetensorsReader file(path);
    std::map<std::string, std::string> metadata = file.metadata();
    if (metadata.find(kIdentity) == metadata.end())
        refuse(who + "the file is no checkpoint of a training step");
    const std::vector<std::string> accepted =
        check_identity(who, metadata[kIdentity], layout.identity, changed);
    std::vector<float> rates, switches, dampings;
    std::vector<MkorSwitchHistory> histories;  // of each switch
    const auto number = [&](const std::string& key, const char* what, const StepLayout::Rate& of) {
        const std::string& text = metadata[key];
        float value = -1;
        const std::from_chars_result end = std::from_chars(text.data(), text.data() + text.size(), value);
        if (end.ec != std::errc() || end.ptr != text.data() + text.size() || !std::isfinite(value) ||
            value < 0)
            throw Error(ErrorCode::corrupt_file,
                        who + "its " + what + " of \"" + of.optimizer + "\" is \"" + text + "\"");
        return value;
    };
    for (const StepLayout::Rate& rate : layout.rates)
        rates.push_back(number(rate_key(rate), "learning rate", rate));
    for (const StepLayout::Rate& entry : layout.dampings)
        dampings.push_back(number(damping_key(entry), "damping", entry));
    for (const StepLayout::Switch& entry : layout.switches) {
        const std::string& text = metadata[switch_key(entry)];
        const auto refuse_text = [&](const char* what, const std::string& is) {
            std::string message = who;
            message.append(what).append(" of \"").append(entry.rate.optimizer);
            message.append("\" to first order is \"").append(is).append("\"");
            throw Error(ErrorCode::corrupt_file, message);
        };
        if (text != "0" && text != "1") refuse_text("the switch", text);
        const std::optional<MkorSwitchHistory> history = saved_history(metadata, entry);
        if (!history) refuse_text("the rule", metadata[history_key(entry)]);
        switches.push_back(text == "1" ? 1.0f : 0.0f);
        histories.push_back(history.value_or(MkorSwitchHistory()));
    }

    const std::vector<SavedTensor> tensors = plan.impl().read_saved(file, layout.parameters);
    std::unordered_set<std::string> gradient_sums;
    for (const std::string& parameter : layout.parameters)
        gradient_sums.insert(parameter + "." + kGradientSum);
    gpu::StepControl control{};
    for (const SavedTensor& tensor : tensors) {
        if (!gradient_sums.contains(tensor.name)) check_finite(who, tensor);
        if (tensor.name == "heron.control") std::memcpy(&control, tensor.content.data(), sizeof(control));
    }
    check_control(who, control);

    plan.impl().write_saved(tensors);
    for (std::size_t k = 0; k < rates.size(); ++k) write_learning_rate(plan, layout.rates[k], rates[k]);
    for (std::size_t k = 0; k < switches.size(); ++k) {
        write_learning_rate(plan, layout.switches[k].rate, switches[k]);
        write_history(plan, layout.switches[k], histories[k]);
    }
    for (std::size_t k = 0; k < dampings.size(); ++k)
        write_learning_rate(plan, layout.dampings[k], dampings[k]);

    for (const std::string& what : accepted) plan.impl().vk().log(Severity::warning, who + what);
    std::erase_if(metadata, [](const auto& entry) { return entry.first.starts_with(kPrefix); });
    return metadata;
}

}  // namespace heron
