// SPDX-License-Identifier: MIT
// Checkpoints: a plan's state file with what a training needs beside tensors, as metadata under "heron.":
//
//   heron.plan           what the loading plan has to share (StepLayout::identity)
//   heron.lr.<optimizer> the base learning rate, in the shortest form that reads back as the same float
#include <charconv>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "core/push.h"
#include "graph/plan.hpp"
#include "heron/state.hpp"
#include "heron/train.hpp"
#include "optim/checks.hpp"
#include "optim/step_access.hpp"

namespace heron {

namespace {

constexpr std::string_view kPrefix = "heron.";
constexpr const char* kIdentity = "heron.plan";

std::string rate_key(const StepLayout::Rate& rate) { return "heron.lr." + rate.optimizer; }

// Cuts off what stands before the first `separator`.
std::string_view take(std::string_view& text, std::string_view separator) {
    const std::size_t end = std::min(text.find(separator), text.size());
    const std::string_view taken = text.substr(0, end);
    text.remove_prefix(std::min(end + separator.size(), text.size()));
    return taken;
}

// What differs first in two lines of an identity.
std::string difference(std::string_view theirs, std::string_view ours) {
    const auto or_nothing = [](std::string_view text) {
        return text.empty() ? std::string("nothing") : std::string(text);
    };
    const std::string_view subject = take(theirs, ": "), our_subject = take(ours, ": ");
    if (subject != our_subject)
        return "the file has " + or_nothing(subject) + " where this plan has " + or_nothing(our_subject);
    std::string_view field, our_field;
    while (field == our_field && !(theirs.empty() && ours.empty())) {
        field = take(theirs, " ");
        our_field = take(ours, " ");
    }
    return std::string(subject) + " has " + or_nothing(field) + " in the file, " + or_nothing(our_field) +
           " in this plan";
}

void check_identity(const std::string& who, std::string_view stored, std::string_view wanted) {
    while (!stored.empty() || !wanted.empty()) {
        const std::string_view theirs = take(stored, "\n"), ours = take(wanted, "\n");
        if (theirs != ours)
            refuse(who + "it belongs to another plan: " + difference(theirs, ours) +
                   ". Compile the plan as it was when the checkpoint was saved");
    }
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
    plan.save(path, layout.parameters, all);
}

std::map<std::string, std::string> load_checkpoint(Plan& plan, const std::filesystem::path& path) {
    const StepLayout& layout = step_layout(plan, "load_checkpoint");
    const std::string who = "load_checkpoint " + path.string() + ": ";
    std::map<std::string, std::string> metadata = SafetensorsReader(path).metadata();
    if (metadata.find(kIdentity) == metadata.end())
        refuse(who + "the file is no checkpoint of a training step");
    check_identity(who, metadata[kIdentity], layout.identity);
    std::vector<float> rates;
    for (const StepLayout::Rate& rate : layout.rates) {
        const std::string& text = metadata[rate_key(rate)];
        float lr = -1;
        const std::from_chars_result end = std::from_chars(text.data(), text.data() + text.size(), lr);
        if (end.ec != std::errc() || end.ptr != text.data() + text.size() || !std::isfinite(lr) || lr < 0)
            throw Error(ErrorCode::corrupt_file,
                        who + "its learning rate of \"" + rate.optimizer + "\" is \"" + text + "\"");
        rates.push_back(lr);
    }

    plan.load(path, layout.parameters);
    for (std::size_t k = 0; k < rates.size(); ++k) write_learning_rate(plan, layout.rates[k], rates[k]);
    // status() shows the loaded step without waiting for the next one.
    gpu::StepControl control;
    plan.read_state("heron.control", std::as_writable_bytes(std::span(&control, 1)));
    const Region& readback = plan.impl().region(RegionKind::readback);
    std::memcpy(readback.mapped(plan.impl().locations[layout.status.id].offset, sizeof(control)).data(),
                &control, sizeof(control));
    for (const BufferRange& block : readback.blocks) plan.impl().vk().flush(block);

    std::erase_if(metadata, [](const auto& entry) { return entry.first.starts_with(kPrefix); });
    return metadata;
}

}  // namespace heron
