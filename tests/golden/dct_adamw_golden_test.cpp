// SPDX-License-Identifier: MIT
// DCT-AdamW against its authors' code.
//
// A file's slots come in the order that its top-k routine returned, ours in another. Without rotation moments
// stay with their slots: before each step ours are moved as the file's slots are about to, so that each meets
// the same vector. m and v are compared slot by slot in the file's order.
#include <algorithm>
#include <limits>
#include <map>
#include <stdexcept>

#include "golden/merged_golden.hpp"
#include "golden/optimizer_golden.hpp"
#include "golden/reference_golden.hpp"
#include "optim/reference_subspace.hpp"

namespace heron::test {
namespace {

using Slots = std::vector<std::uint32_t>;

// Where a vector that is chosen again keeps its slot, and the others take the free ones, both in rising
// order.
Slots next_slots(const Slots& before, Slots chosen) {
    std::sort(chosen.begin(), chosen.end());
    Slots after = before;
    Slots free;
    after.resize(chosen.size());
    for (std::uint32_t slot = 0; slot < after.size(); ++slot) {
        const auto found =
            before.empty() ? chosen.end() : std::find(chosen.begin(), chosen.end(), after[slot]);
        if (found == chosen.end())
            free.push_back(slot);
        else
            chosen.erase(found);
    }
    for (std::size_t i = 0; i < free.size(); ++i) after[free[i]] = chosen.at(i);
    return after;
}

class DctAdamWGoldenTest : public OptimizerGoldenTest {
public:
    void run_file(const GoldenCase& golden, GoldenResult& result) {
        DctAdamWOptions options;
        set_adam_options(golden, options);
        options.rank = static_cast<std::uint32_t>(golden.number("rank"));
        options.gap = static_cast<std::uint32_t>(golden.number("update_proj_gap", 1));
        options.rotate = golden.flag("rotate_subspace", false);
        options.error_feedback = golden.flag("use_ef", false);
        const std::string similarity = golden.text("sim_type", "matmul");
        if (similarity == "makhoul")
            options.vectors = DctVectors::rows;
        else if (similarity != "matmul")
            throw std::runtime_error("sim_type \"" + similarity + "\" is not known to this test");
        const double norm = golden.number("ell_norm", 1);
        options.weighted_norms = norm < 0;
        // With "makhoul" ell_norm is that of the vectors alone.
        if (similarity == "matmul")
            options.norm = static_cast<float>(std::abs(norm));
        else if (norm == -2)
            options.weighted_norms = false;  // by 1
        else if (norm < 0 && norm != -1)
            throw std::runtime_error("ell_norm " + std::to_string(norm) +
                                     " with makhoul is not known to this test");
        if (const std::string basis = golden.text("proj", "dct"); basis != "dct")
            throw std::runtime_error("proj \"" + basis + "\" is not known to this test");
        // The authors' 8 bits have the 16 codes of 4.
        double bits = 0;
        try {
            bits = golden.number("q_ef", 0);
        } catch (const std::exception&) {  // the default, false
            if (golden.flag("q_ef", false)) throw;
        }
        if (bits == 8)
            options.error_bits = 4;
        else if (bits != 0)
            throw std::runtime_error(
                "q_ef " + std::to_string(bits) +
                ": the authors' 4 bits come back in another order, and are not followed");

        options.max_side =
            static_cast<std::uint64_t>(golden.number("max_shape", static_cast<double>(options.max_side)));
        const auto is_plain = [side = options.max_side](const Shape& shape) {
            for (std::size_t axis = 0; axis < shape.rank(); ++axis)
                if (shape[axis] >= side) return true;
            return shape.rank() < 2;
        };

        OptimizerGolden vectors;
        vectors.element_wise = true;
        vectors.lr = options.lr;
        vectors.states = {{"m", "m"}, {"v", "v"}};
        vectors.takes = is_plain;
        vectors.make = [&](const Device& on) { return std::make_unique<DctAdamW>(on, options); };
        run_case(golden, result, vectors);

        slots_.clear();
        OptimizerGolden matrices;
        matrices.make = vectors.make;
        matrices.takes = [=](const Shape& shape) { return !is_plain(shape); };
        matrices.states = {{"ef", "error"}};
        matrices.remainders = {"ef"};
        matrices.prepare = [&](Plan& plan, const std::string& in_file, const std::string& in_plan, int t) {
            const GoldenTensor w = golden.tensor(GoldenCase::tensor_name("w", in_file, 0));
            const GoldenTensor indices = golden.tensor(GoldenCase::tensor_name("state.indices", in_file, t));
            prepare(plan, in_plan, w.shape, {indices.values.begin(), indices.values.end()},
                    t == 1 || t % static_cast<int>(options.gap) == 0, options.rotate);
        };
        matrices.compare_state = [&](GoldenResult& to, const Plan& plan, const std::string& state,
                                     const GoldenTensor& expected, const std::string& in_plan,
                                     int t) { return compare(to, plan, state, expected, in_plan, t); };
        run_case(golden, result, matrices);
    }

private:
    struct SlotMap {
        Slots ours;                      // vectors by our slots
        std::vector<std::size_t> place;  // of the file's slots among ours
        bool columns = true;
    };

    // Element `line` of a slot.
    static std::size_t at(const SlotMap& map, std::size_t count, std::size_t slot, std::size_t line) {
        const std::size_t r = map.ours.size();
        return map.columns ? line * r + slot : slot * (count / r) + line;
    }

