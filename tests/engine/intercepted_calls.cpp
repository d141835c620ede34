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
class Behind {
public:
    explicit constexpr Behind(const char* name) : name_(name) {}

    template <class... Arguments>
    auto operator()(Arguments... arguments) {
        Function* function = known_.load(std::memory_order_relaxed);
        if (function == nullptr) {
            function = reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name_));
            known_.store(function, std::memory_order_relaxed);
        }
        return function(arguments...);
    }

private:
    const char* name_;
    std::atomic<Function*> known_{nullptr};
};

// With these flags, open() has a third argument.
mode_t mode_of(int flags, std::va_list arguments) {
    if ((flags & O_CREAT) == 0 && (flags & O_TMPFILE) != O_TMPFILE) return 0;
    return va_arg(arguments, mode_t);
}

}  // namespace

// Visible for libstdc++, whose streams and directories open files with them.
#define HERON_VISIBLE __attribute__((visibility("default")))

#define HERON_COUNT_LOCK(name, Object)                       \
    int name(Object* object) noexcept {                      \
        static constinit Behind<int(Object*)> behind(#name); \
        samples::note_lock();                                \
        return behind(object);                               \
    }
#define HERON_COUNT_FOPEN(name)                                                      \
    HERON_VISIBLE std::FILE* name(const char* path, const char* mode) {              \
        static constinit Behind<std::FILE*(const char*, const char*)> behind(#name); \
        samples::note_file();                                                        \
        return behind(path, mode);                                                   \
    }
#define HERON_COUNT_OPEN(name)                                             \
    HERON_VISIBLE int name(const char* path, int flags, ...) {             \
        static constinit Behind<int(const char*, int, ...)> behind(#name); \
        std::va_list arguments;                                            \
        va_start(arguments, flags);                                        \
        const mode_t mode = mode_of(flags, arguments);                     \
        va_end(arguments);                                                 \
        samples::note_file();                                              \
        return behind(path, flags, mode);                                  \
    }
#define HERON_COUNT_OPENAT(name)                                                \
    HERON_VISIBLE int name(int folder, const char* path, int flags, ...) {      \
        static constinit Behind<int(int, const char*, int, ...)> behind(#name); \
        std::va_list arguments;                                                 \
        va_start(arguments, flags);                                             \
        const mode_t mode = mode_of(flags, arguments);                          \
        va_end(arguments);                                                      \
        samples::note_file();                                                   \
        return behind(folder, path, flags, mode);                               \
    }

extern "C" {

HERON_COUNT_LOCK(pthread_mutex_lock, pthread_mutex_t)
HERON_COUNT_LOCK(pthread_mutex_trylock, pthread_mutex_t)
HERON_COUNT_LOCK(pthread_rwlock_rdlock, pthread_rwlock_t)
HERON_COUNT_LOCK(pthread_rwlock_tryrdlock, pthread_rwlock_t)
HERON_COUNT_LOCK(pthread_rwlock_wrlock, pthread_rwlock_t)
HERON_COUNT_LOCK(pthread_rwlock_trywrlock, pthread_rwlock_t)
HERON_COUNT_FOPEN(fopen)
HERON_COUNT_FOPEN(fopen64)
HERON_COUNT_OPEN(open)
HERON_COUNT_OPEN(open64)
HERON_COUNT_OPENAT(openat)
HERON_COUNT_OPENAT(openat64)

}  // extern "C"

#endif
