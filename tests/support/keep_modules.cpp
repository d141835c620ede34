// SPDX-License-Identifier: MIT
// Sanitizer builds only: keeps unloaded modules mapped, so that a leak report can name the driver it comes
// from (and lsan.supp can leave it out). Without this, a driver's own leaks are reported as <unknown module>.
extern "C" __attribute__((visibility("default"))) int dlclose(void* handle);
extern "C" int dlclose(void* /*handle*/) { return 0; }
