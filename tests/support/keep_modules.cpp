// SPDX-License-Identifier: MIT
// Test programs keep the drivers that they unload. Drivers leak a little at each load: bytes, which a leak
// report can then not name (<unknown module>, out of reach of lsan.supp), and thread-specific keys, of which
// a process has 1,024 and a test that creates a thousand devices needs more. That Heron itself can be
// unloaded is proved by tests/package.
extern "C" __attribute__((visibility("default"))) int dlclose(void* handle);
extern "C" int dlclose(void* /*handle*/) { return 0; }
