// SPDX-License-Identifier: MIT
// A program in C11 as an application would write it: on every usable device, parameters routed into two groups,
// a schedule, a checkpoint, and errors that come back as results.
#include <heron/heron.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                       \
    do {                                                                                       \
        if (!(condition)) {                                                                    \
            fprintf(stderr, "%s:%d: %s; last error: %s\n", __FILE__, __LINE__, #condition,     \
                    heron_last_error());                                                       \
            exit(1);                                                                           \
        }                                                                                      \
    } while (0)
#define OK(call) CHECK((call) == HERON_SUCCESS)

enum { WIDTH = 48, DEPTH = 20, LAYERS = 3, PARAMETERS = 2 * LAYERS };

typedef struct memory {
    heron_buffer *weights, *gradients;
} memory;

static void count_line(void* user, heron_severity severity, const char* text) {
    (void)severity;
    *(int*)user += text[0] != 0;
}

// A matrix and a bias for each layer, one behind the other.
static uint64_t describe(heron_parameter* parameters, char names[PARAMETERS][32], const memory* from) {
    uint64_t offset = 0;
    for (int i = 0; i < PARAMETERS; ++i) {
        const bool bias = i % 2 == 1;
        const heron_shape shape = {bias ? 1 : 2, {WIDTH, bias ? 0 : DEPTH}};
        const uint64_t count = bias ? WIDTH : (uint64_t)WIDTH * DEPTH;
        OK(heron_parameter_init(&parameters[i]));
        snprintf(names[i], sizeof names[i], "layers.%d.%s", i / 2, bias ? "bias" : "weight");
        parameters[i].name = names[i];
        if (from != NULL) {
            OK(heron_buffer_view(from->weights, HERON_DTYPE_F32, &shape, offset, 0, &parameters[i].weight));
            OK(heron_buffer_view(from->gradients, HERON_DTYPE_F32, &shape, offset, 0, &parameters[i].gradient));
        }
        offset += count * sizeof(float);
    }
    return offset;
}

static char* description(const heron_plan* plan) {
    size_t bytes = 0;
    OK(heron_plan_describe(plan, NULL, &bytes));
    char* text = malloc(bytes);
    CHECK(text != NULL);
    OK(heron_plan_describe(plan, text, &bytes));
    CHECK(strlen(text) + 1 == bytes);
    return text;
}

// Other programs read a checkpoint as a file of tensors. `values`: room for those of a layer.
static void look_into(const char* path, float* values) {
    heron_safetensors_reader* reader = NULL;
    OK(heron_safetensors_reader_create(path, NULL, &reader));
    const heron_file_tensor* weight = heron_safetensors_reader_find(reader, "layers.0.weight");
    CHECK(weight != NULL && weight->dtype == HERON_FILE_DTYPE_F32 && weight->rank == 2);
    CHECK(weight->shape[0] == WIDTH && weight->shape[1] == DEPTH);
    OK(heron_safetensors_reader_read_f32(reader, weight->name, values, weight->count));
    const heron_metadata* texts = heron_safetensors_reader_metadata(reader);
    CHECK(strcmp(heron_metadata_find(texts, "note"), "after one step") == 0);
    heron_safetensors_reader_destroy(reader);
}

static heron_plan* compiled(const heron_device* device, heron_optimizer* const* optimizers) {
    heron_step_options options;
    OK(heron_step_options_init(&options));
    options.name = "walk";
    options.clip_norm = 1.0f;
    heron_plan* plan = NULL;
    OK(heron_compile(device, optimizers, 2, &options, &plan));
    OK(heron_plan_allocate(plan));
    return plan;
}

