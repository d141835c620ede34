// SPDX-License-Identifier: MIT
// MKOR against the authors' package (published recurrence), and against a float64 transcription of the
// paper's formula and of the exact inverse.
//
// The package adds the rows of grad_accum_steps = K micro-batches up, each over K and cut to +-clipping_value
// after that, before it takes their mean: that is the mean over all rows, cut to +-K clipping_value. With
// half_precision it keeps captures and inverses in f16 and calculates in it; here inverses alone are f16.
// Output gradients come in over grad_scale. opt_kw goes to torch.optim's SGD or Adam. Files' directions are
// what those see; here what their averages have moved by.
#include <algorithm>
#include <cstdint>
#include <map>
#include <span>
#include <stdexcept>
#include <vector>

#include "golden/captured_golden.hpp"
#include "golden/layer_golden.hpp"
#include "support/polar_reference.hpp"

namespace heron::test {
namespace {

class MkorGoldenTest : public CapturedGoldenTest {
public:
    void run_mkor(const GoldenCase& golden, GoldenResult& result) {
        MkorOptions options;
        options.recurrence = MkorRecurrence::published;
        options.lr = static_cast<float>(golden.number("opt_kw.lr", golden.number("lr")));
        options.clip = static_cast<float>(golden.number("clipping_value"));
        options.refresh.interval = static_cast<std::uint32_t>(golden.number("inv_freq"));
        options.warmup_steps = static_cast<std::uint32_t>(golden.number("warmup_steps"));
        options.step.weight_decay =
            static_cast<float>(golden.number("opt_kw.weight_decay", golden.number("weight_decay")));
        options.step.momentum = golden.number("opt_kw.momentum", golden.number("momentum"));
        golden.number("stabilization_factor", 0);  // the package has no use for these
        golden.number("stat_decay", 0);
        golden.flag("bias", true);
        const double micro_batches = golden.number("grad_accum_steps");
        if (!(micro_batches >= 1)) throw std::runtime_error("grad_accum_steps is not 1 or more");
        options.clip *= static_cast<float>(micro_batches);
        const bool half = golden.flag("half_precision", false);
        if (half) options.factor_dtype = DType::f16;
        const std::string base = golden.text("backend_optimizer", "sgd");
        golden.is_null("opt_kw");
        if (base == "adam") {
            options.base = MkorBase::adam;
            const std::vector<double> betas = golden.numbers("opt_kw.betas", {0.9, 0.999});
            options.beta1 = betas.at(0);
            options.beta2 = betas.at(1);
            options.eps = static_cast<float>(golden.number("opt_kw.eps", 1e-8));
            if (golden.flag("opt_kw.amsgrad", false)) throw std::runtime_error("Mkor has no AMSGrad");
        } else if (base == "sgd") {
            options.step.nesterov = golden.flag("opt_kw.nesterov", false);
            options.step.dampening = golden.number("opt_kw.dampening", 0.0);
        } else {
            throw std::runtime_error("backend_optimizer \"" + base + "\" is not known to this test");
        }
        CapturedGolden setup;
        setup.loss = LossReduction::none;
        setup.loss_terms = golden.number("batch") * golden.number("grad_scale", 1.0);
        setup.micro_batches = static_cast<int>(micro_batches);
        skip_sizes(golden);
        const std::optional<ConvPatches> patches = patches_of(golden);
        setup.bound = float32_bound(golden) + (half ? half_bound(golden, options) : 0);
        setup.make = [&](const Device& on) { return std::make_unique<Mkor>(on, options); };
        setup.state = states({{"Ainv", "R_inverse"}, {"Ginv", "L_inverse"}}, half);
        setup.direction = direction_of(options);
        run_captured(golden, result, setup, patches);
    }

