// SPDX-License-Identifier: MIT
#include "report.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>

namespace {

const ModeText& text_of(Mode mode) { return *std::ranges::find(kModes, mode, &ModeText::mode); }

// The smallest value that so much of all (from 0 to 1) is not above.
double quantile(std::vector<double> values, double part) {
    if (values.empty()) return 0;
    std::ranges::sort(values);
    const auto rank = static_cast<std::size_t>(std::ceil(part * static_cast<double>(values.size())));
    return values[std::max<std::size_t>(rank, 1) - 1];
}

constexpr std::size_t kColumns = 12;
using Row = std::array<std::string, kColumns>;

Row row_of(const LoopResult& result) {
    const auto ms = [&](double part) { return fmt::format("{:.2f}", quantile(result.frame_ms, part)); };
    const auto us = [&](double part) { return fmt::format("{:.1f}", quantile(result.heron_us, part)); };
    const bool trains = result.mode != Mode::none;
    return {std::string(text_of(result.mode).name),
            trains ? std::to_string(result.steps) : "-",
            ms(0.5),
            ms(0.99),
            ms(1),
            trains ? us(0.5) : "-",
            trains ? us(1) : "-",
            trains && samples::counts_allocations() ? std::to_string(result.allocations) : "-",
            trains ? std::to_string(result.host_allocations) : "-",
            trains ? std::to_string(result.device_allocations) : "-",
            trains ? std::to_string(result.pipelines) : "-",
            trains ? fmt::format("{:.4f}", result.last_loss) : "-"};
}

// The same bits; a NaN is equal to itself.
bool same(const Training::Snapshot& a, const Training::Snapshot& b) {
    return a.weights.size() == b.weights.size() &&
           std::memcmp(a.weights.data(), b.weights.data(), a.weights.size() * sizeof(float)) == 0;
}

// Of those modes that train, the one that has come furthest.
const LoopResult* furthest(std::span<const LoopResult> results) {
    const auto found = std::ranges::max_element(
        results, {}, [](const LoopResult& result) { return result.snapshots.size(); });
    return found == results.end() || found->snapshots.empty() ? nullptr : &*found;
}

}  // namespace

std::string report_table(std::span<const LoopResult> results) {
    std::vector<Row> rows{{"mode", "steps", "frame ms", "99 %", "worst", "Heron us", "worst", "new",
                           "callbacks", "device", "pipelines", "loss"}};
    for (const LoopResult& result : results) rows.push_back(row_of(result));
    std::array<std::size_t, kColumns> widths{};
    for (const Row& row : rows)
        for (std::size_t i = 0; i < kColumns; ++i) widths[i] = std::max(widths[i], row[i].size());
    std::string text;
    for (std::size_t r = 0; r < rows.size(); ++r) {
        text += "|";
        for (std::size_t i = 0; i < kColumns; ++i)
            text += i == 0 ? fmt::format(" {:<{}} |", rows[r][i], widths[i])
                           : fmt::format(" {:>{}} |", rows[r][i], widths[i]);
        text += "\n";
        if (r > 0) continue;
        text += "|";
        for (std::size_t i = 0; i < kColumns; ++i)
            text += " " + std::string(widths[i] - (i > 0 ? 1 : 0), '-') + (i > 0 ? ": |" : " |");
        text += "\n";
    }
    text += "\n";
    for (const LoopResult& result : results) {
        const ModeText& mode = text_of(result.mode);
        text += fmt::format("- {}: {}", mode.name, mode.text);
        if (result.budget_us > 0) text += fmt::format(", {:.0f} us", result.budget_us);
        text += "\n";
    }
    text +=
        "\nframe ms: from frame to frame, median; Heron us: host time in Heron's calls of a frame, median, "
        "the "
        "driver's part\nincluded; new, callbacks: allocations in Heron while frames were recorded, by "
        "operator "
        "new and by the\nVkAllocationCallbacks that it was given; device: of device memory; pipelines: that "
        "Heron asked Vulkan\nfor; all after the set-up, the first frame included.\n";
    return text;
}

std::string weights_text(std::span<const LoopResult> results) {
    const LoopResult* first = furthest(results);
    if (!first) return "";
    const auto modes_after = [&](std::size_t power) {
        std::string modes;
        for (const LoopResult& result : results)
            if (power < result.snapshots.size() && power < first->snapshots.size() &&
                same(result.snapshots[power], first->snapshots[power]))
                modes += (modes.empty() ? "" : ", ") + std::string(text_of(result.mode).name);
        return modes;
    };
    std::string text;
    for (std::size_t power = 0; power < first->snapshots.size(); ++power) {
        const std::string modes = modes_after(power);
        if (modes != modes_after(power + 1))
            text += fmt::format("Weights after {} steps: the same bits in {}\n", 1u << power, modes);
    }
    return text;
}

std::vector<std::string> broken_promises(std::span<const LoopResult> results) {
    std::vector<std::string> broken;
    const LoopResult* reference = furthest(results);
    for (const LoopResult& result : results) {
        if (result.mode == Mode::none) continue;
        const std::string_view name = text_of(result.mode).name;
        const auto expect_none = [&](std::uint64_t count, std::string_view what) {
            if (count > 0) broken.push_back(fmt::format("{}: {} {}", name, count, what));
        };
        expect_none(result.allocations, "allocations by operator new in Heron");
        expect_none(result.host_allocations, "allocations by the VkAllocationCallbacks");
        expect_none(result.device_allocations, "allocations of device memory");
        expect_none(result.pipelines, "pipelines compiled inside frames");
        expect_none(result.skipped, "steps skipped");
        for (std::size_t power = 0; power < result.snapshots.size(); ++power)
            if (!same(result.snapshots[power], reference->snapshots[power]))
                broken.push_back(fmt::format("{}: other weights after {} steps than in the mode {}", name,
                                             1u << power, text_of(reference->mode).name));
        if (result.steps == 0) continue;
        if (!std::isfinite(result.last_loss))
            broken.push_back(fmt::format("{}: the loss is {}", name, result.last_loss));
        constexpr std::uint32_t kEnough = 40;  // steps; with them the loss is always far below half
        if (result.steps >= kEnough && !(result.last_loss < 0.5f * result.snapshots[0].loss))
            broken.push_back(fmt::format("{}: the loss has not gone down, {} -> {}", name,
                                         result.snapshots[0].loss, result.last_loss));
    }
    return broken;
}
