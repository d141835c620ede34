// SPDX-License-Identifier: MIT
// The smallest complete program in C: a matrix for Muon, a bias for AdamW, ten steps. The README quotes its middle.
#include <heron/heron.h>
#include <stdio.h>
#include <stdlib.h>

// Ends the program with what went wrong. An engine would hand the result up instead.
static void check(heron_result result) {
    if (result == HERON_SUCCESS) return;
    fprintf(stderr, "%s: %s\n", heron_result_text(result), heron_last_error());
    exit(1);
}

enum { ROWS = 64, COLUMNS = 32, COUNT = ROWS * COLUMNS + ROWS };

// A parameter and its gradient, at the same place of either buffer.
static heron_parameter parameter(const char* name, const heron_buffer* weights, const heron_buffer* gradients,
                                 heron_shape shape, uint64_t byte_offset) {
    heron_parameter made;
    check(heron_parameter_init(&made));
    made.name = name;
    check(heron_buffer_view(weights, HERON_DTYPE_F32, &shape, byte_offset, 0, &made.weight));
    check(heron_buffer_view(gradients, HERON_DTYPE_F32, &shape, byte_offset, 0, &made.gradient));
    return made;
}

int main(void) {
    heron_device_options device_options;
    check(heron_device_options_init(&device_options));
    heron_device* device = NULL;
    check(heron_device_create(&device_options, &device));  // or heron_device_adopt(your handles)

    // A 64 x 32 matrix, then a bias of 64, in one buffer; their gradients in another.
    static float values[COUNT];
    for (int i = 0; i < COUNT; ++i) values[i] = 0.01f;
    heron_buffer *weights = NULL, *gradients = NULL;
    check(heron_buffer_create(device, sizeof values, HERON_MEMORY_KIND_DEVICE, "weights", &weights));
    check(heron_buffer_create(device, sizeof values, HERON_MEMORY_KIND_DEVICE, "gradients", &gradients));
    check(heron_buffer_write(weights, values, sizeof values, 0));

    const heron_parameter matrix =
        parameter("fc.weight", weights, gradients, (heron_shape){2, {ROWS, COLUMNS}}, 0);
    const heron_parameter bias =
        parameter("fc.bias", weights, gradients, (heron_shape){1, {ROWS}}, ROWS * COLUMNS * sizeof(float));

    heron_muon_options options;
    check(heron_muon_options_init(&options));  // all defaults
    options.lr = 0.02f;
    check(heron_schedule_warmup_cosine(&options.schedule, 3, 10, 0.1f));
    heron_optimizer *muon = NULL, *adamw = NULL;
    check(heron_muon_create(device, &options, &muon));
    check(heron_adamw_create(device, NULL, &adamw));
    check(heron_optimizer_add(muon, &matrix));
    check(heron_optimizer_add(adamw, &bias));

    heron_plan* plan = NULL;
    check(heron_compile(device, (heron_optimizer*[]){muon, adamw}, 2, NULL, &plan));
    check(heron_plan_allocate(plan));  // state and workspace; their sizes are known beforehand
    check(heron_plan_initialize(plan));
    for (int step = 1; step <= 10; ++step) {
        // In place of a backward pass: the gradient of the loss |w|^2 / 2 is w itself.
        check(heron_buffer_read(weights, values, sizeof values, 0));
        check(heron_buffer_write(gradients, values, sizeof values, 0));
        check(heron_plan_run(plan));  // in an engine: heron_plan_record_one_time(plan, command_buffer)
        heron_step_status status;
        check(heron_plan_status(plan, &status));
        printf("step %2d  gradient norm %.4f\n", step, (double)status.gradient_norm);
    }

    heron_plan_destroy(plan);
    heron_optimizer_destroy(adamw);
    heron_optimizer_destroy(muon);
    heron_buffer_destroy(gradients);
    heron_buffer_destroy(weights);
    heron_device_destroy(device);
    return 0;
}
