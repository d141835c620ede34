// SPDX-License-Identifier: MIT
// The golden runner itself: what it must not let pass.
#include <gtest/gtest-spi.h>
#include <gtest/gtest.h>

#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <limits>
#include <string>

#include "heron/state.hpp"
#include "support/golden.hpp"

namespace heron::test {
namespace {

class GoldenRunner : public ::testing::Test {
protected:
    void SetUp() override {
        folder_ =
            std::filesystem::path(::testing::TempDir()) /
            ("heron_golden_" + std::string(::testing::UnitTest::GetInstance()->current_test_info()->name()));
        std::filesystem::create_directories(folder_ / "algorithm");
        const char* before = std::getenv("HERON_GOLDEN_DIR");
        before_ = before == nullptr ? "" : before;
        setenv("HERON_GOLDEN_DIR", folder_.c_str(), 1);
    }
    void TearDown() override {
        if (before_.empty())
            unsetenv("HERON_GOLDEN_DIR");
        else
            setenv("HERON_GOLDEN_DIR", before_.c_str(), 1);
        std::filesystem::remove_all(folder_);
    }
    void write(const std::string& hyper) {
        const FileTensorSource tensor = FileTensorSource::scalar_f64("x", 2.0);
        write_safetensors(folder_ / "algorithm" / "case.safetensors", std::span(&tensor, 1),
                          {{"hyper", hyper}});
    }

