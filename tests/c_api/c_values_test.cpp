// SPDX-License-Identifier: MIT
// What of the C API needs no device: results and texts, versions, options and their defaults, schedules.
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <iterator>
#include <memory>
#include <new>
#include <string>
#include <thread>

#include "c/boundary.hpp"
#include "c/convert.hpp"
#include "c_api/perturb.hpp"

namespace heron {
namespace {

using test::Compare;
using test::Perturb;

bool says(const char* text, const std::string& part) {
    return std::string(text).find(part) != std::string::npos;
}

TEST(CResults, EveryErrorCodeHasAResultOfItsName) {
    for (int number = 0; number <= static_cast<int>(ErrorCode::internal); ++number) {
        const auto code = static_cast<ErrorCode>(number);
        const heron_result result = c::guarded([&] { throw Error(code, "because", VK_ERROR_UNKNOWN); });
        EXPECT_LT(result, 0);
        EXPECT_STREQ(heron_result_text(result), to_string(code));
        EXPECT_STREQ(heron_last_error(), "because");
        EXPECT_EQ(heron_last_vk_result(), VK_ERROR_UNKNOWN);
    }
    EXPECT_STREQ(heron_result_text(HERON_SUCCESS), "success");
    EXPECT_STREQ(heron_result_text(static_cast<heron_result>(-77)), "unknown");
}

TEST(CResults, NoExceptionPassesTheBorder) {
    EXPECT_EQ(c::guarded([] { throw std::bad_alloc(); }), HERON_ERROR_OUT_OF_HOST_MEMORY);
    EXPECT_EQ(c::guarded([] { throw std::logic_error("odd"); }), HERON_ERROR_INTERNAL);
    EXPECT_STREQ(heron_last_error(), "odd");
    EXPECT_EQ(heron_last_vk_result(), VK_SUCCESS);
    EXPECT_EQ(c::guarded([] { throw 3; }), HERON_ERROR_INTERNAL);
    EXPECT_EQ(c::guarded_value(7, []() -> int { throw 3; }), 7);
}

TEST(CResults, TextsAreTheThreadsOwnAndStayUntilItsNextFailure) {
    c::guarded([] { throw Error(ErrorCode::io, "mine"); });
    std::thread([] {
        EXPECT_STREQ(heron_last_error(), "");
        c::guarded([] { throw Error(ErrorCode::io, "the other's"); });
    }).join();
    EXPECT_EQ(heron_check_version(HERON_VERSION), HERON_SUCCESS);
    EXPECT_STREQ(heron_last_error(), "mine");
}

TEST(CResults, LongTextsEndBetweenCharacters) {
    c::guarded([] { throw Error(ErrorCode::io, std::string(2046, 'a') + "\xc3\xa9 and more"); });
    EXPECT_EQ(std::string(heron_last_error()), std::string(2046, 'a'));
}

TEST(CResults, TextsAreHandedOutInWholeOrToTheRoomThereIs) {
    std::size_t bytes = 0;
    EXPECT_EQ(c::hand_out("four", nullptr, &bytes), HERON_SUCCESS);
    EXPECT_EQ(bytes, 5u);
    char text[5] = "####";
    bytes = 3;
    EXPECT_EQ(c::hand_out("four", text, &bytes), HERON_INCOMPLETE);
    EXPECT_EQ(bytes, 5u);
    EXPECT_STREQ(text, "fo");
    bytes = 5;
    EXPECT_EQ(c::hand_out("four", text, &bytes), HERON_SUCCESS);
    EXPECT_STREQ(text, "four");
    bytes = 0;
    EXPECT_EQ(c::hand_out("four", text, &bytes), HERON_INCOMPLETE);
    bytes = 3;  // room for half of the second character
    EXPECT_EQ(c::hand_out("a\xc3\xa9", text, &bytes), HERON_INCOMPLETE);
    EXPECT_EQ(bytes, 4u);
    EXPECT_STREQ(text, "a");
}

TEST(CVersions, OtherHeadersAreRefused) {
    EXPECT_EQ(heron_library_version(), HERON_VERSION);
    EXPECT_EQ(heron_check_version(HERON_VERSION), HERON_SUCCESS);
    EXPECT_EQ(heron_check_version(HERON_VERSION + 1), HERON_SUCCESS);  // a patch
    const std::uint32_t minor = HERON_MAKE_VERSION(HERON_VERSION_MAJOR, HERON_VERSION_MINOR + 1, 0);
    EXPECT_EQ(heron_check_version(minor), HERON_ERROR_VERSION_MISMATCH);
    EXPECT_TRUE(says(heron_last_error(), std::to_string(HERON_VERSION_MINOR + 1))) << heron_last_error();

    // As a program does that was compiled with the headers of another version.
    heron_muon_options options;
    std::memset(&options, 0x5a, sizeof options);
    EXPECT_EQ(heron_init_muon_options(&options, sizeof options, minor), HERON_ERROR_VERSION_MISMATCH);
    EXPECT_EQ(heron_init_muon_options(&options, sizeof options - 8, HERON_VERSION),
              HERON_ERROR_VERSION_MISMATCH);
    EXPECT_EQ(options.header.bytes, 0u);
    EXPECT_NE(options.lr, 0.02f);  // nothing else is written
    EXPECT_THROW(c::read_struct(options), Error);
}

TEST(COptions, UninitializedOnesAreRefusedByName) {
    heron_optimizer* optimizer = nullptr;
    heron_device* const no_device = nullptr;
    heron_muon_options options{};
    EXPECT_EQ(heron_muon_create(no_device, &options, &optimizer), HERON_ERROR_INVALID_ARGUMENT);
    heron_slice_budget budget{};
    EXPECT_THROW(c::read_options(&budget), Error);
    EXPECT_EQ(heron_slice_budget_init(&budget), HERON_SUCCESS);
    EXPECT_NO_THROW(c::read_options(&budget));
    budget.header.version = HERON_MAKE_VERSION(HERON_VERSION_MAJOR + 1, 0, 0);
    try {
        c::read_options(&budget);
        FAIL() << "options of other headers are accepted";
    } catch (const Error& error) {
        EXPECT_EQ(error.code(), ErrorCode::version_mismatch);
    }
    EXPECT_EQ(heron_slice_budget_init(nullptr), HERON_ERROR_INVALID_ARGUMENT);
}

// Of headers whose struct is shorter: nothing behind its end is read, which sanitizers see.
TEST(COptions, HeadersAreCheckedBeforeTheRestIsRead) {
    const auto older = std::make_unique<heron_struct>(heron_struct{sizeof(heron_struct), HERON_VERSION});
    EXPECT_EQ(heron_plan_submit(nullptr, reinterpret_cast<const heron_submit_info*>(older.get()), nullptr),
              HERON_ERROR_VERSION_MISMATCH);
    heron_device_list* list = nullptr;
    EXPECT_EQ(heron_device_list_create(reinterpret_cast<const heron_device_options*>(older.get()), &list),
              HERON_ERROR_VERSION_MISMATCH);
    float adapted = 0;
    EXPECT_EQ(heron_adapted_damping(1, -1, -1, reinterpret_cast<const heron_damping_adaptation*>(older.get()),
                                    &adapted),
              HERON_ERROR_VERSION_MISMATCH);
    EXPECT_EQ(heron_scale_learning_rates(nullptr, 0, reinterpret_cast<const heron_width_rules*>(older.get())),
              HERON_ERROR_VERSION_MISMATCH);
}

TEST(COptions, DefaultsAreThoseOfCpp) {
    heron_muon_options muon;
    ASSERT_EQ(heron_muon_options_init(&muon), HERON_SUCCESS);
    EXPECT_EQ(muon.lr, MuonOptions{}.lr);
    EXPECT_EQ(muon.momentum, 0.95);
    EXPECT_TRUE(muon.nesterov);
    EXPECT_EQ(muon.shape_factor, HERON_SHAPE_FACTOR_MAX_ONE_SQRT_RATIO);
    EXPECT_EQ(muon.polar.restarts_count, 1u);
    EXPECT_EQ(muon.polar.restarts[0], 2u);
    ASSERT_EQ(heron_muon_options_dion(&muon), HERON_SUCCESS);
    EXPECT_EQ(muon.polar.coefficients_count, MuonOptions::dion().polar.coefficients.size());

    heron_kron_torch_options kron;  // a default schedule that is not empty
    ASSERT_EQ(heron_kron_torch_options_init(&kron), HERON_SUCCESS);
    EXPECT_EQ(kron.update_schedule.piece_count, 2u);
    EXPECT_EQ(kron.schedule.piece_count, 0u);

    heron_kfac_options kfac;  // an option that may be missing
    ASSERT_EQ(heron_kfac_options_init(&kfac), HERON_SUCCESS);
    EXPECT_TRUE(kfac.has_kl_clip);
    EXPECT_EQ(kfac.kl_clip, 1e-3f);
    kfac.has_kl_clip = false;
    EXPECT_FALSE(c::read_struct(kfac).kl_clip.has_value());

    heron_shampoo_options shampoo;  // options by the number of axes
    ASSERT_EQ(heron_shampoo_options_kl(&shampoo), HERON_SUCCESS);
    EXPECT_EQ(c::read_struct(shampoo).exponents, ShampooOptions::kl().exponents);

    // Named sets with arguments.
    heron_dion_options dion;
    ASSERT_EQ(heron_dion_options_simple(&dion, 4), HERON_SUCCESS);
    EXPECT_EQ(dion.rank, 4u);
    heron_singd_options singd;
    ASSERT_EQ(heron_singd_options_ingd(&singd, 1e-2f, 7), HERON_SUCCESS);
    EXPECT_EQ(singd.refresh.interval, 7u);
    heron_normuon_options normuon;
    EXPECT_EQ(heron_normuon_options_modded(&normuon, 100), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(normuon.header.bytes, 0u);
    ASSERT_EQ(heron_normuon_options_modded(&normuon, 1000), HERON_SUCCESS);
    EXPECT_EQ(normuon.momentum_schedule.piece_count,
              NorMuonOptions::modded(1000).momentum_schedule.pieces().size());
    heron_scion_options scion;
    EXPECT_EQ(heron_scion_options_trust_region(&scion, static_cast<heron_scion_norm>(99), 0.1f, 0.1f),
              HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_scion_options_trust_region(&scion, HERON_SCION_NORM_SPECTRAL, 0.1f, 0.1f), HERON_SUCCESS);
    heron_width_rules rules;
    ASSERT_EQ(heron_width_rules_mup_adam(&rules, 256), HERON_SUCCESS);
    EXPECT_EQ(rules.hidden_matrix, -1.0);
}

// Default and, with every field changed, through C++ and back: whatever a conversion forgot would be the
// default again.
template <class C, class Initialize>
void expect_round_trip(const char* name, const Initialize& initialize) {
    SCOPED_TRACE(name);
    C defaults;
    ASSERT_EQ(initialize(&defaults), HERON_SUCCESS) << heron_last_error();
    EXPECT_EQ(defaults.header.bytes, sizeof(C));
    C changed = defaults;
    Perturb()(changed, changed);
    Compare different;
    different(defaults, changed);
    EXPECT_EQ(different.equal(), 0u) << "of " << different.fields() << " fields are not changed by the test";
    const C back = c::filled<C>(c::read_struct(changed));
    Compare same;
    same(changed, back);
    EXPECT_GT(same.fields(), 0u);
    EXPECT_EQ(same.equal(), same.fields());
}

TEST(COptions, EveryFieldComesThrough) {
#define HERON_C_FIELDS(Struct, ...)
#define HERON_C_STRUCT(C, initialize) expect_round_trip<C>(#C, initialize);
#define HERON_C_OPTIMIZER(Made, options, C, initialize, create)
#include "c_api/list.inc"
#undef HERON_C_FIELDS
#undef HERON_C_STRUCT
#undef HERON_C_OPTIMIZER
}

// A structured binding names all fields of a struct: this compiles only where the generator has seen each of
// them.
TEST(COptions, NoFieldOfCppIsOverlooked) {
    std::size_t structs = 0;
#define HERON_C_STRUCT(C, initialize)
#define HERON_C_OPTIMIZER(Made, options, C, initialize, create)
#define HERON_C_FIELDS(Struct, ...)                         \
    structs += [](const Struct& value) {                    \
        [[maybe_unused]] const auto& [__VA_ARGS__] = value; \
        return std::size_t{1};                              \
    }(Struct{});
#include "c_api/list.inc"
#undef HERON_C_FIELDS
#undef HERON_C_STRUCT
#undef HERON_C_OPTIMIZER
    EXPECT_GT(structs, 60u);
}

TEST(COptions, WhatIsNoEnumeratorIsRefused) {
    heron_muon_options options;
    ASSERT_EQ(heron_muon_options_init(&options), HERON_SUCCESS);
    options.momentum_rule = static_cast<heron_momentum_rule>(17);
    try {
        c::read_struct(options);
        FAIL() << "17 is accepted";
    } catch (const Error& error) {
        EXPECT_TRUE(says(error.what(), "heron_momentum_rule")) << error.what();
        EXPECT_TRUE(says(error.what(), "17")) << error.what();
    }
}

TEST(COptions, ListsLongerThanTheirRoomAreTheCallers) {
    heron_polar_options polar{};
    ASSERT_EQ(heron_polar_options_set(&polar, "you5", 0), HERON_SUCCESS);
    EXPECT_EQ(polar.coefficients_count, 5u);
    EXPECT_EQ(polar.coefficients[1].b, newton_schulz_coefficients("you5")[1].b);
    EXPECT_EQ(heron_polar_options_set(&polar, "muon", HERON_LIST_CAPACITY + 1), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_polar_options_set(&polar, "moon", 0), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(polar.coefficients_count, 5u);
    ASSERT_EQ(heron_polar_options_set_express(&polar, 1e-3, 6, 0.02, 0.02), HERON_SUCCESS);
    EXPECT_EQ(polar.coefficients_count, 6u);

    polar.coefficients_count = HERON_LIST_CAPACITY + 1;
    EXPECT_THROW(c::read(polar), Error);
    std::vector<heron_newton_schulz_coefficients> many(HERON_LIST_CAPACITY + 1, {1, 2, 3});
    many.back().c = 4;
    polar.coefficients_list = many.data();
    const PolarOptions read = c::read(polar);
    ASSERT_EQ(read.coefficients.size(), many.size());
    EXPECT_EQ(read.coefficients.back().c, 4);
}

void expect_equal(const heron_schedule& schedule, const Schedule& expected) {
    EXPECT_EQ(c::read_schedule(schedule).pieces(), expected.pieces());
    double factor = 0;
    ASSERT_EQ(heron_schedule_factor(&schedule, 7, &factor), HERON_SUCCESS);
    EXPECT_EQ(factor, expected.factor(7));
}

TEST(CSchedules, AreThoseOfCpp) {
    heron_schedule s{};
    expect_equal(s, Schedule());
    ASSERT_EQ(heron_schedule_constant(&s, 0.5f, 3), HERON_SUCCESS);
    expect_equal(s, Schedule::constant(0.5f, 3));
    ASSERT_EQ(heron_schedule_cosine(&s, 1, 0.1f, 20), HERON_SUCCESS);
    expect_equal(s, Schedule::cosine(1, 0.1f, 20));
    ASSERT_EQ(heron_schedule_exponential(&s, 1, 0.1f, 20), HERON_SUCCESS);
    expect_equal(s, Schedule::exponential(1, 0.1f, 20));
    ASSERT_EQ(heron_schedule_warmup_cosine(&s, 5, 20, 0.1f), HERON_SUCCESS);
    expect_equal(s, Schedule::warmup_cosine(5, 20, 0.1f));
    ASSERT_EQ(heron_schedule_warmup_stable_decay(&s, 5, 20, 10, 0.1f), HERON_SUCCESS);
    expect_equal(s, Schedule::warmup_stable_decay(5, 20, 10, 0.1f));
    ASSERT_EQ(heron_schedule_linear(&s, 0, 1, 5), HERON_SUCCESS);
    ASSERT_EQ(heron_schedule_then_constant(&s, 2), HERON_SUCCESS);
    ASSERT_EQ(heron_schedule_then_cosine(&s, 0.5f, 4), HERON_SUCCESS);
    ASSERT_EQ(heron_schedule_then_exponential(&s, 0.25f, 4), HERON_SUCCESS);
    ASSERT_EQ(heron_schedule_then_linear(&s, 0, 4), HERON_SUCCESS);
    expect_equal(s, Schedule::linear(0, 1, 5)
                        .then_constant(2)
                        .then_cosine(0.5f, 4)
                        .then_exponential(0.25f, 4)
                        .then_linear(0, 4));
}

TEST(CSchedules, SequencesMayBeLongAndGoOn) {
    std::vector<float> factors(20);
    for (std::size_t i = 0; i < factors.size(); ++i) factors[i] = 1.0f / static_cast<float>(i + 1);
    std::vector<heron_schedule_piece> storage(factors.size());
    heron_schedule s{};
    EXPECT_EQ(heron_schedule_sequence(&s, factors.data(), 20, nullptr), HERON_ERROR_INVALID_ARGUMENT);
    ASSERT_EQ(heron_schedule_sequence(&s, factors.data(), 20, storage.data()), HERON_SUCCESS);
    expect_equal(s, Schedule::sequence(factors));
    EXPECT_EQ(heron_schedule_then_constant(&s, 1), HERON_ERROR_INVALID_ARGUMENT);
    ASSERT_EQ(heron_schedule_sequence(&s, factors.data(), 3, nullptr), HERON_SUCCESS);
    ASSERT_EQ(heron_schedule_then_linear(&s, 1, 9), HERON_SUCCESS);
    expect_equal(s, Schedule::sequence(std::span(factors).first(3)).then_linear(1, 9));
}

TEST(CSchedules, RefusalsChangeNothing) {
    heron_schedule s{};
    ASSERT_EQ(heron_schedule_linear(&s, 0, 1, 5), HERON_SUCCESS);
    const heron_schedule before = s;
    EXPECT_EQ(heron_schedule_linear(&s, -1, 1, 5), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_schedule_then_linear(&s, std::nanf(""), 5), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_schedule_then_linear(&s, 1, 0), HERON_ERROR_INVALID_ARGUMENT);
    const Compare unchanged;
    unchanged(s, before);
    EXPECT_EQ(unchanged.equal(), unchanged.fields());
    s.pieces[1] = {HERON_SCHEDULE_KIND_LINEAR, 5, 0.5f, 0};  // jumps
    s.piece_count = 2;
    EXPECT_THROW(c::read_schedule(s), Error);
    s.pieces[1].from = 1;
    EXPECT_NO_THROW(c::read_schedule(s));
    s.pieces[1].kind = static_cast<heron_schedule_kind>(4);
    EXPECT_THROW(c::read_schedule(s), Error);
    s.piece_count = HERON_SCHEDULE_PIECES + 1;
    EXPECT_THROW(c::read_schedule(s), Error);
    EXPECT_EQ(heron_schedule_constant(nullptr, 1, 0), HERON_ERROR_INVALID_ARGUMENT);
}

TEST(CHandles, NullIsRefusedOrEmpty) {
    heron_device_destroy(nullptr);
    heron_device_list_destroy(nullptr);
    heron_feature_chain_destroy(nullptr);
    heron_buffer_destroy(nullptr);
    heron_optimizer_destroy(nullptr);
    heron_routing_destroy(nullptr);
    heron_plan_destroy(nullptr);
    heron_metadata_destroy(nullptr);
    heron_evaluation_weights_destroy(nullptr);
    EXPECT_EQ(heron_device_get_info(nullptr), nullptr);
    EXPECT_EQ(heron_device_handle(nullptr), VkDevice{});
    EXPECT_EQ(heron_plan_state_bytes(nullptr), 0u);
    EXPECT_EQ(heron_plan_dispatch_count(nullptr, HERON_PHASE_STEP), 0u);
    EXPECT_FALSE(heron_plan_slice_pending(nullptr));
    EXPECT_EQ(heron_plan_record(nullptr, VK_NULL_HANDLE), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_TRUE(says(heron_last_error(), "plan is NULL")) << heron_last_error();
    EXPECT_EQ(heron_compile(nullptr, nullptr, 0, nullptr, nullptr), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_metadata_find(nullptr, "key"), nullptr);
    EXPECT_EQ(heron_device_create(nullptr, nullptr), HERON_ERROR_INVALID_ARGUMENT);
}

std::string file_text(const char* name) {
    std::ifstream file(std::string(HERON_SOURCE_DIR) + "/" + name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
}

TEST(CFirstStep, HoldsWhatTheReadmeShows) {
    const std::string readme = file_text("README.md");
    const std::string fence = "```c\n";
    const std::size_t begin = readme.find(fence) + fence.size();
    const std::string shown = readme.substr(begin, readme.find("```", begin) - begin);
    EXPECT_TRUE(says(shown.c_str(), "heron_muon_create(")) << shown;
    EXPECT_TRUE(says(file_text("samples/c_first_step/main.c").c_str(), shown)) << "README shows:\n" << shown;
}

TEST(CHalves, AreThoseOfCpp) {
    for (const float value : {0.0f, -1.5f, 65504.0f, 1e-7f, 3.14159f}) {
        EXPECT_EQ(heron_f32_to_f16(value), f32_to_f16(value));
        EXPECT_EQ(heron_f16_to_f32(heron_f32_to_f16(value)), f16_to_f32(f32_to_f16(value)));
        EXPECT_EQ(heron_f32_to_bf16(value), f32_to_bf16(value));
        EXPECT_EQ(heron_bf16_to_f32(heron_f32_to_bf16(value)), bf16_to_f32(f32_to_bf16(value)));
    }
}

}  // namespace
}  // namespace heron
