// SPDX-License-Identifier: MIT
// Dion against microsoft/dion: its simple form, which never transposes, and its reference form. Every file
// runs with every QR method, since they agree up to the signs of Q's columns; Cholesky QR in one pass only
// where Y is far from square, and so well-conditioned.
#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>

#include "golden/merged_golden.hpp"
#include "golden/optimizer_golden.hpp"
#include "golden/reference_golden.hpp"
#include "optim/reference_dion.hpp"
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

    // A file's matrix in float64, and what rounding does to it. Rounding of Y moves column j of its
    // orthonormal basis, and so of Q, by p u |Y| / |R_jj|.
    struct Followed {
        DionReference reference;
        double largest = 0;       // element of B = M + G, of which the momentum is what remains
        double worst_column = 0;  // of all steps
        double update = 0;        // of P Q^T, relative: both factors' columns move; steps add up
    };

    void follow(const GoldenCase& golden, const DionOptions& options, const std::string& in_file,
                const std::string& in_plan, int t) {
        const auto tensor = [&](const char* kind, int step) {
            return golden.tensor(GoldenCase::tensor_name(kind, in_file, step));
        };
        const GoldenTensor g = tensor("g", t);
        const std::uint64_t rows = g.shape[0], cols = g.shape[1];
        auto found = followed_.find(in_plan);
        if (t == 1) {
            found = followed_.insert_or_assign(in_plan, Followed{DionReference(options, rows, cols)}).first;
            found->second.reference.states["q"] = tensor("q", 0).values;
        }
        Followed& f = found->second;
        std::vector<double> sum = g.values;
        if (t > 1)
            for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += f.reference.states["momentum"][i];
        Matrix b = matrix_of(sum, rows, cols);
        if (options.transpose && rows < cols) b = Matrix(b.transpose());
        f.largest = b.cwiseAbs().maxCoeff();
        const std::vector<double>& q = f.reference.states["q"];
        const std::uint64_t long_side = static_cast<std::uint64_t>(b.cols());
        const Matrix y = b * matrix_of(q, long_side, q.size() / long_side);
        if (!y.isZero(0)) {
            const Matrix basis = orthonormal_basis(y);
            double squares = 0;
            for (Eigen::Index j = 0; j < y.cols(); ++j) {
                const double turn = static_cast<double>(y.rows()) * kUnit * spectral_norm(y) /
                                    std::abs(basis.col(j).dot(y.col(j)));
                f.worst_column = std::max(f.worst_column, turn);
                squares += turn * turn;
            }
            f.update += 2 * std::sqrt(squares / static_cast<double>(y.cols()));
        }
        std::vector<double> weight(g.values.size());
        f.reference.step(weight, g.values, static_cast<std::uint64_t>(t));
    }

    void run_file(const GoldenCase& golden, GoldenResult& result) {
        DionOptions options;
        options.lr = static_cast<float>(golden.number("lr", options.lr));
        options.momentum = golden.number("mu", options.momentum);
        options.weight_decay = static_cast<float>(golden.number("weight_decay", options.weight_decay));
        options.eps = golden.number("epsilon", options.eps);
        options.power_iterations = static_cast<std::uint32_t>(golden.number("power_iters", 1));
        // The constructor's name for it, and that of the parameter group.
        for (const char* name : {"rcqr_oversample", "oversample"})
            options.oversample = golden.number(name, options.oversample);
        // The reference's files name the rank that its fraction comes to, too.
        const std::uint32_t rank = static_cast<std::uint32_t>(golden.number("rank", 0));
        options.transpose = golden.metadata("source").find("dion_simple") == std::string::npos;
        if (options.transpose) {
            options.rank_fraction = golden.number("rank_fraction", 1.0);
            options.rank_multiple = static_cast<std::uint32_t>(golden.number("rank_multiple_of", 1));
        } else {
            options.rank = rank;
        }
        // Of so many first steps with another method that comes to the same.
        golden.number("cqr_warmup_steps", 0);
        const std::string method = golden.text("qr_method", "rcqr");
        if (method != "qr" && method != "cqr" && method != "rcqr")
            throw std::runtime_error("qr_method \"" + method + "\" is not known to this test");

        OptimizerGolden setup;
        setup.first_states = {{"q", "q"}};
        setup.prepare = [&](Plan&, const std::string& in_file, const std::string& in_plan, int t) {
            follow(golden, options, in_file, in_plan, t);
        };
        setup.conditioning = [&](const std::string& in_plan, int) { return followed_.at(in_plan).update; };
        setup.compare_state = [&](GoldenResult& to, const Plan& plan, const std::string& state,
                                  const GoldenTensor& expected, const std::string& in_plan, int t) {
            const Followed& f = followed_.at(in_plan);
            if (state != "momentum" && state != "Q") return false;
            std::vector<double> computed =
                read_state(plan, in_plan + (state == "Q" ? ".q" : ".momentum"), expected.values.size());
            const std::string what = state + " of step " + std::to_string(t);
            if (state == "Q") {
                turn_columns(computed, expected);
                to.add(what, maximum_error(computed, expected.values), std::max(2e-5, f.worst_column));
                return true;
            }
            // What is left of B has the roundings of B, and of the projection that was taken off it.
            double error = 0;
            for (std::size_t i = 0; i < computed.size(); ++i)
                error = std::max(error, std::abs(computed[i] - expected.values[i]));
            to.add(what, f.largest > 0 ? error / f.largest : error,
                   6e-6 + (1 - options.momentum) * f.worst_column);
            return true;
        };
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

private:
    std::map<std::string, Followed> followed_;  // by the parameter's name in the plan
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

// With mu = 0 and a full rank nothing of the momentum remains but roundings.
TEST_P(DionGoldenTest, MomentumOfZero) {
    for (const std::uint64_t rank : {7u, 3u}) {
        DionOptions options;
        options.momentum = 0;
        options.rank = static_cast<std::uint32_t>(rank);
        const ReferenceGolden file(
            {.name = "mu0",
             .hyper = R"({"mu": 0.0, "qr_method": "cqr", "cqr_warmup_steps": 2, "rank_fraction": )" +
                      std::to_string(static_cast<double>(rank) / 7) + "}",
             .shape = {7, 12},
             .states = {{"momentum", "momentum", {7, 12}}, {"Q", "q", {7, rank}}},
             .first = {{"q", "q", {7, rank}}}},
            DionReference(options, 7, 12));
        EXPECT_TRUE(file.passes([&](const GoldenCase& golden, GoldenResult& result) {
            run_file(golden, result);
        })) << rank;
    }
}

HERON_DEVICE_TESTS(DionGoldenTest);

}  // namespace
}  // namespace heron::test
