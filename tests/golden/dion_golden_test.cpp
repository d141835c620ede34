// SPDX-License-Identifier: MIT
// Dion against microsoft/dion: its simple form, which never transposes, and its reference form. Every file
// runs with every QR method, since they agree up to the signs of Q's columns; Cholesky QR in one pass only
// where Y is far from square, and so well-conditioned.
#include <stdexcept>

#include "golden/merged_golden.hpp"
#include "golden/optimizer_golden.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {
namespace {

class DionGoldenTest : public OptimizerGoldenTest {
public:
    static bool far_from_square(const GoldenCase& golden) {
        for (const std::string& name : golden.parameters()) {
            const Shape weight = golden.tensor(GoldenCase::tensor_name("w", name, 0)).shape;
            const Shape q = golden.tensor(GoldenCase::tensor_name("q", name, 0)).shape;
            if (2 * q[1] > std::min(weight[0], weight[1])) return false;
        }
        return true;
    }

    // Rounding of Y moves column j of its orthonormal basis, and so of Q, by p u |Y| / |R_jj|; the first
    // step's Y has the smallest |R_jj|, because Q is random there.
    static double bound_of_q(const GoldenCase& golden, bool transposes) {
        double bound = 2e-5;
        for (const std::string& name : golden.parameters()) {
            const GoldenTensor g = golden.tensor(GoldenCase::tensor_name("g", name, 1));
            const GoldenTensor q = golden.tensor(GoldenCase::tensor_name("q", name, 0));
            Matrix b = matrix_of(g.values, g.shape[0], g.shape[1]);
            if (transposes && g.shape[0] < g.shape[1]) b = Matrix(b.transpose());
            const Matrix y = b * matrix_of(q.values, q.shape[0], q.shape[1]);
            if (y.isZero(0)) continue;
            const Matrix basis = orthonormal_basis(y);
            for (Eigen::Index j = 0; j < y.cols(); ++j)
                bound = std::max(bound, static_cast<double>(y.rows()) * kUnit * spectral_norm(y) /
                                            std::abs(basis.col(j).dot(y.col(j))));
        }
        return bound;
    }

    void run_file(const GoldenCase& golden, GoldenResult& result) {
        DionOptions options;
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.momentum = golden.number("mu", options.momentum);
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.eps = golden.number("epsilon", options.eps);
        options.power_iterations = static_cast<std::uint32_t>(golden.number("power_iters", 1));
        options.oversample = golden.number("oversample", options.oversample);
        // The reference's files name the rank that its fraction comes to, too.
        const std::uint32_t rank = static_cast<std::uint32_t>(golden.number("rank", 0));
        options.transpose = golden.metadata("source").find("dion_simple") == std::string::npos;
        if (options.transpose) {
            options.rank_fraction = golden.number("rank_fraction", 1.0);
            options.rank_multiple = static_cast<std::uint32_t>(golden.number("rank_multiple_of", 1));
        } else {
            options.rank = rank;
        }
        const std::string method = golden.text("qr_method", "rcqr");
        if (method != "qr" && method != "cqr" && method != "rcqr")
            throw std::runtime_error("qr_method \"" + method + "\" is not known to this test");

        OptimizerGolden setup;
        setup.states = {{"momentum", "momentum"}, {"Q", "q"}};
        setup.first_states = {{"q", "q"}};
        setup.signless = {"Q"};
        setup.state_bounds = {{"Q", bound_of_q(golden, options.transpose)}};
        for (const auto& [name, qr] : {std::pair{"automatic: ", DionQr::automatic},
                                       {"householder: ", DionQr::householder},
                                       {"rcqr: ", DionQr::rcqr},
                                       {"cqr: ", DionQr::cqr}}) {
            if (qr == DionQr::cqr && !far_from_square(golden)) continue;
            options.qr = qr;
            setup.make = [options](const Device& on) { return std::make_unique<Dion>(on, options); };
            run_case(golden, result, setup, name);
        }
    }
};

TEST_P(DionGoldenTest, EveryFile) {
    run_golden("dion", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

TEST_P(DionGoldenTest, SeveralParametersOfOneFile) {
    expect_several_parameters(
        "dion", {"ref-f05-rcqr-wide", "ref-f05-rcqr-tall"}, "Q",
        [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

HERON_DEVICE_TESTS(DionGoldenTest);

}  // namespace
}  // namespace heron::test
