// SPDX-License-Identifier: MIT
// PSGD against psgd_torch, with the files' probes, products and random numbers.
#include <algorithm>
#include <limits>
#include <map>
#include <stdexcept>

#include "golden/optimizer_golden.hpp"
#include "optim/reference_psgd.hpp"

namespace heron::test {
namespace {

// The file's random numbers of a fit, in the order in which a reference takes them; in the places where the
// library looks for them.
class FileDraws : public PsgdDraws {
public:
    FileDraws(const GoldenCase& golden, std::vector<std::size_t> dense, std::size_t blocks, bool probes)
        : golden_(golden), dense_(std::move(dense)), blocks_(blocks), probes_(probes) {}

    std::vector<double> noise(std::uint64_t t, std::size_t count) override {
        next_ = 1;  // behind the gate
        if (probes_) take(t);
        const std::vector<double> z = take(t);
        placed.assign(count, 0.0f);
        for (std::size_t i = 0; i < count; ++i) placed[i] = static_cast<float>(z.at(i));
        return z;
    }
    std::vector<double> vectors(std::uint64_t t, std::size_t factor, std::size_t block,
                                std::size_t count) override {
        const std::vector<double> z = take(t);
        if (z.size() != count) throw std::runtime_error("a draw has another size");
        const std::size_t rows = count / dense_[factor];
        std::size_t first = elements_before(factor, rows) + block * count;
        placed.resize(std::max(placed.size(), first + count), 0.0f);
        for (const double x : z) placed[first++] = static_cast<float>(x);
        return z;
    }

    std::vector<float> placed;
    std::size_t elements = 0;

private:
    std::size_t elements_before(std::size_t factor, std::size_t rows) const {
        std::size_t first = elements;
        for (std::size_t f = 0; f < factor; ++f) first += blocks_ * rows * dense_[f];
        return first;
    }
    std::vector<double> take(std::uint64_t t) {
        return golden_.tensor("rng." + std::to_string(t) + "." + std::to_string(next_++) + ".normal").values;
    }
    const GoldenCase& golden_;
    std::vector<std::size_t> dense_;
    std::size_t blocks_;
    bool probes_;
    int next_ = 0;
};

class PsgdGoldenTest : public OptimizerGoldenTest {
public:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        const std::string kind = golden.text("kind", "");
        if (kind == "KronWhiten" || kind == "KronNewton")
            run_kron(golden, result, kind == "KronNewton");
        else if (kind == "LRAWhiten" || kind == "LRANewton")
            run_lra(golden, result, kind == "LRANewton");
        else
            throw std::runtime_error("kind \"" + kind + "\" is not known to this test");
    }

private:
    static PsgdGeometry geometry_of(const GoldenCase& golden) {
        const std::map<std::string, PsgdGeometry> known{
            {"Q0.5EQ1.5", PsgdGeometry::q05eq15}, {"Q0p5EQ1p5", PsgdGeometry::q05eq15},
            {"QEQ", PsgdGeometry::qeq},           {"QEP", PsgdGeometry::qep},
            {"QUAD", PsgdGeometry::quad},         {"EQ", PsgdGeometry::eq},
            {"PRO4P", PsgdGeometry::pro4p},       {"QUAD4P", PsgdGeometry::quad4p}};
        return known.at(golden.text("dQ", "Q0.5EQ1.5"));
    }
    // Where the official code has null, or infinity, nothing is clipped: 0 here.
    static float limited(const GoldenCase& golden, const char* key, double fallback) {
        return golden.is_null(key) ? 0.0f : static_cast<float>(golden.number(key, fallback));
    }
    template <class Options>
    static void read_clips(const GoldenCase& golden, Options& options) {
        const char* key = "grad_clip_max_amps";
        if (golden.is_null(key)) {
            options.clip_rms = options.clip_element = 0.0f;
        } else if (golden.has(key)) {
            const auto [rms, element] = golden.numbers_or_null(key);
            options.clip_rms = static_cast<float>(rms.value_or(0.0));
            options.clip_element = static_cast<float>(element.value_or(0.0));
        }
    }
    // Of what null leaves without a limit.
    static double most_of(const GoldenCase& golden, const char* key, double fallback) {
        return golden.is_null(key) ? std::numeric_limits<float>::max() : golden.number(key, fallback);
    }
    static std::vector<double> uniforms(const GoldenCase& golden, int t) {
        std::map<int, double> found;
        const std::string begin = "rng." + std::to_string(t) + ".", end = ".uniform";
        for (const std::string& name : golden.tensor_names())
            if (name.starts_with(begin) && name.ends_with(end))
                found[std::stoi(name.substr(begin.size()))] = golden.tensor(name).values.at(0);
        std::vector<double> result;
        for (const auto& [index, value] : found) result.push_back(value);
        return result;
    }

