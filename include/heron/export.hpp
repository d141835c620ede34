// SPDX-License-Identifier: MIT
// HERON_API marks what a shared library exports; everything else is hidden.
#pragma once

#if defined(HERON_STATIC)
#define HERON_API
#elif defined(_WIN32)
#ifdef HERON_BUILDING
#define HERON_API __declspec(dllexport)
#else
#define HERON_API __declspec(dllimport)
#endif
#else
#define HERON_API __attribute__((visibility("default")))
#endif
