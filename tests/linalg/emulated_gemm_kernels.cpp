// SPDX-License-Identifier: MIT
// The table of gemm() with emulated kernels on matrix units in it, whatever the tools know: it takes the
// place of the library's own in emulated_matrices_test, and its headers of shaders come from there.
#undef HERON_HAVE_COOPMAT
#undef HERON_HAVE_COOPMAT2
#undef HERON_HAVE_BFLOAT16
#define HERON_HAVE_COOPMAT 1
#define HERON_HAVE_COOPMAT2 1
#define HERON_HAVE_BFLOAT16 1
#include "../../src/linalg/gemm_kernels.cpp"  // NOLINT(bugprone-suspicious-include)
