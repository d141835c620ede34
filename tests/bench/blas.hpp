// SPDX-License-Identifier: MIT
// OpenBLAS's routines, found at run time: no build dependency for a yardstick. Null where it is not
// installed.
#pragma once

#include <dlfcn.h>

#include <cstdlib>

namespace heron::bench {

// OpenBLAS's threads spin after a call, for 2^26 cycles unless told otherwise, on cores that ours, which
// comes next, needs: by turns with it a product of 512 on two cores had 4.2 or 6.5 ms, from run to run. 2^10
// cycles cost OpenBLAS nothing that shows.
inline void* load_openblas() {
    setenv("OPENBLAS_THREAD_TIMEOUT", "10", 0);
    return dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
}

inline void* openblas(const char* symbol) {
    static void* const library = load_openblas();
    return library ? dlsym(library, symbol) : nullptr;
}

template <typename... Arguments>
using Routine = void (*)(Arguments...);

// cblas_*: order (101: row major), transpositions (111: as is, 112: transposed) ...
using Sgemm =
    Routine<int, int, int, int, int, int, float, const float*, int, const float*, int, float, float*, int>;
// order, side (141: left), triangle (121: upper, 122: lower), transposition, diagonal (131: not of ones), m,
// n, alpha
using Strsm = Routine<int, int, int, int, int, int, int, float, const float*, int, float*, int>;
// order, triangle, n, alpha, A, its stride, x, its step, beta, y, its step
using Ssymv = Routine<int, int, int, float, const float*, int, const float*, int, float, float*, int>;

template <typename F>
F find(const char* symbol) {
    return reinterpret_cast<F>(openblas(symbol));
}

// "Haswell", "SkylakeX": whose kernels it runs here; OPENBLAS_CORETYPE chooses others.
inline const char* openblas_core() {
    const auto name = find<const char* (*)()>("openblas_get_corename");
    return name ? name() : "unknown";
}

}  // namespace heron::bench
