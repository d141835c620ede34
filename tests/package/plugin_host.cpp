// SPDX-License-Identifier: MIT
// Loads and unloads a plug-in with Heron inside 100 times: it must really go, and leave neither threads nor
// memory.
#include <dlfcn.h>

#include <cstdio>
#include <fstream>
#include <string>

// A number from /proc/self/status, e.g. "VmRSS" in KiB; 0 where there is no such file.
static long status(const std::string& key) {
    std::ifstream file("/proc/self/status");
    for (std::string line; std::getline(file, line);) {
        if (line.rfind(key + ":", 0) == 0) return std::stol(line.substr(key.size() + 1));
    }
    return 0;
}

int main() {
    long warm_memory = 0;
    long warm_threads = 0;
    for (int round = 0; round < 100; ++round) {
        void* plugin = dlopen("./plugin.so", RTLD_NOW | RTLD_LOCAL);
        if (plugin == nullptr) {
            std::fprintf(stderr, "round %d: %s\n", round, dlerror());
            return 1;
        }
        auto use_device = reinterpret_cast<int (*)()>(dlsym(plugin, "use_device"));
        if (use_device == nullptr || use_device() != 0) return 2;
        dlclose(plugin);
        if (dlopen("./plugin.so", RTLD_NOW | RTLD_NOLOAD) != nullptr) {
            std::fprintf(stderr, "round %d: the plug-in stayed loaded\n", round);
            return 3;
        }
        if (round == 19) {
            warm_memory = status("VmRSS");
            warm_threads = status("Threads");
        }
    }
    const long grown = status("VmRSS") - warm_memory;
    const long threads = status("Threads") - warm_threads;
    std::printf("80 more rounds: %ld KiB more, %ld threads more\n", grown, threads);
    // What a driver keeps is not ours; a device's arena would be megabytes each time.
    return grown < 80 * 1024 && threads <= 0 ? 0 : 4;
}
