// SPDX-License-Identifier: MIT
// Golden vectors: finding the files, reading a case, and the line that each case prints. Format:
// tests/golden/data/README.md.
//
//   class MuonGoldenTest : public heron::test::DeviceTest {};
//   TEST_P(MuonGoldenTest, EveryFile) {
//       run_golden("muon", GetParam().name, [&](const GoldenCase& golden, GoldenResult& result) {
//           const double lr = golden.number("lr");
//           ...
//           result.add("w.1", frobenius_error(computed, golden.tensor("w.1").values), bound);
//       });
//   }
//
// A hyperparameter that the function did not ask for, a tensor that it did not read or name in ignore(), an
// exception, an empty folder: each is a failure.
#pragma once

#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "heron/state.hpp"
#include "heron/tensor.hpp"

namespace heron::test {

// HERON_GOLDEN_DIR, else the project's own copy.
std::filesystem::path golden_folder();
// One of the project's own files, by its case: from there if it has it, since other vectors may stand there.
std::filesystem::path golden_file(const std::string& algorithm, const std::string& name);

struct GoldenTensor {
    Shape shape;
    std::vector<double> values;

    std::vector<float> floats() const { return {values.begin(), values.end()}; }
};

// One file. Remembers what was asked for.
class GoldenCase {
public:
    explicit GoldenCase(const std::filesystem::path& file);
    ~GoldenCase();

    const std::string& name() const { return name_; }    // the file's stem
    std::string metadata(const std::string& key) const;  // "" where there is none: kind, source, notes

    // Hyperparameters; those of an object in the file are called "object.name". Those without a fallback fail
    // when the file lacks them. With one, null is as good as absent: Python's None for a default.
    bool has(const std::string& key) const;
    bool is_null(const std::string& key) const;    // there, but null
    bool has_value(const std::string& key) const;  // there, and not null
    double number(const std::string& key) const;
    double number(const std::string& key, double fallback) const;
    bool flag(const std::string& key, bool fallback) const;
    std::string text(const std::string& key, const std::string& fallback) const;
    std::vector<std::string> texts(const std::string& key) const;
    std::vector<double> numbers(const std::string& key) const;
    std::vector<double> numbers(const std::string& key, const std::vector<double>& fallback) const;
    // A pair of which each may be null.
    std::pair<std::optional<double>, std::optional<double>> numbers_or_null(const std::string& key) const;

    // Tensors.
    bool has_tensor(const std::string& tensor) const { return reader_.find(tensor) != nullptr; }
    GoldenTensor tensor(const std::string& tensor) const;
    std::vector<std::string> tensor_names() const;
    // The parameters of an optimizer's file: {""} where their tensors are w.t, g.t, u.t; else {"p0", "p1",
    // ...} for w.p0.t and so on.
    std::vector<std::string> parameters() const;
    // "w.p1.3" of ("w", "p1", 3), "w.3" of ("w", "", 3).
    static std::string tensor_name(const std::string& kind, const std::string& parameter, int step);
    // Whether the notes ask to begin each step from the file's own w.(t-1), instead of running on.
    bool feeds_weights() const;
    void ignore(const std::string& tensor) const { read_.insert(tensor); }
    // In place of what the file says, where that is known to be wrong.
    void replace(const std::string& tensor, std::vector<double> values) const {
        replaced_[tensor] = std::move(values);
    }

    // Names of hyperparameters and tensors that nobody asked for.
    std::vector<std::string> unread() const;

private:
    const nlohmann::json& value(const std::string& key) const;

    SafetensorsReader reader_;
    std::string name_;
    std::unique_ptr<const nlohmann::json> hyper_;  // not by value: its header takes long to compile
    mutable std::set<std::string> asked_;
    mutable std::set<std::string> read_;
    mutable std::map<std::string, std::vector<double>> replaced_;
};

// |computed - expected| / |expected|, Frobenius; where expected is zero, 0 for zero and infinity for anything
// else.
double frobenius_error(std::span<const double> computed, std::span<const double> expected);
// max |computed - expected| / max |expected|, with the same rule for zero.
double maximum_error(std::span<const double> computed, std::span<const double> expected);

// The worst comparison of a case, by the ratio of error and bound.
class GoldenResult {
public:
    void add(std::string_view what, double error, double bound);

    bool empty() const { return what_.empty(); }
    bool ok() const;
    double error() const { return error_; }
    double bound() const { return bound_; }
    const std::string& what() const { return what_; }

private:
    double ratio() const;
    std::string what_;
    double error_ = 0;
    double bound_ = 0;
};

// Runs `check` for every file of the algorithm's folder, prints
//   golden <algorithm>/<case> | <device> | error=<worst> bound=<its bound> | ok
// for each, and adds a GoogleTest failure for each that is not ok.
void run_golden(std::string_view algorithm, std::string_view device,
                const std::function<void(const GoldenCase&, GoldenResult&)>& check);

}  // namespace heron::test
