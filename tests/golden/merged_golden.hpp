// SPDX-License-Identifier: MIT
// Golden files of several parameters, made of the project's files of one parameter each.
#pragma once

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "golden/golden_file.hpp"
#include "golden/optimizer_golden.hpp"

namespace heron::test {

// May change a tensor's values on the way, or drop the tensor by returning false.
using ChangeTensor = std::function<bool(const std::string& name, std::vector<double>& values)>;

// The cases of an algorithm, which share their hyperparameters, as p0, p1, ... of one file: w.3 -> w.p0.3,
// state.m.5 -> state.m.p0.5.
class MergedGolden : public GoldenFile {
public:
    MergedGolden(const std::string& algorithm, const std::vector<std::string>& cases,
                 const std::string& notes = "", const ChangeTensor& change = {})
        : GoldenFile("heron_merged_" + algorithm) {
        std::map<std::string, std::string> metadata;
        for (std::size_t i = 0; i < cases.size(); ++i) {
            const SafetensorsReader reader(golden_file(algorithm, cases[i]));
            if (i == 0) metadata = reader.metadata();
            EXPECT_EQ(reader.metadata().at("hyper"), metadata.at("hyper")) << cases[i];
            for (const FileTensor& tensor : reader.tensors()) {
                const std::size_t step = tensor.name.rfind('.');
                const std::string name =
                    tensor.name.substr(0, step) + ".p" + std::to_string(i) + tensor.name.substr(step);
                std::vector<double> values = reader.read_as_double(tensor.name);
                if (change && !change(name, values)) continue;
                add(name, Shape(std::span<const std::uint64_t>(tensor.shape)), std::move(values));
            }
        }
        metadata["notes"] += notes;
        write(metadata);
    }
};

// A file of several parameters passes, and no error in any of them does.
inline void expect_several_parameters(const std::string& algorithm, const std::vector<std::string>& cases,
                                      const std::string& state, const RunGoldenFile& run) {
    EXPECT_TRUE(MergedGolden(algorithm, cases).passes(run));
    EXPECT_TRUE(MergedGolden(algorithm, cases, "; feed each step the file's own w.(t-1)").passes(run));
    const auto with = [&](const ChangeTensor& change) {
        return MergedGolden(algorithm, cases, "", change).passes(run);
    };
    const std::string last = ".p" + std::to_string(cases.size() - 1) + ".";
    const auto halved = [&](const std::string& changed) {
        return with([&](const std::string& name, std::vector<double>& values) {
            if (name == changed)
                for (double& value : values) value *= 0.5;
            return true;
        });
    };
    EXPECT_FALSE(halved("w.p0.2"));
    EXPECT_FALSE(halved("w" + last + "3"));
    EXPECT_FALSE(halved("g" + last + "1"));
    EXPECT_FALSE(halved("state." + state + last + "5"));
    for (const std::string& dropped : {"w" + last + "3", "g" + last + "2", std::string("g.p0.1")})
        EXPECT_FALSE(with([&](const std::string& name, std::vector<double>&) { return name != dropped; }))
            << dropped;
}

}  // namespace heron::test