    void run_paper(const GoldenCase& golden, GoldenResult& result) {
        MkorOptions options;
        const std::string form = golden.text("form", "");
        if (form.starts_with("printed"))
            options.recurrence = MkorRecurrence::printed;
        else if (!form.starts_with("exact"))
            throw std::runtime_error("form \"" + form + "\" is not known to this test");
        options.factor_decay = golden.number("gamma");
        options.lr = static_cast<float>(golden.number("lr"));
        options.norm_threshold = static_cast<float>(golden.number("norm_threshold"));
        options.blend = golden.number("zeta");
        options.refresh.interval = 1;
        options.step.momentum = 0;
        CapturedGolden setup;
        setup.loss = LossReduction::sum;
        // One sample: its captures are their means.
        setup.captures = {"abar", "gbar"};
        setup.bound = float32_bound(golden);
        setup.make = [&](const Device& on) { return std::make_unique<Mkor>(on, options); };
        setup.state = states({{"R", "R_inverse"}, {"L", "L_inverse"}}, false);
        run_captured(golden, result, setup, {});
    }

private:
    static CapturedDirection direction_of(const MkorOptions& options) {
        CapturedDirection direction;
        direction.decay = static_cast<double>(options.step.weight_decay);
        direction.lr = static_cast<double>(options.lr);
        if (options.base == MkorBase::adam) {
            direction.average = "m";
            direction.kept = options.beta1;
            direction.taken = 1 - options.beta1;
        } else if (options.step.momentum > 0) {
            direction.average = "momentum";
            direction.kept = options.step.momentum;
            direction.taken = 1 - options.step.dampening;
            direction.first_whole = true;
        }
        return direction;
    }

    // What f16 takes of updates and inverses. A renewal of the package rounds the mean, P', P' v, the
    // quotient, its product with P' v, that with its transpose, and P; the one here P: eight roundings of two
    // inverses.
    static double half_bound(const GoldenCase& golden, const MkorOptions& options) {
        int steps = 0;
        while (golden.has_tensor("g." + std::to_string(steps + 1))) ++steps;
        const int every = static_cast<int>(options.refresh.interval);
        const int renewals =
            std::max((steps + every - 1) / every, std::min(steps, static_cast<int>(options.warmup_steps)));
        return 2 * 8 * 0x1p-11 * renewals;
    }

    // `names`: of the file, of the plan.
    static std::function<std::vector<double>(const Plan&, const std::string&)> states(
        std::map<std::string, std::string> names, bool half) {
        return [names = std::move(names), half](const Plan& plan, const std::string& state) {
            const auto found = names.find(state);
            if (found == names.end())
                throw std::runtime_error("state \"" + state + "\" is not known to this test");
            const std::string name = "w." + found->second;
            if (!half) {
                const std::vector<float> values = read_floats(plan, name);
                return std::vector<double>(values.begin(), values.end());
            }
            std::vector<std::uint16_t> words(plan.state_view(name).shape.count());
            plan.read_state(name, std::as_writable_bytes(std::span(words)));
            std::vector<double> values;
            for (const std::uint16_t word : words) values.push_back(static_cast<double>(f16_to_f32(word)));
            return values;
        };
    }
};

struct PackageSettings {
    int micro_batches = 1;
    bool half = false;  // f16 in place of f64
    double grad_scale = 1;
    bool nesterov = false;
    double dampening = 0;
};

// A file of the package's steps as its code takes them, micro-batch after micro-batch.
class PackageGolden : public LayerGolden {
public:
    explicit PackageGolden(const PackageSettings& settings)
        : LayerGolden("mkor_package" + std::to_string(settings.micro_batches) +
                      std::to_string(settings.half) + std::to_string(settings.nesterov)),
          micro_batches_(settings.micro_batches),
          half_(settings.half) {
        Matrix w = drawn(kOutputs, kInputs + 1), momentum = Matrix::Zero(kOutputs, kInputs + 1);
        Matrix left = Matrix::Identity(kOutputs, kOutputs),
               right = Matrix::Identity(kInputs + 1, kInputs + 1);
        add_parts("w.0", "b.0", w);
        for (int t = 1; t <= 4; ++t) {
            const std::string step = "." + std::to_string(t);
            Matrix a_sum = Matrix::Zero(kSamples, kInputs + 1), s_sum = Matrix::Zero(kSamples, kOutputs),
                   g = Matrix::Zero(kOutputs, kInputs + 1);
            for (int k = 1; k <= micro_batches_; ++k) {
                const std::string micro = micro_batches_ > 1 ? step + "." + std::to_string(k) : step;
                const Matrix a = drawn(kSamples, kInputs), s = drawn(kSamples, kOutputs);
                add_matrix("a" + micro, a);
                add_matrix("s" + micro, s);
                Matrix with_ones = Matrix::Ones(kSamples, kInputs + 1);
                with_ones.leftCols(kInputs) = a;
                a_sum = rounded(a_sum + cut(with_ones));
                s_sum = rounded(s_sum + cut(s / settings.grad_scale));
                g += s.transpose() * with_ones / (kSamples * micro_batches_);
            }
            if (t > 1) {
                right = renewed(right, rounded(a_sum.colwise().mean().transpose()));
                left = renewed(left, rounded(s_sum.colwise().mean().transpose()));
            }
            g = g.cast<float>().cast<double>();
            Matrix d = left * g * right;
            d *= (g.leftCols(kInputs).norm() + g.rightCols(1).norm()) /
                 (d.leftCols(kInputs).norm() + d.rightCols(1).norm());
            momentum = t > 1 ? Matrix(0.9 * momentum + (1 - settings.dampening) * d) : d;
            w -= 0.0625 * (settings.nesterov ? Matrix(d + 0.9 * momentum) : momentum);
            add_parts("g" + step, "gb" + step, g);
            add_parts("pg" + step, "pgb" + step, d);
            add_parts("w" + step, "b" + step, w);
            add_matrix("state.Ainv" + step, right);
            add_matrix("state.Ginv" + step, left);
        }
        write({{"hyper", R"({"backend_optimizer": "sgd", "batch": 5, "bias": true, "clipping_value": 0.5,
                  "conv": null, "inv_freq": 1, "lr": 0.0625, "m": 3, "momentum": 0.9, "n": 4,
                  "seqlen": null, "stabilization_factor": 0.1, "warmup_steps": 0, "weight_decay": 0.0,
                  "grad_accum_steps": )" +
                             std::to_string(micro_batches_) +
                             ", \"grad_scale\": " + std::to_string(settings.grad_scale) +
                             ", \"half_precision\": " + (half_ ? "true" : "false") +
                             ", \"opt_kw\": {\"nesterov\": " + (settings.nesterov ? "true" : "false") +
                             ", \"dampening\": " + std::to_string(settings.dampening) + "}}"},
               {"kind", "official"}});
    }

private:
    static constexpr int kSamples = 5, kInputs = 4, kOutputs = 3;