    std::filesystem::path folder_;
    std::string before_;
};

// The case that passes: every test below takes one thing away from it.
void read_all(const GoldenCase& golden, GoldenResult& result) {
    result.add("x", std::abs(golden.tensor("x").values[0] - 2.0), golden.number("bound"));
}

// EXPECT_NONFATAL_FAILURE cannot use locals.
const std::function<void(const GoldenCase&, GoldenResult&)> kReadAll = read_all;

TEST_F(GoldenRunner, PassesACaseThatIsKnownAndEqual) {
    write(R"({"bound": 1e-6})");
    run_golden("algorithm", "no device", kReadAll);
}

TEST_F(GoldenRunner, FailsForAnEmptyFolder) {
    EXPECT_NONFATAL_FAILURE(run_golden("algorithm", "no device", kReadAll), "no golden vectors");
    EXPECT_NONFATAL_FAILURE(run_golden("missing", "no device", kReadAll), "no golden vectors");
}

TEST_F(GoldenRunner, TakesPythonsInfinityForNoLimit) {
    write(R"({"bound": 1e-6, "limit": Infinity, "limits": [2.0, Infinity]})");
    run_golden("algorithm", "no device", [](const GoldenCase& golden, GoldenResult& result) {
        read_all(golden, result);
        EXPECT_TRUE(golden.is_null("limit"));
        EXPECT_EQ(golden.numbers_or_null("limits").first, 2.0);
        EXPECT_FALSE(golden.numbers_or_null("limits").second.has_value());
    });
}

TEST_F(GoldenRunner, FailsForAnUnknownHyperparameter) {
    write(R"({"bound": 1e-6, "colour": 3})");
    EXPECT_NONFATAL_FAILURE(run_golden("algorithm", "no device", kReadAll), "colour");
}

TEST_F(GoldenRunner, FailsForAMissingHyperparameter) {
    write("{}");
    EXPECT_NONFATAL_FAILURE(run_golden("algorithm", "no device", kReadAll), "bound");
}

TEST_F(GoldenRunner, TakesNullForAbsentWhereThereIsAFallback) {
    write(R"({"bound": 1e-6, "n": null, "f": null, "t": null, "list": null, "inner": {"n": null}})");
    run_golden("algorithm", "no device", [](const GoldenCase& golden, GoldenResult& result) {
        read_all(golden, result);
        EXPECT_EQ(golden.number("n", 3), 3);
        EXPECT_EQ(golden.number("inner.n", 4), 4);
        EXPECT_TRUE(golden.flag("f", true));
        EXPECT_EQ(golden.text("t", "default"), "default");
        EXPECT_EQ(golden.numbers("list", {1, 2}), (std::vector<double>{1, 2}));
        EXPECT_TRUE(golden.is_null("n"));
        EXPECT_FALSE(golden.has_value("n"));
        EXPECT_FALSE(golden.has_value("absent"));
        EXPECT_THROW(golden.number("n"), std::exception);
    });
}

TEST_F(GoldenRunner, FailsForAMissingTensor) {
    write("{}");
    EXPECT_NONFATAL_FAILURE(run_golden("algorithm", "no device",
                                       [](const GoldenCase& golden, GoldenResult&) { golden.tensor("y"); }),
                            "y");
}

TEST_F(GoldenRunner, FailsForATensorThatNobodyRead) {
    write("{}");
    EXPECT_NONFATAL_FAILURE(
        run_golden("algorithm", "no device",
                   [](const GoldenCase&, GoldenResult& result) { result.add("nothing", 0, 1); }),
        "tensor \"x\"");
}

TEST_F(GoldenRunner, FailsForNoComparison) {
    write(R"({"bound": 1e-6})");
    EXPECT_NONFATAL_FAILURE(run_golden("algorithm", "no device",
                                       [](const GoldenCase& golden, GoldenResult&) {
                                           golden.tensor("x");
                                           golden.number("bound");
                                       }),
                            "nothing was compared");
}

TEST_F(GoldenRunner, FailsForABrokenFile) {
    write("not json");
    EXPECT_NONFATAL_FAILURE(run_golden("algorithm", "no device", kReadAll), "json");
}

TEST_F(GoldenRunner, KnowsOneParameterFromSeveral) {
    const auto parameters = [&](const std::vector<std::string>& names, const std::string& notes = "") {
        std::vector<FileTensorSource> tensors;
        for (const std::string& name : names) tensors.push_back(FileTensorSource::scalar_f64(name, 1.0));
        const std::filesystem::path file = folder_ / "algorithm" / "names.safetensors";
        write_safetensors(file, tensors, {{"hyper", "{}"}, {"notes", notes}});
        return GoldenCase(file);
    };
    EXPECT_EQ(parameters({"w.0", "g.1", "w.1"}).parameters(), std::vector<std::string>{""});
    EXPECT_EQ(parameters({"w.p0.0", "g.p0.1", "g.p1.1", "g.p1.2", "g.p3.1"}).parameters(),
              (std::vector<std::string>{"p0", "p1"}));
    EXPECT_THROW(parameters({"w.p0.0"}).parameters(), std::runtime_error);
    EXPECT_EQ(GoldenCase::tensor_name("w", "", 3), "w.3");
    EXPECT_EQ(GoldenCase::tensor_name("g", "p1", 12), "g.p1.12");
    EXPECT_TRUE(parameters({"g.1"}, "Feed each step the file's own w.(t-1).").feeds_weights());
    EXPECT_FALSE(parameters({"g.1"}, "the update w.t - w.(t-1) is compared").feeds_weights());
    EXPECT_FALSE(parameters({"g.1"}, "the div_ was fed a copy; feed the noise of the file").feeds_weights());
}

TEST(GoldenResult, KeepsTheWorstRatio) {
    GoldenResult result;
    EXPECT_FALSE(result.ok());
    result.add("small", 1e-9, 1e-6);
    EXPECT_TRUE(result.ok());
    result.add("worst", 5e-6, 1e-5);
    result.add("large but allowed", 1e-4, 1.0);
    EXPECT_TRUE(result.ok());
    EXPECT_EQ(result.what(), "worst");
    result.add("too large", 2e-5, 1e-5);
    EXPECT_FALSE(result.ok());
    result.add("fine again", 0.0, 1e-5);
    EXPECT_FALSE(result.ok());
    GoldenResult poisoned;
    poisoned.add("nan", std::nan(""), 1.0);
    EXPECT_FALSE(poisoned.ok());
    poisoned.add("fine", 0.0, 1.0);
    EXPECT_FALSE(poisoned.ok());
}

TEST(GoldenErrors, AreInfiniteForNaNAndForAnythingWhereZeroIsExpected) {
    const std::vector<double> zero = {0.0, 0.0}, one = {1.0, 0.0}, nan = {1.0, std::nan("")};
    EXPECT_EQ(frobenius_error(zero, zero), 0.0);
    EXPECT_EQ(frobenius_error(one, zero), std::numeric_limits<double>::infinity());
    EXPECT_EQ(frobenius_error(nan, one), std::numeric_limits<double>::infinity());
    EXPECT_EQ(maximum_error(nan, one), std::numeric_limits<double>::infinity());
    EXPECT_EQ(maximum_error(one, zero), std::numeric_limits<double>::infinity());
    EXPECT_EQ(maximum_error(zero, one), 1.0);
    EXPECT_EQ(frobenius_error(zero, one), 1.0);
}

}  // namespace
}  // namespace heron::test
