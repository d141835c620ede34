// SPDX-License-Identifier: MIT
// The orthogonalizing optimizers beside Muon: blocks of a parameter, and options that are refused.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "optim/registry_ortho.hpp"

namespace heron::test {
namespace {

class OrthoTest : public DeviceTest {
protected:
    // `make` must throw invalid_argument with the algorithm's and the option's name.
    template <class Make>
    static void refused(const Make& make, const std::string& algorithm, const std::string& option) {
        try {
            make();
            ADD_FAILURE() << algorithm << ": " << option << " not refused";
        } catch (const Error& error) {
            EXPECT_EQ(error.code(), ErrorCode::invalid_argument) << error.what();
            EXPECT_NE(std::string(error.what()).find(algorithm + ": "), std::string::npos) << error.what();
            EXPECT_NE(std::string(error.what()).find(option), std::string::npos) << error.what();
        }
    }
    template <class Algorithm, class Options, class Change>
    void refuses(const Options& valid, const std::string& algorithm, const std::string& option,
                 const Change& change) {
        Options options = valid;
        change(options);
        refused([&] { Algorithm(device(), options); }, algorithm, option);
    }
};

// Odd sizes: blocks begin at addresses that are no multiples of 16.
TEST_P(OrthoTest, BlocksMoveLikeMatricesOfTheirOwn) {
    for (const OptimizerCase& entry : registry::ortho_cases()) {
        SCOPED_TRACE(entry.name);
        Training together(device(), entry.make,
                          {{.name = "splits", .shape = {12, 7}, .view = {.row_splits = {5, 4, 3}}},
                           {.name = "experts", .shape = {2, 5, 9}, .view = {.batch = true}}});
        Training apart(device(), entry.make,
                       {{.name = "q", .shape = {5, 7}},
                        {.name = "k", .shape = {4, 7}},
                        {.name = "v", .shape = {3, 7}},
                        {.name = "first", .shape = {5, 9}},
                        {.name = "second", .shape = {5, 9}}});
        const std::size_t owner[] = {0, 0, 0, 1, 1};
        const std::size_t first[] = {0, 35, 63, 0, 45};
        const auto part = [&](const std::vector<float>& values, std::size_t i) {
            const auto begin = values.begin() + static_cast<std::ptrdiff_t>(first[i]);
            return std::vector<float>(begin, begin + static_cast<std::ptrdiff_t>(apart.tensor(i).count()));
        };
        for (std::size_t i = 0; i < apart.size(); ++i)
            apart.tensor(i).set_weight(part(together.tensor(owner[i]).weight(), i));
        for (unsigned step = 1; step <= 2; ++step) {
            together.draw_gradients(step);
            for (std::size_t i = 0; i < apart.size(); ++i)
                apart.tensor(i).set_gradient(part(together.tensor(owner[i]).gradient_values(), i));
            together.plan().run();
            apart.plan().run();
        }
        for (std::size_t i = 0; i < apart.size(); ++i)
            EXPECT_EQ(apart.tensor(i).weight(), part(together.tensor(owner[i]).weight(), i)) << i;
    }
}

TEST_P(OrthoTest, OptionsOutOfRange) {
    const auto normuon = [&](const char* option, auto change) {
        refuses<NorMuon>(NorMuonOptions(), "NorMuon", option, change);
    };
    normuon("lr", [](NorMuonOptions& o) { o.lr = -1; });
    normuon("momentum", [](NorMuonOptions& o) { o.momentum = 1; });
    normuon("beta2", [](NorMuonOptions& o) { o.beta2 = 1; });
    normuon("weight_decay", [](NorMuonOptions& o) { o.weight_decay = -1; });
    normuon("eps", [](NorMuonOptions& o) { o.eps = 0; });
    normuon("variance_rule", [](NorMuonOptions& o) { o.variance_rule = static_cast<NormRule>(2); });
    normuon("rescale_rule", [](NorMuonOptions& o) { o.rescale_rule = static_cast<NormRule>(2); });
    normuon("lines", [](NorMuonOptions& o) { o.lines = static_cast<NorMuonLines>(2); });
    normuon("scale", [](NorMuonOptions& o) { o.scale = static_cast<NorMuonScale>(2); });
    normuon("momentum_rule", [](NorMuonOptions& o) { o.momentum_rule = static_cast<MomentumRule>(2); });
    normuon("shape_factor", [](NorMuonOptions& o) { o.shape_factor = static_cast<ShapeFactor>(5); });
    normuon("decay", [](NorMuonOptions& o) { o.decay = static_cast<DecayForm>(4); });
    normuon("conv_factor", [](NorMuonOptions& o) { o.conv_factor = static_cast<ConvFactor>(2); });
    normuon("lines must be rows", [](NorMuonOptions& o) {
        o.conv_factor = ConvFactor::kernel;
        o.lines = NorMuonLines::shorter_side;
    });
    normuon("polar.guarded", [](NorMuonOptions& o) { o.polar.guarded = false; });

    const auto adamuon = [&](const char* option, auto change) {
        refuses<AdaMuon>(AdaMuonOptions(), "AdaMuon", option, change);
    };
    adamuon("lr", [](AdaMuonOptions& o) { o.lr = -1; });
    adamuon("momentum", [](AdaMuonOptions& o) { o.momentum = 1; });
    adamuon("weight_decay", [](AdaMuonOptions& o) { o.weight_decay = -1; });
    adamuon("eps", [](AdaMuonOptions& o) { o.eps = 0; });
    adamuon("rms", [](AdaMuonOptions& o) { o.rms = 0; });
    adamuon("momentum_rule", [](AdaMuonOptions& o) { o.momentum_rule = static_cast<MomentumRule>(2); });
    adamuon("decay", [](AdaMuonOptions& o) { o.decay = static_cast<DecayForm>(4); });
    adamuon("polar.guarded", [](AdaMuonOptions& o) { o.polar.guarded = false; });
}

HERON_DEVICE_TESTS(OrthoTest);

}  // namespace
}  // namespace heron::test