    Matrix rounded(const Matrix& x) const {
        if (!half_) return x;
        return x.unaryExpr([](double value) {
            return static_cast<double>(f16_to_f32(f32_to_f16(static_cast<float>(value))));
        });
    }
    Matrix cut(const Matrix& rows) const {
        return rounded((rows / micro_batches_).cwiseMax(-0.5).cwiseMin(0.5));
    }
    Matrix renewed(const Matrix& p, const Matrix& v) const {
        const Matrix blended =
            rounded(rounded(0.95 * p) + rounded(0.05 * Matrix::Identity(p.rows(), p.rows())));
        const Matrix y = rounded(blended * v), q = rounded(y.transpose() * v);
        const Matrix share = rounded(rounded(Matrix::Ones(1, 1) + q).cwiseInverse());
        return rounded(blended - rounded(rounded(share(0, 0) * y) * y.transpose()));
    }

    void add_parts(const std::string& weight, const std::string& bias, const Matrix& both) {
        const Matrix ones = both.rightCols(1);
        add_matrix(weight, both.leftCols(kInputs));
        add(bias, Shape{kOutputs}, {ones.data(), ones.data() + ones.size()});
    }

    int micro_batches_;
    bool half_;
};

TEST_P(MkorGoldenTest, OptionsOfTheOfficialCodeThatNoFileHas) {
    const auto passes = [&](const PackageSettings& settings) {
        return PackageGolden(settings).passes(
            [&](const GoldenCase& golden, GoldenResult& result) { run_mkor(golden, result); });
    };
    for (const int micro_batches : {1, 3})
        for (const bool half : {false, true}) {
            SCOPED_TRACE(std::to_string(micro_batches) + " micro-batches" + (half ? ", f16" : ""));
            EXPECT_TRUE(passes({.micro_batches = micro_batches, .half = half}));
        }
    EXPECT_TRUE(passes({.grad_scale = 4, .nesterov = true}));
    EXPECT_TRUE(passes({.dampening = 0.5}));
}

TEST_P(MkorGoldenTest, EveryFile) {
    run_golden("mkor", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_mkor(golden, result); });
}
TEST_P(MkorGoldenTest, EveryFileOfThePaper) {
    run_golden("mkor_paper", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_paper(golden, result); });
}

HERON_DEVICE_TESTS(MkorGoldenTest);

}  // namespace
}  // namespace heron::test