    // Gates as schedules of certainties: what the file's draws decided.
    struct Gates {
        Schedule fits, second;
    };
    static Gates gates_of(const GoldenCase& golden, double probability, double second, bool first_fits) {
        std::vector<float> fits, seconds;
        for (int t = 1; golden.has_tensor(GoldenCase::tensor_name("g", golden.parameters()[0], t)); ++t) {
            const std::vector<double> draws = uniforms(golden, t);
            const bool fit = draws.at(0) < probability || (first_fits && t == 1);
            fits.push_back(fit ? 1.0f : 0.0f);
            seconds.push_back(draws.size() > 1 && draws[1] < second ? 1.0f : 0.0f);
        }
        return {Schedule::sequence(fits), Schedule::sequence(seconds)};
    }

    template <class Options>
    static void read_common(const GoldenCase& golden, Options& options, bool newton) {
        options.lr = static_cast<float>(golden.number("lr_params", options.lr));
        options.momentum = golden.number("momentum", 0.0);
        if (!(options.momentum > 0 && options.momentum < 1)) options.momentum = 0;
        options.preconditioner_lr =
            static_cast<float>(golden.number("lr_preconditioner", options.preconditioner_lr));
        options.smoothness_decay = golden.number("betaL", options.smoothness_decay);
        options.damping = static_cast<float>(golden.number("damping", options.damping));
        const char* scale = "preconditioner_init_scale";
        if (golden.has(scale) && !golden.is_null(scale))
            options.initial_scale = static_cast<float>(golden.number(scale));
        if (newton) {
            options.clip_norm = limited(golden, "grad_clip_max_norm", 0.0);
            // Or a difference of gradients: the file's products are what the code took them for.
            golden.flag("exact_hessian_vector_product", true);
            return;
        }
        options.fit_first = golden.flag("update_preconditioner_first", true);
        if (!golden.flag("whiten_grad", true)) options.fit = PsgdFit::momentum;
        read_clips(golden, options);
    }

