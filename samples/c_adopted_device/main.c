// SPDX-License-Identifier: MIT
// An engine in C that trains inside its frames. Device, queue, memory and command buffers are the engine's own;
// Heron is adopted into them without a queue, records into the frame, first whole steps, then parts of steps,
// and allocates nothing meanwhile.
#include <math.h>
#include <stdio.h>

#include "engine.h"

enum { ROWS = 64, COLUMNS = 32, COUNT = ROWS * COLUMNS + ROWS, STEPS = 20 };

// Of the network's weights: what the training makes smaller.
static double loss(const heron_buffer_range* weights) {
    const float* values = weights->mapped;
    double sum = 0;
    for (int i = 0; i < COUNT; ++i) sum += 0.5 * (double)values[i] * (double)values[i];
    return sum;
}

static heron_parameter parameter(const heron_device* device, const char* name, const heron_buffer_range* weights,
                                 const heron_buffer_range* gradients, heron_shape shape, uint64_t byte_offset) {
    heron_parameter made;
    check(heron_parameter_init(&made));
    made.name = name;
    check(heron_device_view(device, weights, HERON_DTYPE_F32, &shape, byte_offset, 0, &made.weight));
    check(heron_device_view(device, gradients, HERON_DTYPE_F32, &shape, byte_offset, 0, &made.gradient));
    return made;
}

int main(void) {
    engine e;
    engine_create(&e, 4 << 20);
    const heron_buffer_range weights = engine_take(&e, COUNT * sizeof(float));
    const heron_buffer_range gradients = engine_take(&e, COUNT * sizeof(float));
    for (int i = 0; i < COUNT; ++i) ((float*)weights.mapped)[i] = (float)(i % 13 - 6) / 60.0f;

    heron_device_options options;
    check(heron_device_options_init(&options));
    heron_device* device = NULL;
    check(heron_device_adopt(&e.handles, &options, &device));

    const heron_parameter matrix =
        parameter(device, "fc.weight", &weights, &gradients, (heron_shape){2, {ROWS, COLUMNS}}, 0);
    const heron_parameter bias =
        parameter(device, "fc.bias", &weights, &gradients, (heron_shape){1, {ROWS}}, ROWS * COLUMNS * sizeof(float));
    heron_optimizer *muon = NULL, *adamw = NULL;
    check(heron_muon_create(device, NULL, &muon));
    check(heron_adamw_create(device, NULL, &adamw));
    check(heron_optimizer_add(muon, &matrix));
    check(heron_optimizer_add(adamw, &bias));
    heron_plan* plan = NULL;
    check(heron_compile(device, (heron_optimizer*[]){muon, adamw}, 2, NULL, &plan));

    // The plan tells what it needs; the engine cuts that out of its own memory.
    const heron_plan_memory memory = {.state = engine_take(&e, heron_plan_state_bytes(plan)),
                                      .workspace = engine_take(&e, heron_plan_workspace_bytes(plan)),
                                      .tables = engine_take(&e, heron_plan_table_bytes(plan)),
                                      .readback = engine_take(&e, heron_plan_readback_bytes(plan))};
    check(heron_plan_bind(plan, &memory));
    printf("Plan:   %u dispatches in %u levels\n", (unsigned)heron_plan_dispatch_count(plan, HERON_PHASE_STEP),
           (unsigned)heron_plan_level_count(plan, HERON_PHASE_STEP));
    check(heron_plan_record_initialize(plan, engine_begin_frame(&e)));
    engine_end_frame(&e);

    heron_slice_budget budget;
    check(heron_slice_budget_init(&budget));
    budget.max_dispatches = 2;  // or max_ns, where steps have been timed
    budget.one_time = true;         // these commands run once, which lets refreshes be left out between their turns
    const uint64_t compiled = heron_device_pipelines_compiled(device);
    const double before = loss(&weights);
    int frames = 0;
    for (int step = 0; step < STEPS; ++frames) {
        VkCommandBuffer commands = engine_begin_frame(&e);
        // The backward pass: the gradient of |w|^2 / 2 is w itself. Only when the step before is complete.
        if (!heron_plan_slice_pending(plan)) engine_copy(&e, &weights, &gradients, COUNT * sizeof(float));
        heron_slice_result slice = {.complete = true};
        if (step < STEPS / 2)
            check(heron_plan_record_one_time(plan, commands));
        else
            check(heron_plan_record_slice(plan, commands, &budget, &slice));
        engine_end_frame(&e);
        step += slice.complete ? 1 : 0;
    }
    heron_step_status status;
    check(heron_plan_status(plan, &status));
    const double after = loss(&weights);
    printf("%d frames, %u steps: loss %.4f -> %.4f\n", frames, (unsigned)status.step, before, after);
    const bool good = status.step == STEPS && frames > STEPS && after < 0.5 * before && isfinite(after) &&
                      heron_device_pipelines_compiled(device) == compiled;

    heron_plan_destroy(plan);
    heron_optimizer_destroy(adamw);
    heron_optimizer_destroy(muon);
    heron_device_destroy(device);
    engine_destroy(&e);
    puts(good ? "The loss has gone down." : "FAILED");
    return good ? 0 : 1;
}