    void prepare(Plan& plan, const std::string& parameter, const Shape& shape, const Slots& file,
                 bool chooses, bool rotates) {
        SlotMap& map = slots_[parameter];
        const std::vector<std::size_t> old = map.place;
        map.columns = shape[0] >= shape.count() / shape[0];
        if (chooses) map.ours = next_slots(map.ours, file);
        map.place.clear();
        for (const std::uint32_t vector : file)
            map.place.push_back(static_cast<std::size_t>(std::find(map.ours.begin(), map.ours.end(), vector) -
                                                         map.ours.begin()));
        if (old.empty() || rotates) return;
        for (const char* name : {".m", ".v"}) {
            const std::size_t count = std::max(shape[0], shape.count() / shape[0]) * file.size();
            const std::vector<double> before = read_state(plan, parameter + name, count);
            std::vector<float> after(count);
            for (std::size_t slot = 0; slot < file.size(); ++slot)
                for (std::size_t line = 0; line < count / file.size(); ++line)
                    after[at(map, count, map.place[slot], line)] =
                        static_cast<float>(before[at(map, count, old[slot], line)]);
            plan.write_state(parameter + name, std::as_bytes(std::span(after)));
        }
    }

    bool compare(GoldenResult& to, const Plan& plan, const std::string& state, const GoldenTensor& expected,
                 const std::string& parameter, int t) const {
        const SlotMap& map = slots_.at(parameter);
        const std::string name = state + " of step " + std::to_string(t);
        const std::size_t count = expected.values.size();
        if (state == "indices") {
            Slots slots(count);
            plan.read_state(parameter + ".indices", std::as_writable_bytes(std::span(slots)));
            to.add(name, slots == map.ours ? 0 : std::numeric_limits<double>::infinity(), 1);
            return true;
        }
        if (state != "m" && state != "v") return false;
        const std::vector<double> values = read_state(plan, parameter + "." + state, count);
        std::vector<double> ordered(count);
        for (std::size_t slot = 0; slot < map.ours.size(); ++slot)
            for (std::size_t line = 0; line < count / map.ours.size(); ++line)
                ordered[at(map, count, slot, line)] = values[at(map, count, map.place[slot], line)];
        to.add(name, maximum_error(ordered, expected.values), 6e-6);
        return true;
    }

    std::map<std::string, SlotMap> slots_;  // by the parameter's name in the plan
};

TEST_P(DctAdamWGoldenTest, EveryFile) {
    run_golden("dct-adamw", GetParam().name,
               [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
}

TEST_P(DctAdamWGoldenTest, SeveralParametersOfOneFile) {
    const auto run = [&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); };
    expect_several_parameters("dct-adamw", {"r3-wide", "r3-square", "r3-tall"}, "v", run);
    expect_several_parameters("dct-adamw", {"r3-gap2-ef-rot-makhoul-wide", "r3-gap2-ef-rot-makhoul-tall"},
                              "ef", run);
}

// What none of the project's files has: other exponents and negative ones of ell_norm, and 8 bits (in truth
// 4) of error feedback.
TEST_P(DctAdamWGoldenTest, FilesWithOtherNormsAndCodesOfTheError) {
    const auto passes = [&](const std::string& more, DctAdamWOptions options, std::uint64_t cols) {
        options.rank = 3;
        options.lr = 0.01f;
        const Shape shape{12, cols};
        const Shape moments = cols <= 12 ? Shape{12, 3} : Shape{3, cols};
        const ReferenceGolden file(
            {.name = "heron_dct_adamw",
             .hyper = R"({"lr": 0.01, "weight_decay": 0.0, "rank": 3, "proj": "dct", )" + more + "}",
             .shape = shape,
             .states = {{"m", "m", moments}, {"v", "v", moments}, {"indices", "indices", {3}}}},
            DctAdamWReference(options, shape));
        return file.passes([&](const GoldenCase& golden, GoldenResult& result) { run_file(golden, result); });
    };
    DctAdamWOptions columns, rows, coded, cubes, roots;
    columns.weighted_norms = rows.weighted_norms = true;
    cubes.norm = 3;
    roots.norm = 0.5f;
    roots.weighted_norms = true;
    rows.vectors = DctVectors::rows;
    coded.error_feedback = true;
    coded.error_bits = 4;
    for (const std::uint64_t cols : {7u, 31u}) {
        EXPECT_TRUE(passes(R"("ell_norm": -1)", columns, cols));
        EXPECT_TRUE(passes(R"("ell_norm": -1, "sim_type": "makhoul")", rows, cols));
        EXPECT_TRUE(passes(R"("ell_norm": 3)", cubes, cols));
        EXPECT_TRUE(passes(R"("ell_norm": -0.5)", roots, cols));
        EXPECT_TRUE(passes(R"("use_ef": true, "q_ef": 8)", coded, cols));
        EXPECT_FALSE(passes(R"("use_ef": true, "q_ef": false)", coded, cols));
    }
    EXPECT_FALSE(passes(R"("ell_norm": 1, "sim_type": "makhoul")", rows, 31)) << "weights make a difference";
    EXPECT_FALSE(passes(R"("use_ef": true, "q_ef": 4)", coded, 31)) << "not followed";
    EXPECT_FALSE(passes(R"("ell_norm": 1)", cubes, 31)) << "the exponent makes a difference";
}

HERON_DEVICE_TESTS(DctAdamWGoldenTest);

}  // namespace
}  // namespace heron::test
