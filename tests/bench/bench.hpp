// SPDX-License-Identifier: MIT
// What the benchmark programs share: their common options, medians, and the line of JSON that is a result.
//
// Every line has: benchmark, device, driver, commit (of the build; "+" where the tree had changes), the
// shape, wall_ms and gpu_ms (medians; from submission to completion, and from timestamps), wall_spread and
// gpu_spread (distance between the quartiles over the median), and the peer, measured by turns with it: peer
// (its name), peer_ms, peer_spread, peer_ratio (the peer's time over ours: above 1 we are faster). What is
// not known is null.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>
#include <cstdint>
#include <exception>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "commit.hpp"
#include "heron/heron.hpp"

namespace heron::bench {

using Clock = std::chrono::steady_clock;

// Plan::run() gives up after a minute, and steps on two processors may take longer.
inline void run_patiently(Plan& plan) {
    constexpr std::chrono::nanoseconds kPatience = std::chrono::hours(1);
    plan.wait(plan.submit(), static_cast<std::uint64_t>(kPatience.count()));
}

inline double milliseconds_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
}

// The extents of "2x3x4", each above 0; empty where the text is something else.
inline std::vector<std::uint64_t> extents_of(const std::string& text) {
    std::vector<std::uint64_t> extents;
    std::uint64_t extent = 0;
    const char *at = text.data(), *const end = at + text.size();
    for (;; ++at) {
        const auto [next, error] = std::from_chars(at, end, extent);
        if (error != std::errc() || extent == 0) return {};
        extents.push_back(extent);
        at = next;
        if (at == end) return extents;
        if (*at != 'x') return {};
    }
}

struct Sample {
    double median = 0;
    double spread = 0;
};

inline Sample summarize(std::vector<double> values) {
    std::ranges::sort(values);
    const auto at = [&](double quantile) {
        return values[static_cast<std::size_t>(quantile * static_cast<double>(values.size() - 1))];
    };
    return {at(0.5), at(0.5) > 0 ? (at(0.75) - at(0.25)) / at(0.5) : 0};
}

struct Times {
    Sample wall_ms;
    std::optional<Sample> gpu_ms;  // where the device has timestamps

    // A peer's time over this one's: by timestamps where both have them, without what passes between kernels.
    double ratio_of(const Times& peer) const {
        return gpu_ms && peer.gpu_ms ? peer.gpu_ms->median / gpu_ms->median
                                     : peer.wall_ms.median / wall_ms.median;
    }
};

// Measures several programs by turns, a third of the runs each: what slows the machine for seconds slows all
// of them, so that their ratios hold where their times do not.
class Contest {
public:
    // A plan that was compiled with PlanOptions::profile, or without: then it has no gpu_ms. It must outlive
    // the contest. Returns its place in results().
    std::size_t add(Plan& plan) {
        return add({[&plan] { run_patiently(plan); }, &plan, {}, {}});
    }
    // A routine of the processors.
    std::size_t add(std::function<void()> once) { return add({std::move(once), nullptr, {}, {}}); }

    // So many measured runs of each.
    void run(int repeats) {
        const int turn = (repeats + 2) / 3;
        for (int done = 0; done < repeats; done += turn)
            for (Contender& contender : contenders_) {
                const int runs = std::min(turn, repeats - done), warm_ups = done == 0 ? 2 : 1;
                for (int repeat = -warm_ups; repeat < runs; ++repeat) measure(contender, repeat >= 0);
                // A library's threads look for work for some time before they sleep (OpenBLAS's 2^26 cycles),
                // on processors that the next one needs.
                if (contender.plan == nullptr && contenders_.size() > 1)
                    std::this_thread::sleep_for(std::chrono::milliseconds(50));
            }
    }

    Times operator[](std::size_t place) const {
        const Contender& contender = contenders_[place];
        Times times{summarize(contender.wall_ms), {}};
        if (!contender.gpu_ms.empty()) times.gpu_ms = summarize(contender.gpu_ms);
        return times;
    }

private:
    struct Contender {
        std::function<void()> once;
        Plan* plan;
        std::vector<double> wall_ms, gpu_ms;
    };

    std::size_t add(Contender contender) {
        contenders_.push_back(std::move(contender));
        return contenders_.size() - 1;
    }
    static void measure(Contender& contender, bool counts) {
        const Clock::time_point begin = Clock::now();
        contender.once();
        const double ms = milliseconds_since(begin);
        if (!counts) return;
        contender.wall_ms.push_back(ms);
        if (contender.plan == nullptr) return;
        const std::vector<DispatchTiming> timings = contender.plan->timings();
        double gpu = 0;
        for (const DispatchTiming& timing : timings) gpu += timing.ns * 1e-6;
        if (!timings.empty()) contender.gpu_ms.push_back(gpu);
    }

    std::vector<Contender> contenders_;
};

// One line of JSON. `fields` may be extended until print().
class Line {
public:
    nlohmann::ordered_json fields;

    Line(const char* benchmark, const Device& device) {
        fields["benchmark"] = benchmark;
        fields["device"] = device.info().name;
        fields["driver"] = device.info().driver;
        fields["commit"] = kCommit;
    }
    void times(const Times& own) {
        times_ = own;
        put("wall", own.wall_ms);
        put("gpu", own.gpu_ms);
    }
    // Compares GPU times where both have them.
    void peer(const char* name, const Times& peer) {
        const bool gpu = times_.gpu_ms && peer.gpu_ms;
        fields["peer"] = name;
        put("peer", gpu ? *peer.gpu_ms : peer.wall_ms);
        fields["peer_ratio"] = times_.ratio_of(peer);
    }
    void no_peer() {
        for (const char* name : {"peer", "peer_ms", "peer_spread", "peer_ratio"}) fields[name] = nullptr;
    }
    void print() const { std::cout << fields.dump() << std::endl; }

private:
    void put(const std::string& name, const std::optional<Sample>& sample) {
        fields[name + "_ms"] = sample ? nlohmann::ordered_json(sample->median) : nlohmann::ordered_json();
        fields[name + "_spread"] = sample ? nlohmann::ordered_json(sample->spread) : nlohmann::ordered_json();
    }

    Times times_;
};

// The whole main(): --device and --repeats besides the options that `app` has, then `run`. Exit code: 0 done,
// 1 failed, 2 bad arguments.
inline int run_program(CLI::App& app, int argc, char** argv, int repeats,
                       const std::function<void(Device& device, int repeats)>& run) {
    DeviceOptions options;
    app.add_option("--device", options.select,
                   "index, UUID or part of the name; default: the first usable, GPUs first")
        ->type_name("SELECT");
    app.add_option("--repeats", repeats,
                   "runs of each case, of which the median is taken; step_cost: steps, and their mean")
        ->check(CLI::Range(3, 1000000))
        ->type_name("N")
        ->capture_default_str();
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return app.exit(error) == 0 ? 0 : 2;
    }
    try {
        Device device = Device::create(options);
        std::cerr << device.explain() << "\n";
        run(device, repeats);
        return 0;
    } catch (const std::exception& error) {
        std::cerr << app.get_name() << ": " << error.what() << "\n";
        return 1;
    }
}

}  // namespace heron::bench
