// SPDX-License-Identifier: MIT
// A program that only knows heron.h, compiled as C11 and linked by CMake or pkg-config.
#include <heron/heron.h>
#include <stdio.h>

int main(void) {
    heron_device_options options;
    heron_device* device = NULL;
    heron_buffer* buffer = NULL;
    float value = 2.5f;
    heron_result result = heron_check_version(HERON_VERSION);
    if (result == HERON_SUCCESS) result = heron_device_options_init(&options);
    if (result == HERON_SUCCESS) result = heron_device_create(&options, &device);
    if (result == HERON_SUCCESS)
        result = heron_buffer_create(device, sizeof value, HERON_MEMORY_KIND_DEVICE, "first use", &buffer);
    if (result == HERON_SUCCESS) result = heron_buffer_write(buffer, &value, sizeof value, 0);
    value = 0;
    if (result == HERON_SUCCESS) result = heron_buffer_read(buffer, &value, sizeof value, 0);
    if (result == HERON_SUCCESS)
        puts(heron_device_get_info(device)->name);
    else
        fprintf(stderr, "%s: %s\n", heron_result_text(result), heron_last_error());
    heron_buffer_destroy(buffer);
    heron_device_destroy(device);
    return result == HERON_SUCCESS && value == 2.5f ? 0 : 1;
}
