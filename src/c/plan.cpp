// SPDX-License-Identifier: MIT
// Plans of the C API.
#include <array>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "c/convert.hpp"
#include "c/files.hpp"
#include "c/handles.hpp"

namespace heron::c {

std::filesystem::path path_of(const char* path) {
    const std::string_view text = need_text(path, "path");
    return std::u8string(text.begin(), text.end());
}

std::map<std::string, std::string> read_metadata(const heron_metadata_entry* entries, std::uint32_t count) {
    std::map<std::string, std::string> texts;
    for (const heron_metadata_entry& entry : need_list(entries, count, "metadata")) {
        const bool added = texts
                               .emplace(need_text(entry.key, "a key of metadata"),
                                        need_text(entry.value, "a value of metadata"))
                               .second;
        if (!added) refuse("metadata has the key \"" + std::string(entry.key) + "\" twice");
    }
    return texts;
}

namespace {

Plan& plan_of(heron_plan* plan) { return need(plan, "plan").plan; }
const Plan& plan_of(const heron_plan* plan) { return need(plan, "plan").plan; }

std::vector<std::string> read_names(const char* const* names, std::uint32_t count) {
    std::vector<std::string> read;
    for (const char* name : need_list(names, count, "externals"))
        read.emplace_back(need_text(name, "a name of externals"));
    return read;
}

// Semaphores of a submission: those of a frame need no allocation.
class Semaphores {
public:
    Semaphores(const heron_semaphore_value* values, std::uint32_t count, const char* name) : count_(count) {
        if (count > few_.size()) many_.resize(count);
        SemaphoreValue* to = many_.empty() ? few_.data() : many_.data();
        for (const heron_semaphore_value& value : need_list(values, count, name)) *to++ = read(value);
    }
    std::span<const SemaphoreValue> all() const {
        return {many_.empty() ? few_.data() : many_.data(), count_};
    }

private:
    std::array<SemaphoreValue, 8> few_{};
    std::vector<SemaphoreValue> many_;
    std::uint32_t count_;
};

// `submit` submits one of the plan's programs.
template <class Submit>
heron_result submit_with(const heron_submit_info* info, std::uint64_t* ticket, const Submit& submit) {
    return guarded([&] {
        const heron_submit_info none{};
        const heron_submit_info& c = info == nullptr ? none : *info;
        // The header first: of other headers, the struct may be shorter.
        if (info != nullptr) check_header(c.header, sizeof c, "heron_submit_info");
        const Semaphores wait(c.wait, c.wait_count, "heron_submit_info.wait");
        const Semaphores signal(c.signal, c.signal_count, "heron_submit_info.signal");
        SubmitInfo read;
        read.wait = wait.all();
        read.signal = signal.all();
        if (c.submit != nullptr)
            read.submit = [function = c.submit, user = c.submit_user](const VkSubmitInfo2& submitted) {
                return function(user, &submitted);
            };
        const std::uint64_t number = submit(read);
        if (ticket != nullptr) *ticket = number;
    });
}

}  // namespace

}  // namespace heron::c

using namespace heron;
using namespace heron::c;

void heron_plan_destroy(heron_plan* plan) { delete plan; }

uint64_t heron_plan_state_bytes(const heron_plan* plan) {
    return guarded_value(uint64_t{0}, [&] { return plan_of(plan).state_bytes(); });
}
uint64_t heron_plan_workspace_bytes(const heron_plan* plan) {
    return guarded_value(uint64_t{0}, [&] { return plan_of(plan).workspace_bytes(); });
}
uint64_t heron_plan_table_bytes(const heron_plan* plan) {
    return guarded_value(uint64_t{0}, [&] { return plan_of(plan).table_bytes(); });
}
uint64_t heron_plan_readback_bytes(const heron_plan* plan) {
    return guarded_value(uint64_t{0}, [&] { return plan_of(plan).readback_bytes(); });
}

