// SPDX-License-Identifier: MIT
// What the benchmark programs share: their common options, medians, and the line of JSON that is a result.
//
// Every line has: benchmark, device, driver, commit (of the build; "+" where the tree had changes), the
// shape, wall_ms and gpu_ms (medians; from submission to completion, and from timestamps), wall_spread and
// gpu_spread (distance between the quartiles over the median), and the peer of the same run: peer (its name),
// peer_ms, peer_spread, peer_ratio (the peer's time over ours: above 1 we are faster). What is not known is
// null.
#pragma once

#include <CLI/CLI.hpp>
#include <algorithm>
#include <chrono>
#include <cmath>
#include <exception>
#include <functional>
#include <iostream>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "commit.hpp"
#include "heron/heron.hpp"

namespace heron::bench {

using Clock = std::chrono::steady_clock;

inline double milliseconds_since(Clock::time_point begin) {
    return std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
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

constexpr int kWarmUps = 2;

// `after` is called after each measured run, outside of its time.
inline Sample time_ms(
    int repeats, const std::function<void()>& once, const std::function<void()>& after = [] {}) {
    std::vector<double> values;
    for (int repeat = -kWarmUps; repeat < repeats; ++repeat) {
        const Clock::time_point begin = Clock::now();
        once();
        const double ms = milliseconds_since(begin);
        if (repeat < 0) continue;
        values.push_back(ms);
        after();
    }
    return summarize(std::move(values));
}

struct Times {
    Sample wall_ms;
    std::optional<Sample> gpu_ms;  // where the device has timestamps
};

// Of a plan that was compiled with PlanOptions::profile.
inline Times time_plan(Plan& plan, int repeats) {
    std::vector<double> gpu;
    Times times;
    times.wall_ms = time_ms(
        repeats, [&] { plan.run(); },
        [&] {
            const std::vector<DispatchTiming> timings = plan.timings();
            double sum = 0;
            for (const DispatchTiming& timing : timings) sum += timing.ns * 1e-6;
            if (!timings.empty()) gpu.push_back(sum);
        });
    if (!gpu.empty()) times.gpu_ms = summarize(std::move(gpu));
    return times;
}

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
        fields["peer_ratio"] =
            gpu ? peer.gpu_ms->median / times_.gpu_ms->median : peer.wall_ms.median / times_.wall_ms.median;
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
    app.add_option("--repeats", repeats, "runs of each case, of which the median is taken")
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