    void run_kron(const GoldenCase& golden, GoldenResult& result, bool newton) {
        PsgdKronOptions options = newton ? PsgdKronOptions::newton() : PsgdKronOptions();
        read_common(golden, options, newton);
        options.geometry = geometry_of(golden);
        options.max_order = static_cast<std::uint32_t>(
            std::min(most_of(golden, "preconditioner_max_size", options.max_order), 8192.0));
        options.max_skew = most_of(golden, "preconditioner_max_skew", options.max_skew);
        options.bound_rows = static_cast<std::uint32_t>(golden.number("norm_k", options.bound_rows));
        const Gates gates = gates_of(golden, golden.number("preconditioner_update_probability", 1.0), 0.01,
                                     newton && options.initial_scale == 0);
        options.update_schedule = gates.fits;
        options.balance_probability = 1.0f;
        options.balance_schedule = gates.second;

        OptimizerGolden setup;
        const double bound = float32_bound(golden);
        setup.update_bound = bound;
        for (int a = 0; a < 8; ++a) {
            setup.states["Q" + std::to_string(a)] = "Q" + std::to_string(a);
            setup.state_bounds["Q" + std::to_string(a)] = bound;
        }
        setup.compare_state = [bound](GoldenResult& to, const Plan& plan, const std::string& state,
                                      const GoldenTensor& expected, const std::string& in_plan, int t) {
            if (!state.starts_with("L")) return false;
            const std::size_t axis = std::stoul(state.substr(1));
            std::vector<float> values;
            for (const Plan::StateEntry& entry : plan.states())
                if (entry.name == in_plan + ".L") values.resize(entry.shape.count());
            plan.read_state(in_plan + ".L", std::as_writable_bytes(std::span(values)));
            to.add(state + " of step " + std::to_string(t),
                   maximum_error(std::vector<double>{values.at(axis)}, expected.values), bound);
            return true;
        };
        struct Inputs {
            GuardedBuffer *product, *probe, *draws;
            std::unique_ptr<PsgdReference> reference;  // knows which draw is whose
            std::shared_ptr<FileDraws> file;
            std::vector<double> w;
        };
        std::map<std::string, Inputs> inputs;
        setup.make = [&](const Device& on) { return std::make_unique<PsgdKron>(on, options); };
        setup.add = [&](Optimizer& optimizer, const Parameter& parameter, const std::string& in_file) {
            const Shape& shape = parameter.weight.shape;
            KronFactors factors;
            for (const std::uint64_t d : shape)
                if (d != 1) factors.extents.push_back(d);
            if (factors.extents.empty()) factors.extents = {1};
            std::size_t total = shape.count();
            const std::size_t blocks = options.geometry == PsgdGeometry::q05eq15 ? 2
                                       : options.geometry == PsgdGeometry::pro4p ? 11
                                                                                 : 1;
            for (const std::uint64_t d : factors.extents) {
                factors.dense.push_back(d > 1 && d <= options.max_order &&
                                        static_cast<double>(d * d) <=
                                            options.max_skew * static_cast<double>(shape.count()));
                if (factors.dense.back()) total += blocks * options.bound_rows * d;
            }
            Inputs& mine = inputs[in_file];
            mine.product = &guarded(std::vector<float>(shape.count(), 0.0f));
            mine.probe = &guarded(std::vector<float>(shape.count(), 0.0f));
            mine.draws = &guarded(std::vector<float>(total, 0.0f));
            mine.file = std::make_shared<FileDraws>(golden, factors.orders(), blocks, newton);
            mine.file->elements = shape.count();
            mine.reference = std::make_unique<PsgdReference>(options, shape, mine.file);
            mine.w = golden.tensor(GoldenCase::tensor_name("w", in_file, 0)).values;
            PsgdInputs given{.product = {}, .probe = {}, .draws = mine.draws->view(DType::f32, Shape{total})};
            if (newton) {
                given.product = mine.product->view(DType::f32, shape);
                given.probe = mine.probe->view(DType::f32, shape);
            }
            static_cast<PsgdKron&>(optimizer).add(parameter, given);
        };
        setup.prepare = [&](Plan&, const std::string& in_file, const std::string&, int t) {
            Inputs& mine = inputs.at(in_file);
            const std::string probe = GoldenCase::tensor_name("v", in_file, t);
            if (newton && golden.has_tensor(probe)) {  // only steps that fit have them
                const GoldenTensor v = golden.tensor(probe),
                                   hv = golden.tensor(GoldenCase::tensor_name("hv", in_file, t));
                mine.probe->write(v.floats());
                mine.product->write(hv.floats());
                mine.reference->probe = v.values;
                mine.reference->product = hv.values;
            }
            mine.file->placed.clear();
            const std::vector<double> g = golden.tensor(GoldenCase::tensor_name("g", in_file, t)).values;
            mine.reference->step(mine.w, g, static_cast<std::uint64_t>(t));
            if (!mine.file->placed.empty()) mine.draws->write(mine.file->placed);
            // The reference that placed the draws is right, too.
            result.add("reference's w of step " + std::to_string(t),
                       maximum_error(mine.w, golden.tensor(GoldenCase::tensor_name("w", in_file, t)).values),
                       2e-5);
        };
        run_case(golden, result, setup);
    }

    // U and V begin as the file's normal numbers, which the constructor scaled.
    static std::vector<double> scaled_normals(const GoldenCase& golden, const std::string& name) {
        std::vector<double> x = golden.tensor(name).values;
        double squares = 0;
        for (const double v : x) squares += v * v;
        for (double& v : x) v *= std::sqrt(0.1 / squares);
        return x;
    }
    // W of the plan: U, V and two columns of work.
    struct LowRank {
        std::vector<float> w;
        std::size_t rank;
        std::size_t width() const { return 2 * rank + 2; }
    };
    static LowRank read_w(const Plan& plan, std::size_t rank) {
        LowRank result{{}, rank};
        for (const Plan::StateEntry& entry : plan.states())
            if (entry.name == "psgd_lra.W") result.w.resize(entry.shape.count());
        plan.read_state("psgd_lra.W", std::as_writable_bytes(std::span(result.w)));
        return result;
    }

