// SPDX-License-Identifier: MIT
// A program that only knows heron.h, compiled as C11 and linked by CMake or pkg-config.
#include <heron/heron.h>
#include <stdio.h>

// A number to the memory of that device and back.
static heron_result use_device(uint32_t index) {
    char select[16];
    heron_device_options options;
    heron_device* device = NULL;
    heron_buffer* buffer = NULL;
    const float sent = 2.5f;
    float received = 0;
    snprintf(select, sizeof select, "%u", (unsigned)index);
    heron_result result = heron_device_options_init(&options);
    options.select = select;
    if (result == HERON_SUCCESS) result = heron_device_create(&options, &device);
    if (result == HERON_SUCCESS)
        result = heron_buffer_create(device, sizeof sent, HERON_MEMORY_KIND_DEVICE, "first use", &buffer);
    if (result == HERON_SUCCESS) result = heron_buffer_write(buffer, &sent, sizeof sent, 0);
    if (result == HERON_SUCCESS) result = heron_buffer_read(buffer, &received, sizeof received, 0);
    if (result == HERON_SUCCESS) printf("%s: %g\n", heron_device_get_info(device)->name, (double)received);
    heron_buffer_destroy(buffer);
    heron_device_destroy(device);
    if (result == HERON_SUCCESS && received != sent) return HERON_INCOMPLETE;
    return result;
}

int main(void) {
    heron_device_options options;
    heron_device_list* list = NULL;
    uint32_t used = 0;
    heron_result result = heron_check_version(HERON_VERSION);
    if (result == HERON_SUCCESS) result = heron_device_options_init(&options);
    if (result == HERON_SUCCESS) result = heron_device_list_create(&options, &list);
    for (uint32_t i = 0; result == HERON_SUCCESS && i < heron_device_list_count(list); ++i) {
        if (!heron_device_list_get(list, i)->usable) continue;
        result = use_device(i);
        ++used;
    }
    heron_device_list_destroy(list);
    if (result != HERON_SUCCESS) fprintf(stderr, "%s: %s\n", heron_result_text(result), heron_last_error());
    return result == HERON_SUCCESS && used > 0 ? 0 : 1;
}
