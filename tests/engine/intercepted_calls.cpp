// SPDX-License-Identifier: MIT
// Stands before the C library's locks and files, and tells host_watch of each call. Not under sanitizers,
// which stand there themselves.
#include "engine/intercepted_calls.hpp"

#if HERON_INTERCEPT_CALLS

#include <dlfcn.h>
#include <fcntl.h>
#include <pthread.h>

#include <atomic>
#include <cstdarg>
#include <cstdio>

#include "support/host_watch.hpp"

namespace {

// The C library's function behind ours of the same name.
template <class Function>
Function* behind(std::atomic<Function*>& known, const char* name) {
    Function* function = known.load(std::memory_order_relaxed);
    if (function == nullptr) {
        function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
        known.store(function, std::memory_order_relaxed);
    }
    return function;
}

using LockFunction = int(pthread_mutex_t*);
using FileFunction = std::FILE*(const char*, const char*);
constinit std::atomic<LockFunction*> real_lock{nullptr};
constinit std::atomic<FileFunction*> real_fopen{nullptr};
constinit std::atomic<FileFunction*> real_fopen64{nullptr};

}  // namespace

// Visible for libstdc++, whose streams open their files with it.
#define HERON_VISIBLE __attribute__((visibility("default")))

extern "C" {

int pthread_mutex_lock(pthread_mutex_t* mutex) noexcept {
    samples::note_lock();
    return behind(real_lock, "pthread_mutex_lock")(mutex);
}

HERON_VISIBLE std::FILE* fopen(const char* path, const char* mode) {
    samples::note_file();
    return behind(real_fopen, "fopen")(path, mode);
}

HERON_VISIBLE std::FILE* fopen64(const char* path, const char* mode) {
    samples::note_file();
    return behind(real_fopen64, "fopen64")(path, mode);
}

}  // extern "C"

#endif