    void run_lra(const GoldenCase& golden, GoldenResult& result, bool newton) {
        PsgdLraOptions options = newton ? PsgdLraOptions::newton() : PsgdLraOptions();
        read_common(golden, options, newton);
        golden.number("norm_k", 0);  // of other kinds
        options.rank = static_cast<std::uint32_t>(golden.number("rank_of_approximation", options.rank));
        const Gates gates = gates_of(golden, golden.number("preconditioner_update_probability", 1.0), 0.5,
                                     newton && options.initial_scale == 0);
        options.update_schedule = gates.fits;
        options.u_probability = 1.0f;
        options.u_schedule = gates.second;
        const double bound = float32_bound(golden);
        struct Inputs {
            GuardedBuffer *product, *probe, *draws;
        };
        std::map<std::string, Inputs> inputs;
        OptimizerGolden setup;
        setup.update_bound = bound;
        setup.make = [&](const Device& on) { return std::make_unique<PsgdLra>(on, options); };
        setup.add = [&](Optimizer& optimizer, const Parameter& parameter, const std::string& in_file) {
            const Shape& shape = parameter.weight.shape;
            const std::vector<float> zeros(shape.count(), 0.0f);
            Inputs& mine = inputs[in_file] = {&guarded(zeros), &guarded(zeros), &guarded(zeros)};
            PsgdInputs given{.product = {}, .probe = {}, .draws = mine.draws->view(DType::f32, shape)};
            if (newton) {
                given.product = mine.product->view(DType::f32, shape);
                given.probe = mine.probe->view(DType::f32, shape);
            }
            static_cast<PsgdLra&>(optimizer).add(parameter, given);
        };
        setup.prepare = [&](Plan& plan, const std::string& in_file, const std::string&, int t) {
            if (t == 1 && options.rank > 0) {
                LowRank first = read_w(plan, options.rank);
                const std::vector<double> u = scaled_normals(golden, "rng.0.0.normal"),
                                          v = scaled_normals(golden, "rng.0.1.normal");
                for (std::size_t i = 0; i < u.size(); ++i) {
                    float* row = &first.w[i / options.rank * first.width() + i % options.rank];
                    row[0] = static_cast<float>(u[i]);
                    row[options.rank] = static_cast<float>(v[i]);
                }
                plan.write_state("psgd_lra.W", std::as_bytes(std::span(first.w)));
            }
            for (const char* empty : {"rng.0.0.normal", "rng.0.1.normal"})
                if (options.rank == 0) golden.ignore(empty);
            const std::string name = "rng." + std::to_string(t) + ".";
            if (newton && golden.has_tensor(GoldenCase::tensor_name("v", in_file, t))) {
                Inputs& mine = inputs.at(in_file);
                mine.probe->write(golden.tensor(GoldenCase::tensor_name("v", in_file, t)).floats());
                mine.product->write(golden.tensor(GoldenCase::tensor_name("hv", in_file, t)).floats());
                golden.ignore(name + "1.normal");  // v again
            }
            const std::string noise = name + (newton ? "2.normal" : "1.normal");
            if (golden.has_tensor(noise)) inputs.at(in_file).draws->write(golden.tensor(noise).floats());
        };
        setup.compare_state = [&](GoldenResult& to, const Plan& plan, const std::string& state,
                                  const GoldenTensor& expected, const std::string&, int t) {
            std::vector<double> computed;
            if (state == "U" || state == "V") {
                const LowRank now = read_w(plan, options.rank);
                for (std::size_t i = 0; i < expected.values.size(); ++i)
                    computed.push_back(now.w[i / options.rank * now.width() + i % options.rank +
                                             (state == "V" ? options.rank : 0)]);
            } else {
                const std::string name = state == "d" ? "psgd_lra.d" : "psgd_lra.L";
                std::vector<float> values(state == "d" ? (expected.values.size() + 3) / 4 * 4 : 3);
                plan.read_state(name, std::as_writable_bytes(std::span(values)));
                if (state == "d")
                    computed.assign(values.begin(),
                                    values.begin() + static_cast<std::ptrdiff_t>(expected.values.size()));
                else
                    computed = {values.at(state == "Ld" ? 0 : state == "LU" ? 1 : 2)};
            }
            to.add(state + " of step " + std::to_string(t), maximum_error(computed, expected.values), bound);
            return true;
        };
        run_case(golden, result, setup);
    }
};

TEST_P(PsgdGoldenTest, EveryFile) {
    run_golden("psgd", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

HERON_DEVICE_TESTS(PsgdGoldenTest);

}  // namespace
}  // namespace heron::test