heron_result heron_plan_prewarm(heron_plan* plan) {
    return guarded([&] { plan_of(plan).prewarm(); });
}
heron_result heron_plan_allocate(heron_plan* plan) {
    return guarded([&] { plan_of(plan).allocate(); });
}
heron_result heron_plan_bind(heron_plan* plan, const heron_plan_memory* memory) {
    return guarded([&] { plan_of(plan).bind(read(need(memory, "memory"))); });
}
heron_result heron_plan_record_initialize(heron_plan* plan, VkCommandBuffer commands) {
    return guarded([&] { plan_of(plan).record_initialize(commands); });
}
heron_result heron_plan_initialize(heron_plan* plan) {
    return guarded([&] { plan_of(plan).initialize(); });
}
heron_result heron_plan_rebind(heron_plan* plan, const heron_rebinding* bindings, uint32_t count) {
    return guarded([&] {
        std::vector<Plan::Rebinding> moved;
        for (const heron_rebinding& binding : need_list(bindings, count, "bindings"))
            moved.push_back({need_text(binding.name, "a name of bindings"), read(binding.view)});
        plan_of(plan).rebind(moved);
    });
}

heron_result heron_plan_record(heron_plan* plan, VkCommandBuffer commands) {
    return guarded([&] { plan_of(plan).record(commands); });
}
heron_result heron_plan_record_one_time(heron_plan* plan, VkCommandBuffer commands) {
    return guarded([&] { plan_of(plan).record_one_time(commands); });
}
heron_result heron_plan_record_accumulate(heron_plan* plan, VkCommandBuffer commands) {
    return guarded([&] { plan_of(plan).record_accumulate(commands); });
}
heron_result heron_plan_record_slice(heron_plan* plan, VkCommandBuffer commands,
                                     const heron_slice_budget* budget, heron_slice_result* result) {
    return guarded([&] {
        const SliceResult slice = plan_of(plan).record_slice(commands, read_options(budget));
        if (result != nullptr) *result = filled<heron_slice_result>(slice);
    });
}
bool heron_plan_slice_pending(const heron_plan* plan) {
    return guarded_value(false, [&] { return plan_of(plan).slice_pending(); });
}

heron_result heron_init_submit_info(heron_submit_info* options, size_t bytes, uint32_t version) {
    return initialize(options, bytes, version, [] { return heron_submit_info{}; });
}
heron_result heron_plan_submit(heron_plan* plan, const heron_submit_info* info, uint64_t* ticket) {
    return submit_with(info, ticket, [&](const SubmitInfo& read) { return plan_of(plan).submit(read); });
}
heron_result heron_plan_submit_accumulate(heron_plan* plan, const heron_submit_info* info, uint64_t* ticket) {
    return submit_with(info, ticket,
                       [&](const SubmitInfo& read) { return plan_of(plan).submit_accumulate(read); });
}
heron_result heron_plan_finished(const heron_plan* plan, uint64_t ticket, bool* finished) {
    return guarded([&] { need(finished, "finished") = plan_of(plan).finished(ticket); });
}
heron_result heron_plan_wait(const heron_plan* plan, uint64_t ticket, uint64_t timeout_ns) {
    return guarded([&] { plan_of(plan).wait(ticket, timeout_ns); });
}
heron_result heron_plan_run(heron_plan* plan) {
    return guarded([&] { plan_of(plan).run(); });
}

heron_result heron_plan_describe(const heron_plan* plan, char* text, size_t* bytes) {
    return guarded_result([&] { return hand_out(plan_of(plan).describe(), text, bytes); });
}
uint32_t heron_plan_dispatch_count(const heron_plan* plan, heron_phase phase) {
    return guarded_value(uint32_t{0}, [&] { return plan_of(plan).dispatch_count(enum_of<Phase>(phase)); });
}
uint32_t heron_plan_level_count(const heron_plan* plan, heron_phase phase) {
    return guarded_value(uint32_t{0}, [&] { return plan_of(plan).level_count(enum_of<Phase>(phase)); });
}
double heron_plan_flops(const heron_plan* plan) {
    return guarded_value(0.0, [&] { return plan_of(plan).flops(); });
}
double heron_plan_bytes(const heron_plan* plan) {
    return guarded_value(0.0, [&] { return plan_of(plan).bytes(); });
}
heron_result heron_plan_cost(const heron_plan* plan, uint32_t step, double* flops, double* bytes) {
    return guarded([&] {
        const StepCost cost = plan_of(plan).cost(step);
        if (flops != nullptr) *flops = cost.flops;
        if (bytes != nullptr) *bytes = cost.bytes;
    });
}

