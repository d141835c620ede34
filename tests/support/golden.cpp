// SPDX-License-Identifier: MIT
// Golden vectors: files, cases, and the line that each case prints.
#include "support/golden.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <nlohmann/json.hpp>
#include <regex>
#include <stdexcept>

namespace heron::test {

namespace {

std::filesystem::path own_golden_folder() {
    return std::filesystem::path(HERON_SOURCE_DIR) / "tests" / "golden" / "data";
}

}  // namespace

std::filesystem::path golden_folder() {
    const char* given = std::getenv("HERON_GOLDEN_DIR");
    if (given != nullptr && *given != '\0') return given;
    return own_golden_folder();
}

std::filesystem::path golden_file(const std::string& algorithm, const std::string& name) {
    const std::filesystem::path file = std::filesystem::path(algorithm) / (name + ".safetensors");
    return std::filesystem::exists(golden_folder() / file) ? golden_folder() / file
                                                           : own_golden_folder() / file;
}

namespace {

void flatten(const nlohmann::json& object, const std::string& prefix, nlohmann::json& result) {
    for (const auto& [key, value] : object.items())
        if (value.is_object())
            flatten(value, prefix + key + ".", result);
        else
            result[prefix + key] = value;
}

}  // namespace

GoldenCase::GoldenCase(const std::filesystem::path& file) : reader_(file), name_(file.stem().string()) {
    std::string text = metadata("hyper");
    if (text.empty()) throw std::runtime_error("the metadata has no \"hyper\"");
    // Python's word for a limit that there is not, which JSON lacks.
    text = std::regex_replace(text, std::regex(R"(([,:\[] *)Infinity)"), "$1null");
    nlohmann::json given = nlohmann::json::parse(text), hyper = nlohmann::json::object();
    if (!given.is_object()) throw std::runtime_error("\"hyper\" is not a JSON object");
    flatten(given, "", hyper);
    hyper_ = std::make_unique<const nlohmann::json>(std::move(hyper));
}

GoldenCase::~GoldenCase() = default;

bool GoldenCase::has(const std::string& key) const { return hyper_->contains(key); }

std::string GoldenCase::metadata(const std::string& key) const {
    const auto found = reader_.metadata().find(key);
    return found == reader_.metadata().end() ? std::string() : found->second;
}

const nlohmann::json& GoldenCase::value(const std::string& key) const {
    asked_.insert(key);
    const auto found = hyper_->find(key);
    if (found == hyper_->end()) throw std::runtime_error("hyperparameter \"" + key + "\" is missing");
    return *found;
}

bool GoldenCase::is_null(const std::string& key) const {
    asked_.insert(key);
    return has(key) && hyper_->at(key).is_null();
}

double GoldenCase::number(const std::string& key) const { return value(key).get<double>(); }

bool GoldenCase::has_value(const std::string& key) const { return has(key) && !is_null(key); }

double GoldenCase::number(const std::string& key, double fallback) const {
    asked_.insert(key);
    return has_value(key) ? number(key) : fallback;
}

bool GoldenCase::flag(const std::string& key, bool fallback) const {
    asked_.insert(key);
    return has_value(key) ? value(key).get<bool>() : fallback;
}

std::string GoldenCase::text(const std::string& key, const std::string& fallback) const {
    asked_.insert(key);
    return has_value(key) ? value(key).get<std::string>() : fallback;
}

std::vector<std::string> GoldenCase::texts(const std::string& key) const {
    return value(key).get<std::vector<std::string>>();
}

std::vector<double> GoldenCase::numbers(const std::string& key) const {
    return value(key).get<std::vector<double>>();
}

std::vector<double> GoldenCase::numbers(const std::string& key, const std::vector<double>& fallback) const {
    asked_.insert(key);
    return has_value(key) ? numbers(key) : fallback;
}

std::pair<std::optional<double>, std::optional<double>> GoldenCase::numbers_or_null(
    const std::string& key) const {
    const nlohmann::json& pair = value(key);
    const auto at = [&](std::size_t i) {
        return pair.at(i).is_null() ? std::nullopt : std::optional<double>(pair.at(i).get<double>());
    };
    return {at(0), at(1)};
}

GoldenTensor GoldenCase::tensor(const std::string& tensor) const {
    const FileTensor* found = reader_.find(tensor);
    if (found == nullptr) throw std::runtime_error("tensor \"" + tensor + "\" is missing");
    read_.insert(tensor);
    const auto replaced = replaced_.find(tensor);
    return {Shape(std::span<const std::uint64_t>(found->shape)),
            replaced == replaced_.end() ? reader_.read_as_double(tensor) : replaced->second};
}

std::vector<std::string> GoldenCase::tensor_names() const {
    std::vector<std::string> names;
    for (const FileTensor& tensor : reader_.tensors()) names.push_back(tensor.name);
    std::sort(names.begin(), names.end());
    return names;
}

std::vector<std::string> GoldenCase::parameters() const {
    if (has_tensor("g.1")) return {""};
    std::vector<std::string> names;
    while (has_tensor(tensor_name("g", "p" + std::to_string(names.size()), 1)))
        names.push_back("p" + std::to_string(names.size()));
    if (names.empty()) throw std::runtime_error("there is neither a tensor \"g.1\" nor \"g.p0.1\"");
    return names;
}

std::string GoldenCase::tensor_name(const std::string& kind, const std::string& parameter, int step) {
    return kind + "." + (parameter.empty() ? "" : parameter + ".") + std::to_string(step);
}

bool GoldenCase::feeds_weights() const {
    std::string notes = metadata("notes");
    std::transform(notes.begin(), notes.end(), notes.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return notes.find("feed") != std::string::npos && notes.find("w.(t-1)") != std::string::npos;
}

std::vector<std::string> GoldenCase::unread() const {
    std::vector<std::string> names;
    for (const auto& [key, unused] : hyper_->items())
        if (!asked_.contains(key)) names.push_back("hyperparameter \"" + key + "\"");
    for (const std::string& name : tensor_names())
        if (!read_.contains(name)) names.push_back("tensor \"" + name + "\"");
    return names;
}

namespace {

double relative(double difference, double size) {
    if (std::isnan(difference)) return std::numeric_limits<double>::infinity();
    if (size == 0.0) return difference == 0.0 ? 0.0 : std::numeric_limits<double>::infinity();
    return difference / size;
}

void require_equal_sizes(std::span<const double> a, std::span<const double> b) {
    if (a.size() != b.size())
        throw std::runtime_error("compared " + std::to_string(a.size()) + " elements with " +
                                 std::to_string(b.size()));
}

}  // namespace

double frobenius_error(std::span<const double> computed, std::span<const double> expected) {
    require_equal_sizes(computed, expected);
    double difference = 0.0, size = 0.0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        difference = std::hypot(difference, computed[i] - expected[i]);
        size = std::hypot(size, expected[i]);
    }
    return relative(difference, size);
}

double maximum_error(std::span<const double> computed, std::span<const double> expected) {
    require_equal_sizes(computed, expected);
    double difference = 0.0, size = 0.0;
    for (std::size_t i = 0; i < expected.size(); ++i) {
        const double d = std::abs(computed[i] - expected[i]);
        difference = std::isnan(d) ? d : std::isnan(difference) ? difference : std::max(difference, d);
        size = std::max(size, std::abs(expected[i]));
    }
    return relative(difference, size);
}

void GoldenResult::add(std::string_view what, double error, double bound) {
    const double before = ratio();
    const double now = error == 0.0 ? 0.0 : error / bound;
    if (what_.empty() || now > before || std::isnan(now)) {
        what_ = what;
        error_ = std::isnan(now) ? std::numeric_limits<double>::infinity() : error;
        bound_ = bound;
    }
}

double GoldenResult::ratio() const { return error_ == 0.0 ? 0.0 : error_ / bound_; }
bool GoldenResult::ok() const { return !empty() && ratio() <= 1.0; }

void run_golden(std::string_view algorithm, std::string_view device,
                const std::function<void(const GoldenCase&, GoldenResult&)>& check) {
    const std::filesystem::path folder = golden_folder() / algorithm;
    std::vector<std::filesystem::path> files;
    std::error_code missing;
    for (const auto& entry : std::filesystem::directory_iterator(folder, missing))
        if (entry.path().extension() == ".safetensors") files.push_back(entry.path());
    std::sort(files.begin(), files.end());
    if (files.empty()) {
        ADD_FAILURE() << "no golden vectors in " << folder;
        return;
    }
    for (const std::filesystem::path& file : files) {
        const std::string name = std::string(algorithm) + "/" + file.stem().string();
        GoldenResult result;
        std::string problem;
        try {
            const GoldenCase golden(file);
            check(golden, result);
            for (const std::string& unread : golden.unread())
                problem += (problem.empty() ? "" : ", ") + unread + " is not known to this test";
            if (problem.empty() && result.empty()) problem = "nothing was compared";
        } catch (const std::exception& error) {
            problem = error.what();
        }
        const bool ok = problem.empty() && result.ok();
        std::printf("golden %s | %.*s | error=%.3g bound=%.3g | %s\n", name.c_str(),
                    static_cast<int>(device.size()), device.data(),
                    problem.empty() ? result.error() : std::numeric_limits<double>::infinity(),
                    result.bound(), ok ? "ok" : "FAILED");
        std::fflush(stdout);
        if (!ok)
            ADD_FAILURE() << name << " on " << device << ": "
                          << (problem.empty() ? result.what() + ": error " + std::to_string(result.error()) +
                                                    ", bound " + std::to_string(result.bound())
                                              : problem);
    }
}

}  // namespace heron::test