static void walk(const char* select, const char* path) {
    int lines = 0;
    heron_device_options options;
    OK(heron_device_options_init(&options));
    options.select = select;
    options.log = count_line;
    options.log_user = &lines;
    heron_device* device = NULL;
    OK(heron_device_create(&options, &device));
    printf("%s\n", heron_device_get_info(device)->name);

    heron_parameter parameters[PARAMETERS];
    char names[PARAMETERS][32];
    const size_t bytes = (size_t)describe(parameters, names, NULL);
    memory of = {NULL, NULL};
    OK(heron_buffer_create(device, bytes, HERON_MEMORY_KIND_DEVICE, "weights", &of.weights));
    OK(heron_buffer_create(device, bytes, HERON_MEMORY_KIND_DEVICE, "gradients", &of.gradients));
    describe(parameters, names, &of);
    float* values = malloc(bytes);
    float* trained = malloc(bytes);
    CHECK(values != NULL && trained != NULL);
    for (size_t i = 0; i < bytes / sizeof(float); ++i) values[i] = (float)(i % 17) / 17.0f - 0.5f;
    OK(heron_buffer_write(of.weights, values, bytes, 0));
    OK(heron_buffer_write(of.gradients, values, bytes, 0));

    heron_normuon_options normuon;
    OK(heron_normuon_options_dion(&normuon));
    OK(heron_schedule_linear(&normuon.schedule, 0, 1, 2));
    OK(heron_schedule_then_cosine(&normuon.schedule, 0.1f, 8));
    normuon.nesterov = true;
    heron_optimizer* optimizers[2] = {NULL, NULL};
    OK(heron_normuon_create(device, &normuon, &optimizers[0]));
    OK(heron_adamw_create(device, NULL, &optimizers[1]));
    normuon.momentum = 2.0;
    heron_optimizer* refused = NULL;
    CHECK(heron_normuon_create(device, &normuon, &refused) == HERON_ERROR_INVALID_ARGUMENT);
    CHECK(refused == NULL && strstr(heron_last_error(), "momentum") != NULL);

    heron_routing* routing = NULL;
    OK(heron_routing_create(parameters, PARAMETERS, &routing));
    for (uint32_t i = 0; i < heron_routing_count(routing); ++i) {
        heron_route route;
        OK(heron_routing_get(routing, i, &route));
        OK(heron_optimizer_add(optimizers[route.matrix ? 0 : 1], &parameters[i]));
    }
    heron_routing_destroy(routing);
    CHECK(heron_optimizer_parameter_count(optimizers[0]) == LAYERS);

    heron_plan* plan = compiled(device, optimizers);
    OK(heron_plan_initialize(plan));
    char* text = description(plan);
    CHECK(strstr(text, "walk") != NULL);
    free(text);
    OK(heron_plan_run(plan));
    const heron_metadata_entry note = {"note", "after one step"};
    OK(heron_save_checkpoint(plan, path, &note, 1));
    look_into(path, trained);
    for (int i = 0; i < 3; ++i) OK(heron_plan_run(plan));
    OK(heron_buffer_read(of.weights, trained, bytes, 0));
    CHECK(memcmp(trained, values, bytes) != 0);

    // The optimizers may go; another plan goes on from the file.
    heron_plan* again = compiled(device, optimizers);
    for (int i = 0; i < 2; ++i) heron_optimizer_destroy(optimizers[i]);
    heron_metadata* metadata = NULL;
    OK(heron_load_checkpoint(again, path, HERON_CHANGED_OPTIONS_REFUSE, &metadata));
    CHECK(strcmp(heron_metadata_find(metadata, "note"), "after one step") == 0);
    heron_metadata_destroy(metadata);
    for (int i = 0; i < 3; ++i) {
        uint64_t ticket = 0;
        bool finished = false;
        OK(heron_plan_submit(again, NULL, &ticket));
        OK(heron_plan_wait(again, ticket, UINT64_C(60000000000)));
        OK(heron_plan_finished(again, ticket, &finished));
        CHECK(finished);
    }
    OK(heron_buffer_read(of.weights, values, bytes, 0));
    CHECK(memcmp(trained, values, bytes) == 0);
    heron_step_status status;
    OK(heron_plan_status(again, &status));
    CHECK(status.step == 4 && status.skipped == 0);

    CHECK(heron_load_checkpoint(again, "no/such/file", HERON_CHANGED_OPTIONS_REFUSE, NULL) == HERON_ERROR_IO);
    remove(path);
    heron_plan_destroy(again);
    heron_plan_destroy(plan);
    heron_buffer_destroy(of.gradients);
    heron_buffer_destroy(of.weights);
    heron_device_destroy(device);
    free(trained);
    free(values);
}

int main(int argc, char** argv) {
    CHECK(argc == 2);
    OK(heron_check_version(HERON_VERSION));
    heron_device_options options;
    OK(heron_device_options_init(&options));
    heron_device_list* list = NULL;
    OK(heron_device_list_create(&options, &list));
    int usable = 0;
    for (uint32_t i = 0; i < heron_device_list_count(list); ++i) {
        char index[16];
        snprintf(index, sizeof index, "%u", (unsigned)i);
        if (!heron_device_list_get(list, i)->usable) continue;
        walk(index, argv[1]);
        ++usable;
    }
    heron_device_list_destroy(list);
    return usable > 0 ? 0 : 1;
}