heron_result heron_plan_timings(heron_plan* plan, uint32_t* count, const heron_dispatch_timing** timings) {
    return guarded([&] {
        need(count, "count");
        need(timings, "timings");
        plan->timings.clear();
        plan->timed = plan_of(plan).timings();
        for (const DispatchTiming& timing : plan->timed)
            plan->timings.push_back({timing.stage.c_str(), timing.kernel.c_str(), timing.ns});
        *count = static_cast<uint32_t>(plan->timings.size());
        *timings = plan->timings.data();
    });
}
heron_result heron_plan_hazards(const heron_plan* plan, char* text, size_t* bytes) {
    return guarded_result([&] {
        std::string lines;
        for (const std::string& hazard : plan_of(plan).hazards()) lines += hazard + "\n";
        return hand_out(lines, text, bytes);
    });
}

uint32_t heron_plan_state_count(const heron_plan* plan) {
    return plan == nullptr ? 0 : static_cast<uint32_t>(plan->states.size());
}
heron_result heron_plan_get_state(const heron_plan* plan, uint32_t index, heron_state_entry* entry) {
    return guarded([&] {
        const auto& states = need(plan, "plan").states;
        if (index >= states.size())
            refuse("state " + std::to_string(index) + " of a plan with " + std::to_string(states.size()));
        heron_state_entry& to = need(entry, "entry");
        to.name = states[index].name.c_str();
        Fill()(to.dtype, states[index].dtype);
        to.shape = {};
        Fill()(to.shape, states[index].shape);
    });
}
heron_result heron_plan_read_state(const heron_plan* plan, const char* name, void* to, size_t bytes) {
    return guarded([&] { plan_of(plan).read_state(need_text(name, "name"), need_bytes(to, bytes, "to")); });
}
heron_result heron_plan_write_state(heron_plan* plan, const char* name, const void* from, size_t bytes) {
    return guarded(
        [&] { plan_of(plan).write_state(need_text(name, "name"), need_bytes(from, bytes, "from")); });
}
heron_result heron_plan_state_view(const heron_plan* plan, const char* name, heron_tensor_view* view) {
    return guarded([&] {
        need(view, "view") = filled<heron_tensor_view>(plan_of(plan).state_view(need_text(name, "name")));
    });
}

void heron_metadata_destroy(heron_metadata* metadata) { delete metadata; }
uint32_t heron_metadata_count(const heron_metadata* metadata) {
    return metadata == nullptr ? 0 : static_cast<uint32_t>(metadata->texts.size());
}
heron_result heron_metadata_get(const heron_metadata* metadata, uint32_t index, heron_metadata_entry* entry) {
    return guarded([&] {
        const auto& texts = need(metadata, "metadata").texts;
        if (index >= texts.size())
            refuse("entry " + std::to_string(index) + " of metadata with " + std::to_string(texts.size()));
        const auto& [key, value] = *std::next(texts.begin(), index);
        need(entry, "entry") = {key.c_str(), value.c_str()};
    });
}
const char* heron_metadata_find(const heron_metadata* metadata, const char* key) {
    return guarded_value(static_cast<const char*>(nullptr), [&] {
        const auto& texts = need(metadata, "metadata").texts;
        const auto found = texts.find(std::string(need_text(key, "key")));
        return found == texts.end() ? nullptr : found->second.c_str();
    });
}

heron_result heron_plan_save(const heron_plan* plan, const char* path, const char* const* externals,
                             uint32_t external_count, const heron_metadata_entry* metadata,
                             uint32_t metadata_count) {
    return guarded([&] {
        plan_of(plan).save(path_of(path), read_names(externals, external_count),
                           read_metadata(metadata, metadata_count));
    });
}
heron_result heron_plan_load(heron_plan* plan, const char* path, const char* const* externals,
                             uint32_t external_count, heron_metadata** metadata) {
    return guarded([&] {
        load_metadata(metadata, [&] {
            return plan_of(plan).load(path_of(path), read_names(externals, external_count));
        });
    });
}
