// SPDX-License-Identifier: MIT
// Whether locks and files are counted in this build.
#pragma once

#include <cstdlib>  // __GLIBC__

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__) || !defined(__GLIBC__)
#define HERON_INTERCEPT_CALLS 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define HERON_INTERCEPT_CALLS 0
#endif
#endif
#ifndef HERON_INTERCEPT_CALLS
#define HERON_INTERCEPT_CALLS 1
#endif
