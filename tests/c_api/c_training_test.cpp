// SPDX-License-Identifier: MIT
// Devices, buffers, routing, plans, states, checkpoints and logs through the C API.
#include <cmath>
#include <filesystem>
#include <map>
#include <set>
#include <string_view>

#include "c_api/c_device_test.hpp"
#include "core/host_device.hpp"
#include "support/commands.hpp"

namespace heron {
namespace {

using test::OwnedBuffer;
using test::OwnedDevice;
using test::OwnedMetadata;
using test::OwnedOptimizer;
using test::OwnedPlan;
using test::says;
using test::text_of;

class CTrainingTest : public test::CDeviceTest {
protected:
    void TearDown() override {
        std::filesystem::remove(path_);
        CDeviceTest::TearDown();
    }

    // A matrix for Muon and a bias for AdamW, with their memory.
    void make_training(const heron_step_options* options = nullptr) {
        matrix_ = parameter("fc.weight", test::noise(24 * 16, 1), test::noise(24 * 16, 2), {2, {24, 16}});
        bias_ = parameter("fc.bias", test::noise(24, 3), test::noise(24, 4), {1, {24}});
        HERON_C_OK(heron_muon_create(c_device(), nullptr, muon_.out()));
        HERON_C_OK(heron_adamw_create(c_device(), nullptr, adamw_.out()));
        HERON_C_OK(heron_optimizer_add(muon_, &matrix_));
        HERON_C_OK(heron_optimizer_add(adamw_, &bias_));
        compile_again(plan_, options);
        HERON_C_OK(heron_plan_allocate(plan_));
    }
    void compile_again(OwnedPlan& plan, const heron_step_options* options = nullptr) {
        heron_optimizer* const optimizers[] = {muon_, adamw_};
        HERON_C_OK(heron_compile(c_device(), optimizers, 2, options, plan.out()));
    }
    std::vector<float> weights() const {
        std::vector<float> all = values(matrix_.weight);
        const std::vector<float> bias = values(bias_.weight);
        all.insert(all.end(), bias.begin(), bias.end());
        return all;
    }

    heron_parameter matrix_{}, bias_{};
    OwnedOptimizer muon_, adamw_;
    OwnedPlan plan_;
    const std::filesystem::path path_ =
        std::filesystem::path(::testing::TempDir()) / "c_training_test.safetensors";
};
HERON_DEVICE_TESTS(CTrainingTest);

TEST_P(CTrainingTest, DevicesAreListedAndDescribed) {
    const heron_device_options options = test::c_device_options(GetParam());
    test::OwnedDeviceList list;
    HERON_C_OK(heron_device_list_create(&options, list.out()));
    const heron_device_info* info = heron_device_list_get(list, GetParam().index);
    ASSERT_NE(info, nullptr);
    EXPECT_EQ(info->name, GetParam().name);
    EXPECT_EQ(info->uuid_text, GetParam().uuid_text());
    EXPECT_TRUE(info->usable);
    EXPECT_EQ(heron_device_list_get(list, heron_device_list_count(list)), nullptr);

    const heron_device_info* own = heron_device_get_info(c_device());
    EXPECT_STREQ(own->name, info->name);
    EXPECT_EQ(own->type_text, GetParam().type_text());
    EXPECT_TRUE(says(text_of([&](char* text, std::size_t* bytes) {
                         return heron_device_explain(c_device(), text, bytes);
                     }),
                     info->name));
    heron_capabilities capabilities;
    HERON_C_OK(heron_device_capabilities(c_device(), &capabilities));
    EXPECT_EQ(capabilities.subgroup_size, device().capabilities().subgroup_size);
    EXPECT_EQ(capabilities.max_workgroup_count[2], device().capabilities().max_workgroup_count[2]);
    EXPECT_NE(heron_device_handle(c_device()), VkDevice{});
    EXPECT_NE(heron_device_queue(c_device()), VkQueue{});
    EXPECT_FALSE(heron_device_lost(c_device()));
    HERON_C_OK(heron_device_wait_idle(c_device(), 1'000'000'000));

    heron_device_options unknown = options;
    unknown.select = "no such device";
    heron_device* none = nullptr;
    EXPECT_EQ(heron_device_create(&unknown, &none), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_TRUE(says(heron_last_error(), "no such device")) << heron_last_error();
    EXPECT_EQ(none, nullptr);
    heron_device_options other = options;
    other.header.version = HERON_MAKE_VERSION(HERON_VERSION_MAJOR, HERON_VERSION_MINOR + 1, 0);
    EXPECT_EQ(heron_device_create(&other, &none), HERON_ERROR_VERSION_MISMATCH);
}

TEST_P(CTrainingTest, BuffersRefuseWhatDoesNotFit) {
    OwnedBuffer buffer;
    HERON_C_OK(heron_buffer_create(c_device(), 64, HERON_MEMORY_KIND_UPLOAD, nullptr, buffer.out()));
    EXPECT_NE(heron_buffer_mapped(buffer), nullptr);
    EXPECT_EQ(heron_buffer_bytes(buffer), 64u);
    heron_tensor_view view{};
    heron_shape shape{2, {4, 4}};
    HERON_C_OK(heron_buffer_view(buffer, HERON_DTYPE_F32, &shape, 0, 0, &view));
    std::uint64_t bytes = 0;
    HERON_C_OK(heron_tensor_view_span_bytes(&view, &bytes));
    EXPECT_EQ(bytes, 64u);
    EXPECT_EQ(heron_buffer_view(buffer, HERON_DTYPE_F32, &shape, 4, 0, &view), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_buffer_view(buffer, static_cast<heron_dtype>(4), &shape, 0, 0, &view),
              HERON_ERROR_INVALID_ARGUMENT);
    shape.rank = 9;
    EXPECT_EQ(heron_buffer_view(buffer, HERON_DTYPE_F32, &shape, 0, 0, &view), HERON_ERROR_INVALID_ARGUMENT);
    float value = 1;
    EXPECT_EQ(heron_buffer_write(buffer, &value, sizeof value, 61), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_buffer_write(buffer, nullptr, sizeof value, 0), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_buffer_create(c_device(), 64, static_cast<heron_memory_kind>(3), nullptr, buffer.out()),
              HERON_ERROR_INVALID_ARGUMENT);
    heron_buffer_range range{};
    HERON_C_OK(heron_buffer_get_range(buffer, &range));
    shape = {1, {16}};
    HERON_C_OK(heron_device_view(c_device(), &range, HERON_DTYPE_BF16, &shape, 32, 0, &view));
    EXPECT_EQ(view.address, heron_buffer_address(buffer) + 32);
    EXPECT_EQ(view.device, heron_device_id(c_device()));
}

TEST_P(CTrainingTest, LogsAndMemoryGoThroughTheCallers) {
    struct Host {
        std::map<std::pair<VkBuffer, VkDeviceSize>, heron_buffer*> buffers;  // by where they begin
        std::set<std::string> purposes;
        heron_device* device;
        std::string log;
    } host{{}, {}, c_device(), {}};
    heron_device_options options = test::c_device_options(GetParam());
    options.log = [](void* user, heron_severity, const char* text) { static_cast<Host*>(user)->log += text; };
    options.log_user = &host;
    options.pipeline_cache = "this is no pipeline cache";  // which is warned about
    options.pipeline_cache_bytes = 25;
    OwnedDevice logged;
    HERON_C_OK(heron_device_create(&options, logged.out()));
    EXPECT_TRUE(says(host.log, "cache")) << host.log;

    // An allocator of the same VkDevice, which is adopted with it.
    heron_device* first = c_device();
    const auto chain = std::make_unique<FeatureChain>(
        options.get_instance_proc_addr, heron_device_instance(first), heron_device_physical_device(first));
    heron_adopted_device handles;
    HERON_C_OK(heron_adopted_device_init(&handles));
    handles.get_instance_proc_addr = options.get_instance_proc_addr;
    handles.instance = heron_device_instance(first);
    handles.physical_device = heron_device_physical_device(first);
    handles.device = heron_device_handle(first);
    handles.queue_family = heron_device_queue_family(first);
    handles.queue = heron_device_queue(first);
    handles.enabled_features = chain->features();
    handles.enabled_extensions = chain->extensions().data();
    handles.enabled_extension_count = static_cast<std::uint32_t>(chain->extensions().size());
    HERON_C_OK(heron_device_options_init(&options));
    options.memory.user = &host;
    options.memory.allocate = [](void* user, const heron_memory_request* request, heron_buffer_range* range) {
        Host& h = *static_cast<Host*>(user);
        h.purposes.insert(request->purpose);
        heron_buffer* buffer = nullptr;
        if (heron_buffer_create(h.device, request->bytes, request->kind, request->purpose, &buffer) !=
            HERON_SUCCESS)
            return false;
        heron_buffer_get_range(buffer, range);
        h.buffers[{range->buffer, range->offset}] = buffer;
        return true;
    };
    OwnedDevice adopted;
    EXPECT_EQ(heron_device_adopt(&handles, &options, adopted.out()),
              HERON_ERROR_INVALID_ARGUMENT);  // no free
    options.memory.free = [](void* user, const heron_buffer_range* range) {
        Host& h = *static_cast<Host*>(user);
        const auto found = h.buffers.find({range->buffer, range->offset});
        if (found == h.buffers.end()) return;
        heron_buffer_destroy(found->second);
        h.buffers.erase(found);
    };
    HERON_C_OK(heron_device_adopt(&handles, &options, adopted.out()));
    {
        OwnedBuffer weight, gradient;
        HERON_C_OK(heron_buffer_create(adopted, 64, HERON_MEMORY_KIND_UPLOAD, nullptr, weight.out()));
        HERON_C_OK(heron_buffer_create(adopted, 64, HERON_MEMORY_KIND_UPLOAD, nullptr, gradient.out()));
        heron_parameter p;
        HERON_C_OK(heron_parameter_init(&p));
        p.name = "w";
        const heron_shape shape{1, {16}};
        HERON_C_OK(heron_buffer_view(weight, HERON_DTYPE_F32, &shape, 0, 0, &p.weight));
        HERON_C_OK(heron_buffer_view(gradient, HERON_DTYPE_F32, &shape, 0, 0, &p.gradient));
        OwnedOptimizer adamw;
        HERON_C_OK(heron_adamw_create(adopted, nullptr, adamw.out()));
        HERON_C_OK(heron_optimizer_add(adamw, &p));
        OwnedPlan plan;
        heron_optimizer* const optimizers[] = {adamw};
        HERON_C_OK(heron_compile(adopted, optimizers, 1, nullptr, plan.out()));
        HERON_C_OK(heron_plan_allocate(plan));
        EXPECT_FALSE(host.purposes.empty());
        EXPECT_GE(host.buffers.size(), 3u);
    }
    EXPECT_TRUE(host.buffers.empty());
}

TEST_P(CTrainingTest, AnEnginesDeviceIsAdopted) {
    test::HostDevice engine(GetParam());
    test::OwnedFeatureChain chain;
    HERON_C_OK(heron_feature_chain_create(engine.adopted.get_instance_proc_addr, engine.instance,
                                          engine.physical_device, VK_API_VERSION_1_3, nullptr, chain.out()));
    std::uint32_t count = 0;
    const char* const* extensions = heron_feature_chain_extensions(chain, &count);
    EXPECT_EQ(count, engine.chain->extensions().size());
    int locks = 0;
    heron_adopted_device handles;
    HERON_C_OK(heron_adopted_device_init(&handles));
    EXPECT_EQ(handles.api_version, VK_API_VERSION_1_3);
    handles.get_instance_proc_addr = engine.adopted.get_instance_proc_addr;
    handles.instance = engine.instance;
    handles.physical_device = engine.physical_device;
    handles.device = engine.device;
    handles.queue_family = engine.adopted.queue_family;
    handles.queue = engine.adopted.queue;
    handles.enabled_features = heron_feature_chain_features(chain);
    handles.enabled_extensions = extensions;
    handles.enabled_extension_count = count;
    handles.lock_queue = [](void* user) { ++*static_cast<int*>(user); };
    heron_device_options options;
    HERON_C_OK(heron_device_options_init(&options));
    OwnedDevice adopted;
    EXPECT_EQ(heron_device_adopt(&handles, &options, adopted.out()), HERON_ERROR_INVALID_ARGUMENT);
    handles.unlock_queue = [](void*) {};
    handles.queue_user = &locks;
    const std::uint32_t families[] = {engine.adopted.queue_family, 77};
    handles.other_queue_families = families;
    handles.other_queue_family_count = 2;
    EXPECT_EQ(heron_device_adopt(&handles, &options, adopted.out()), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_TRUE(says(heron_last_error(), "other_queue_families has 77")) << heron_last_error();
    handles.other_queue_family_count = 1;  // its own, once more
    HERON_C_OK(heron_device_adopt(&handles, &options, adopted.out()));
    EXPECT_EQ(heron_device_handle(adopted), engine.device);
    OwnedBuffer buffer;
    HERON_C_OK(heron_buffer_create(adopted, 4, HERON_MEMORY_KIND_DEVICE, "adopted", buffer.out()));
    float value = 2;
    HERON_C_OK(heron_buffer_write(buffer, &value, sizeof value, 0));
    value = 0;
    HERON_C_OK(heron_buffer_read(buffer, &value, sizeof value, 0));
    EXPECT_EQ(value, 2);
    if (heron_buffer_mapped(buffer) == nullptr) EXPECT_GT(locks, 0);
}

TEST_P(CTrainingTest, ParametersAreRoutedAndScaled) {
    heron_parameter parameters[] = {
        parameter("tok_embedding.weight", test::noise(64, 1), test::noise(64, 2), {2, {16, 4}}),
        parameter("layer.weight", test::noise(64, 1), test::noise(64, 2), {2, {8, 8}}),
        parameter("layer.bias", test::noise(8, 1), test::noise(8, 2), {1, {8}})};
    test::OwnedRouting routing;
    HERON_C_OK(heron_routing_create(parameters, 3, routing.out()));
    ASSERT_EQ(heron_routing_count(routing), 3u);
    const heron_role roles[] = {HERON_ROLE_EMBEDDING, HERON_ROLE_HIDDEN_MATRIX, HERON_ROLE_VECTOR};
    for (std::uint32_t i = 0; i < 3; ++i) {
        heron_route route;
        HERON_C_OK(heron_routing_get(routing, i, &route));
        EXPECT_STREQ(route.name, parameters[i].name);
        EXPECT_EQ(route.role, roles[i]) << route.reason;
        EXPECT_EQ(route.matrix, i == 1);
    }
    heron_route none;
    EXPECT_EQ(heron_routing_get(routing, 3, &none), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_TRUE(says(
        text_of([&](char* text, std::size_t* bytes) { return heron_routing_report(routing, text, bytes); }),
        "tok_embedding"));

    // By name and shape; the bias is left to the rules.
    const heron_role_rule rule = [](void* user, const char* name, const heron_shape* shape, heron_role role) {
        ++*static_cast<int*>(user);
        EXPECT_EQ(role, HERON_ROLE_AUTOMATIC);
        if (std::string_view(name) == "layer.weight" && shape->rank == 2 && shape->extents[1] == 8)
            return HERON_ROLE_INPUT;
        return shape->rank == 2 ? HERON_ROLE_HIDDEN_MATRIX : role;
    };
    int calls = 0;
    test::OwnedRouting own;
    HERON_C_OK(heron_routing_create_by(parameters, 3, rule, &calls, own.out()));
    EXPECT_EQ(calls, 3);
    const heron_role own_roles[] = {HERON_ROLE_HIDDEN_MATRIX, HERON_ROLE_INPUT, HERON_ROLE_VECTOR};
    for (std::uint32_t i = 0; i < 3; ++i) {
        heron_route route;
        HERON_C_OK(heron_routing_get(own, i, &route));
        EXPECT_EQ(route.role, own_roles[i]) << route.name;
    }
    test::OwnedRouting refused;
    EXPECT_EQ(heron_routing_create_by(parameters, 3, nullptr, nullptr, refused.out()),
              HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_routing_create_by(
                  parameters, 3,
                  [](void*, const char*, const heron_shape*, heron_role) { return HERON_ROLE_MAX_ENUM; },
                  nullptr, refused.out()),
              HERON_ERROR_INVALID_ARGUMENT);

    heron_width_rules rules;
    HERON_C_OK(heron_width_rules_mup_adam(&rules, 2));
    HERON_C_OK(heron_scale_learning_rates(parameters, 3, &rules));
    EXPECT_EQ(parameters[0].lr_scale, 1.0f);
    EXPECT_EQ(parameters[1].lr_scale, 0.25f);  // 8 columns, from a width of 2
    HERON_C_OK(heron_scale_learning_rates_by(parameters, 3, 0.5));
    EXPECT_EQ(parameters[1].lr_scale, 0.125f);
    HERON_C_OK(heron_make_decay_independent(parameters, 3));
    EXPECT_EQ(parameters[1].weight_decay_scale, 8.0f);
    HERON_C_OK(heron_width_rules_decay_matrix(&rules, 2));
    HERON_C_OK(heron_scale_weight_decay(parameters, 3, &rules));
    EXPECT_EQ(parameters[1].weight_decay_scale, 2.0f);
    HERON_C_OK(heron_scale_damping(parameters, 3, 2));
    EXPECT_EQ(parameters[1].damping_scale.inputs, 4.0f);
    parameters[2].role = static_cast<heron_role>(9);
    EXPECT_EQ(heron_scale_learning_rates_by(parameters, 3, 2), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(parameters[1].lr_scale, 0.125f);
}

TEST_P(CTrainingTest, StepsRecordedSlicedAndSubmittedAreTheSame) {
    make_training();
    heron_plan* const plan = plan_;
    const std::vector<float> start_matrix = values(matrix_.weight), start_bias = values(bias_.weight);
    EXPECT_GT(heron_plan_state_bytes(plan), 0u);
    EXPECT_GT(heron_plan_dispatch_count(plan, HERON_PHASE_STEP), 2u);
    EXPECT_GT(heron_plan_level_count(plan, HERON_PHASE_STEP), 0u);
    EXPECT_GT(heron_plan_flops(plan), 0);
    EXPECT_GT(heron_plan_bytes(plan), 0);
    EXPECT_EQ(heron_plan_run(plan), HERON_ERROR_INVALID_ARGUMENT);  // not initialized
    test::Commands commands(c_device()->device);
    const auto restart = [&] {
        HERON_C_OK(heron_plan_initialize(plan));
        c_device()->device.wait_idle();
        write(matrix_.weight, start_matrix);
        write(bias_.weight, start_bias);
    };
    std::vector<float> expected;
    // Submitted by Heron.
    restart();
    std::uint64_t ticket = 0;
    HERON_C_OK(heron_plan_submit(plan, nullptr, &ticket));
    HERON_C_OK(heron_plan_wait(plan, ticket, 60'000'000'000));
    bool finished = false;
    HERON_C_OK(heron_plan_finished(plan, ticket, &finished));
    EXPECT_TRUE(finished);
    HERON_C_OK(heron_plan_run(plan));
    expected = weights();
    EXPECT_NE(expected[0], start_matrix[0]);

    // Recorded, initialization included, and replayed.
    restart();
    VkCommandBuffer first = commands.begin();
    HERON_C_OK(heron_plan_record_initialize(plan, first));
    commands.end(first);
    commands.submit(first);
    VkCommandBuffer step = commands.begin();
    HERON_C_OK(heron_plan_record(plan, step));
    commands.end(step);
    commands.submit(step);
    step = commands.begin();
    HERON_C_OK(heron_plan_record_one_time(plan, step));
    commands.end(step);
    commands.submit(step);
    EXPECT_EQ(weights(), expected);

    // In slices of one dispatch.
    restart();
    heron_slice_budget budget;
    HERON_C_OK(heron_slice_budget_init(&budget));
    budget.max_dispatches = 1;
    budget.one_time = true;
    heron_slice_result slice{};
    for (int steps = 0; steps < 2; steps += slice.complete ? 1 : 0) {
        VkCommandBuffer part = commands.begin();
        HERON_C_OK(heron_plan_record_slice(plan, part, &budget, &slice));
        EXPECT_EQ(slice.dispatches, 1u);
        EXPECT_EQ(heron_plan_slice_pending(plan), !slice.complete);
        commands.end(part);
        commands.submit(part);
    }
    EXPECT_EQ(weights(), expected);
    // Without a budget: all of it.
    VkCommandBuffer whole = commands.begin();
    HERON_C_OK(heron_plan_record_slice(plan, whole, nullptr, nullptr));
    EXPECT_FALSE(heron_plan_slice_pending(plan));
    commands.end(whole);

    // Through the application's own submission.
    restart();
    struct Host {
        Device::Impl* impl;
        int submissions;
    } host{&c_device()->device.impl(), 0};
    heron_submit_info info;
    HERON_C_OK(heron_submit_info_init(&info));
    info.submit = [](void* user, const VkSubmitInfo2* submitted) {
        Host& h = *static_cast<Host*>(user);
        ++h.submissions;
        return h.impl->vk.QueueSubmit2(h.impl->queue, 1, submitted, VK_NULL_HANDLE);
    };
    info.submit_user = &host;
    for (int i = 0; i < 2; ++i) {
        HERON_C_OK(heron_plan_submit(plan, &info, &ticket));
        HERON_C_OK(heron_plan_wait(plan, ticket, 60'000'000'000));
    }
    EXPECT_EQ(host.submissions, 2);
    EXPECT_EQ(weights(), expected);
    info.signal_count = 1;
    EXPECT_EQ(heron_plan_submit(plan, &info, &ticket), HERON_ERROR_INVALID_ARGUMENT);  // without semaphores
    EXPECT_TRUE(says(heron_last_error(), "signal")) << heron_last_error();

    heron_step_status status;
    HERON_C_OK(heron_plan_status(plan, &status));
    EXPECT_EQ(status.step, 2u);
    EXPECT_EQ(text_of([&](char* text, std::size_t* bytes) { return heron_plan_hazards(plan, text, bytes); }),
              "");
}

TEST_P(CTrainingTest, SemaphoresOrderSubmissions) {
    make_training();
    HERON_C_OK(heron_plan_initialize(plan_));
    Device::Impl& impl = c_device()->device.impl();
    VkSemaphoreTypeCreateInfo type{VK_STRUCTURE_TYPE_SEMAPHORE_TYPE_CREATE_INFO};
    type.semaphoreType = VK_SEMAPHORE_TYPE_TIMELINE;
    const VkSemaphoreCreateInfo create{VK_STRUCTURE_TYPE_SEMAPHORE_CREATE_INFO, &type};
    std::vector<heron_semaphore_value> waits(9);  // more than those that are kept without an allocation
    for (heron_semaphore_value& wait : waits) {
        ASSERT_EQ(impl.vk.CreateSemaphore(impl.device, &create, nullptr, &wait.semaphore), VK_SUCCESS);
        wait.value = 1;
    }
    const heron_semaphore_value signal{waits[0].semaphore, 2};
    heron_submit_info info;
    HERON_C_OK(heron_submit_info_init(&info));
    info.wait = waits.data();
    info.wait_count = static_cast<std::uint32_t>(waits.size());
    info.signal = &signal;
    info.signal_count = 1;
    std::uint64_t ticket = 0;
    HERON_C_OK(heron_plan_submit(plan_, &info, &ticket));
    for (const heron_semaphore_value& wait : waits) {
        bool finished = true;
        HERON_C_OK(heron_plan_finished(plan_, ticket, &finished));
        EXPECT_FALSE(finished);
        VkSemaphoreSignalInfo go{VK_STRUCTURE_TYPE_SEMAPHORE_SIGNAL_INFO};
        go.semaphore = wait.semaphore;
        go.value = wait.value;
        ASSERT_EQ(impl.vk.SignalSemaphore(impl.device, &go), VK_SUCCESS);
    }
    HERON_C_OK(heron_plan_wait(plan_, ticket, 60'000'000'000));
    std::uint64_t value = 0;
    ASSERT_EQ(impl.vk.GetSemaphoreCounterValue(impl.device, signal.semaphore, &value), VK_SUCCESS);
    EXPECT_EQ(value, 2u);
    for (const heron_semaphore_value& wait : waits)
        impl.vk.DestroySemaphore(impl.device, wait.semaphore, nullptr);
}

TEST_P(CTrainingTest, PlansTakeTheCallersMemoryAndMoveTensors) {
    make_training();
    OwnedPlan plan;
    compile_again(plan);
    OwnedBuffer buffers[4];
    heron_plan_memory memory{};
    heron_buffer_range* const ranges[] = {&memory.state, &memory.workspace, &memory.tables, &memory.readback};
    const std::uint64_t needs[] = {heron_plan_state_bytes(plan), heron_plan_workspace_bytes(plan),
                                   heron_plan_table_bytes(plan), heron_plan_readback_bytes(plan)};
    const heron_memory_kind kinds[] = {HERON_MEMORY_KIND_DEVICE, HERON_MEMORY_KIND_DEVICE,
                                       HERON_MEMORY_KIND_UPLOAD, HERON_MEMORY_KIND_READBACK};
    for (int i = 0; i < 4; ++i) {
        HERON_C_OK(heron_buffer_create(c_device(), std::max<std::uint64_t>(needs[i], 256), kinds[i], "bound",
                                       buffers[i].out()));
        HERON_C_OK(heron_buffer_get_range(buffers[i], ranges[i]));
    }
    const VkDeviceSize whole = memory.state.bytes;
    memory.state.bytes = 4;
    EXPECT_EQ(heron_plan_bind(plan, &memory), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_TRUE(says(heron_last_error(), "state")) << heron_last_error();
    memory.state.bytes = whole;
    HERON_C_OK(heron_plan_bind(plan, &memory));
    HERON_C_OK(heron_plan_prewarm(plan));
    HERON_C_OK(heron_plan_initialize(plan));
    const std::uint64_t compiled = heron_device_pipelines_compiled(c_device());
    HERON_C_OK(heron_plan_run(plan));
    EXPECT_EQ(heron_device_pipelines_compiled(c_device()), compiled);

    // The bias goes somewhere else.
    const heron_tensor_view moved = tensor(std::vector<float>(24, 1.0f), {1, {24}});
    const heron_rebinding binding{"fc.bias", moved};
    const std::vector<float> before = values(bias_.weight);
    HERON_C_OK(heron_plan_rebind(plan, &binding, 1));
    HERON_C_OK(heron_plan_run(plan));
    EXPECT_EQ(values(bias_.weight), before);
    EXPECT_NE(values(moved)[0], 1.0f);
    const heron_rebinding unknown{"fc.other", moved};
    EXPECT_EQ(heron_plan_rebind(plan, &unknown, 1), HERON_ERROR_INVALID_ARGUMENT);
}

TEST_P(CTrainingTest, StatesAreNamedReadAndWritten) {
    make_training();
    HERON_C_OK(heron_plan_initialize(plan_));
    HERON_C_OK(heron_plan_run(plan_));
    std::set<std::string> names;
    for (std::uint32_t i = 0; i < heron_plan_state_count(plan_); ++i) {
        heron_state_entry entry;
        HERON_C_OK(heron_plan_get_state(plan_, i, &entry));
        names.insert(entry.name);
        if (std::string(entry.name) == "fc.weight.momentum") {
            EXPECT_EQ(entry.dtype, HERON_DTYPE_F32);
            EXPECT_EQ(entry.shape.rank, 2u);
            EXPECT_EQ(entry.shape.extents[0], 24u);
        }
    }
    EXPECT_EQ(names.count("fc.weight.momentum"), 1u);
    EXPECT_EQ(names.count("fc.bias.m"), 1u);
    heron_state_entry none;
    EXPECT_EQ(heron_plan_get_state(plan_, heron_plan_state_count(plan_), &none),
              HERON_ERROR_INVALID_ARGUMENT);
    std::vector<float> m(24), ones(24, 1.0f);
    HERON_C_OK(heron_plan_read_state(plan_, "fc.bias.m", m.data(), 24 * sizeof(float)));
    EXPECT_NE(m, ones);
    HERON_C_OK(heron_plan_write_state(plan_, "fc.bias.m", ones.data(), 24 * sizeof(float)));
    HERON_C_OK(heron_plan_read_state(plan_, "fc.bias.m", m.data(), 24 * sizeof(float)));
    EXPECT_EQ(m, ones);
    EXPECT_EQ(heron_plan_read_state(plan_, "fc.bias.m", m.data(), 4), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_plan_read_state(plan_, "fc.bias.k", m.data(), 4), HERON_ERROR_INVALID_ARGUMENT);
    heron_tensor_view view;
    HERON_C_OK(heron_plan_state_view(plan_, "fc.bias.m", &view));
    EXPECT_NE(view.address, 0u);
    EXPECT_EQ(view.shape.extents[0], 24u);
}

TEST_P(CTrainingTest, CheckpointsGoOnBitForBit) {
    make_training();
    HERON_C_OK(heron_plan_initialize(plan_));
    HERON_C_OK(heron_plan_set_learning_rate(plan_, "muon", 0.01f));
    HERON_C_OK(heron_plan_run(plan_));
    const heron_metadata_entry metadata[] = {{"epoch", "3"}, {"by", "caf\xc3\xa9"}};
    HERON_C_OK(heron_save_checkpoint(plan_, path_.c_str(), metadata, 2));
    HERON_C_OK(heron_plan_run(plan_));
    const std::vector<float> expected = weights();

    OwnedPlan again;
    compile_again(again);
    HERON_C_OK(heron_plan_allocate(again));
    OwnedMetadata loaded;
    HERON_C_OK(heron_load_checkpoint(again, path_.c_str(), HERON_CHANGED_OPTIONS_REFUSE, loaded.out()));
    EXPECT_STREQ(heron_metadata_find(loaded, "epoch"), "3");
    EXPECT_STREQ(heron_metadata_find(loaded, "by"), "caf\xc3\xa9");
    EXPECT_EQ(heron_metadata_find(loaded, "lr"), nullptr);
    heron_metadata_entry entry;
    HERON_C_OK(heron_metadata_get(loaded, 0, &entry));
    EXPECT_STREQ(entry.key, "by");
    EXPECT_EQ(heron_metadata_get(loaded, heron_metadata_count(loaded), &entry), HERON_ERROR_INVALID_ARGUMENT);
    HERON_C_OK(heron_plan_run(again));
    EXPECT_EQ(weights(), expected);

    EXPECT_EQ(heron_plan_set_learning_rate(plan_, "mouon", 0.01f), HERON_ERROR_INVALID_ARGUMENT);
    const heron_metadata_entry twice[] = {{"epoch", "3"}, {"epoch", "4"}};
    EXPECT_EQ(heron_save_checkpoint(plan_, path_.c_str(), twice, 2), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_load_checkpoint(again, path_.c_str(), static_cast<heron_changed_options>(2), nullptr),
              HERON_ERROR_INVALID_ARGUMENT);
    std::filesystem::remove(path_);
    EXPECT_EQ(heron_load_checkpoint(again, path_.c_str(), HERON_CHANGED_OPTIONS_REFUSE, nullptr),
              HERON_ERROR_IO);

    // A plan's own files.
    const char* const externals[] = {"fc.weight", "fc.bias"};
    HERON_C_OK(heron_plan_save(plan_, path_.c_str(), externals, 2, metadata, 2));
    OwnedMetadata texts;
    HERON_C_OK(heron_plan_load(plan_, path_.c_str(), externals, 2, texts.out()));
    EXPECT_STREQ(heron_metadata_find(texts, "epoch"), "3");
}

TEST_P(CTrainingTest, StepOptionsReachTheStep) {
    heron_step_options options;
    HERON_C_OK(heron_step_options_init(&options));
    options.name = "options of C";
    options.clip_norm = 0.5f;
    options.accumulate = true;
    options.ema_decay = 0.5f;
    options.loss_scale.initial = 4;
    options.plan.profile = true;
    make_training(&options);
    HERON_C_OK(heron_plan_initialize(plan_));
    heron_plan* const plan = plan_;
    EXPECT_TRUE(
        says(text_of([&](char* text, std::size_t* bytes) { return heron_plan_describe(plan, text, bytes); }),
             "options of C"));
    for (int i = 0; i < 2; ++i) {
        std::uint64_t ticket = 0;
        HERON_C_OK(heron_plan_submit_accumulate(plan, nullptr, &ticket));
        HERON_C_OK(heron_plan_wait(plan, ticket, 60'000'000'000));
    }
    HERON_C_OK(heron_plan_run(plan));
    heron_step_status status;
    HERON_C_OK(heron_plan_status(plan, &status));
    EXPECT_EQ(status.step, 1u);
    EXPECT_EQ(status.loss_scale, 4.0f);
    EXPECT_GT(status.gradient_norm, 0);
    VkDeviceAddress address = 0;
    HERON_C_OK(heron_plan_loss_scale_address(plan, &address));
    EXPECT_NE(address, 0u);
    std::uint32_t count = 0;
    const heron_dispatch_timing* timings = nullptr;
    HERON_C_OK(heron_plan_timings(plan, &count, &timings));
    if (device().capabilities().timestamps) {
        EXPECT_EQ(count, heron_plan_dispatch_count(plan, HERON_PHASE_STEP));
        for (std::uint32_t i = 0; i < count; ++i) EXPECT_STRNE(timings[i].kernel, "");
    }
    // The moving average in place of the weights.
    const heron_parameter parameters[] = {matrix_, bias_};
    test::OwnedEvaluationWeights average;
    HERON_C_OK(heron_evaluation_weights_create(plan, parameters, 2, "ema", average.out()));
    const std::vector<float> trained = weights();
    test::Commands commands(c_device()->device);
    VkCommandBuffer load = commands.begin();
    HERON_C_OK(heron_evaluation_weights_record_load(average, load));
    commands.end(load);
    commands.submit(load);
    EXPECT_NE(weights(), trained);
    VkCommandBuffer restore = commands.begin();
    HERON_C_OK(heron_evaluation_weights_record_restore(average, restore));
    commands.end(restore);
    commands.submit(restore);
    EXPECT_EQ(weights(), trained);
    EXPECT_EQ(heron_evaluation_weights_create(plan, parameters, 2, "slow", average.out()),
              HERON_ERROR_INVALID_ARGUMENT);
}

TEST_P(CTrainingTest, DampingAndOrderChangeWhileAPlanRuns) {
    heron_parameter weight =
        parameter("fc.weight", test::noise(24 * 16, 1), test::noise(24 * 16, 2), {2, {24, 16}});
    heron_parameter bias = parameter("fc.bias", test::noise(24, 3), test::noise(24, 4), {1, {24}});
    heron_parameter other =
        parameter("out.weight", test::noise(24 * 16, 5), test::noise(24 * 16, 6), {2, {24, 16}});
    heron_layer layer;
    HERON_C_OK(heron_layer_init(&layer));
    layer.weight = &weight;
    layer.bias = &bias;
    layer.inputs = tensor(test::noise(5 * 16, 7), {2, {5, 16}});
    layer.output_gradients = tensor(test::noise(5 * 24, 8), {2, {5, 24}});
    heron_layer second = layer;
    second.weight = &other;
    second.bias = nullptr;
    OwnedOptimizer kfac, mkor;
    HERON_C_OK(heron_kfac_create(c_device(), nullptr, kfac.out()));
    HERON_C_OK(heron_mkor_create(c_device(), nullptr, mkor.out()));
    HERON_C_OK(heron_optimizer_add_layer(kfac, &layer));
    HERON_C_OK(heron_optimizer_add_layer(mkor, &second));
    EXPECT_EQ(heron_optimizer_parameter_count(kfac), 2u);
    OwnedPlan plan;
    heron_optimizer* const optimizers[] = {kfac, mkor};
    HERON_C_OK(heron_compile(c_device(), optimizers, 2, nullptr, plan.out()));
    HERON_C_OK(heron_plan_allocate(plan));
    HERON_C_OK(heron_plan_initialize(plan));
    HERON_C_OK(heron_plan_run(plan));
    heron_kfac_clip clip;
    HERON_C_OK(heron_plan_kfac_clip(plan, "kfac", &clip));
    EXPECT_GT(clip.factor, 0);
    EXPECT_LT(clip.predicted_change, 0);
    HERON_C_OK(heron_plan_set_damping(plan, "kfac", 0.1f));
    HERON_C_OK(heron_plan_set_second_order(plan, "mkor", false));
    EXPECT_EQ(heron_plan_set_damping(plan, "mkor", 0.1f), HERON_ERROR_INVALID_ARGUMENT);
    EXPECT_EQ(heron_plan_set_second_order(plan, "kfac", true), HERON_ERROR_INVALID_ARGUMENT);
    HERON_C_OK(heron_plan_run(plan));
    float adapted = 0;
    HERON_C_OK(heron_adapted_damping(0.1f, -1, -1, nullptr, &adapted));
    EXPECT_EQ(adapted, adapted_damping(0.1f, -1, -1));
    EXPECT_LT(adapted, 0.1f);
}

}  // namespace
}  // namespace heron
